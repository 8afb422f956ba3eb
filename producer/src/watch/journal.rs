//! Owns the journal of what was sent: one JSON object a line, written through to the disk, read again at a start. A line
//! that a crash cut is ignored; what it would have said is found out again.

use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// The journal cannot be kept, so that a restart would send everything again.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the journal {}: {source}; name a writable file with --state", path.display())]
pub struct JournalError {
    path: PathBuf,
    source: io::Error,
}

/// A unit that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub unit: String,
    /// The state of its files then.
    pub state: u64,
    /// What its completion said.
    pub digest: String,
    pub id: String,
}

/// All that was sent.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    states: HashMap<String, u64>,
    digests: HashSet<(String, String)>,
}

impl Journal {
    /// Opens or begins a journal.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let fail = |source| JournalError { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(fail)?;
        let (mut states, mut digests) = (HashMap::new(), HashSet::new());
        let mut whole = true;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(fail)? > 0 {
            whole = line.ends_with(b"\n");
            if let Ok(sent) = serde_json::from_slice::<Sent>(&line) {
                states.insert(sent.unit.clone(), sent.state);
                digests.insert((sent.unit, sent.digest));
            }
            line.clear();
        }
        if !whole {
            file.write_all(b"\n").map_err(fail)?;
        }
        Ok(Self { path: path.to_owned(), file, states, digests })
    }

    /// Whether a unit was sent in this state of its files.
    pub fn knows(&self, unit: &str, state: u64) -> bool {
        self.states.get(unit) == Some(&state)
    }

    /// Whether a unit was sent with a completion that said the same.
    pub fn has_sent(&self, unit: &str, digest: &str) -> bool {
        self.digests.contains(&(unit.to_owned(), digest.to_owned()))
    }

    /// Writes down that a unit was sent; returns when the disk has it.
    pub fn record(&mut self, sent: Sent) -> Result<(), JournalError> {
        let write = |file: &mut File| -> io::Result<()> {
            let mut line = serde_json::to_vec(&sent)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_data()
        };
        write(&mut self.file).map_err(|source| JournalError { path: self.path.clone(), source })?;
        self.states.insert(sent.unit.clone(), sent.state);
        self.digests.insert((sent.unit, sent.digest));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(unit: &str, state: u64) -> Sent {
        Sent { unit: unit.to_owned(), state, digest: format!("d{state}"), id: "id".to_owned() }
    }

    #[test]
    fn what_was_sent_is_known_after_a_restart_and_a_cut_line_is_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/journal.ndjson");
        let mut journal = Journal::open(&path).expect("a journal");
        journal.record(sent("17", 1)).expect("a record");
        drop(journal);
        let mut torn = OpenOptions::new().append(true).open(&path).expect("the journal");
        torn.write_all(b"{\"unit\":\"18\",\"sta").expect("half a line");
        let mut journal = Journal::open(&path).expect("a journal");
        assert!(journal.knows("17", 1) && !journal.knows("17", 2) && !journal.knows("18", 1));
        assert!(journal.has_sent("17", "d1") && !journal.has_sent("18", "d1"));
        journal.record(sent("18", 1)).expect("a record");
        assert!(Journal::open(&path).expect("a journal").knows("18", 1));
    }
}
