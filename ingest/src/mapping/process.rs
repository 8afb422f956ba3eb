//! Owns the processes that a report tells of, to find a parent's image and command line by pid or by text. Who caused
//! what is not decided here: that is the origin's matter, over all artifacts of a run.

use crate::Platform;
use rustc_hash::FxHashMap;

/// One process as the report tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Option<Box<str>>,
    pub(crate) parent_pid: Option<Box<str>>,
    pub(crate) image: Option<Box<str>>,
    pub(crate) command_line: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) user: Option<Box<str>>,
    /// When it started, in nanoseconds since 1970 UTC.
    pub(crate) start: Option<i64>,
    /// The process it stands under in a tree.
    pub(crate) under: Option<u32>,
}

/// All processes of one report; a pid may stand for several, one after another.
#[derive(Debug, Default)]
pub(crate) struct ProcessTable {
    processes: Vec<Process>,
    by_pid: FxHashMap<Box<str>, Vec<u32>>,
    by_text: FxHashMap<Box<str>, Vec<u32>>,
    refused: u64,
}

impl ProcessTable {
    /// Adds a process; one that is told twice is filled up, not added again.
    pub(crate) fn add(&mut self, process: Process, most: u32) -> Option<u32> {
        if let Some(known) = self.twin(&process) {
            let kept = &mut self.processes[known as usize];
            fill(&mut kept.parent_pid, process.parent_pid);
            fill(&mut kept.image, process.image);
            fill(&mut kept.name, process.name);
            fill(&mut kept.user, process.user);
            fill(&mut kept.start, process.start);
            fill(&mut kept.under, process.under);
            if kept.command_line.is_none() && process.command_line.is_some() {
                kept.command_line = process.command_line;
                self.index_text(known);
            }
            return Some(known);
        }
        let index = u32::try_from(self.processes.len()).ok().filter(|index| *index < most);
        let Some(index) = index else {
            self.refused += 1;
            return None;
        };
        if let Some(pid) = &process.pid {
            self.by_pid.entry(pid.clone()).or_default().push(index);
        }
        self.processes.push(process);
        self.index_text(index);
        Some(index)
    }

    fn index_text(&mut self, index: u32) {
        if let Some(line) = &self.processes[index as usize].command_line {
            self.by_text.entry(line.clone()).or_default().push(index);
        }
    }

    /// The same process told elsewhere in the report: the same pid, and nothing that speaks against it.
    fn twin(&self, process: &Process) -> Option<u32> {
        let candidates = self.by_pid.get(process.pid.as_deref()?)?;
        let agree = |a: &Option<Box<str>>, b: &Option<Box<str>>| match (a, b) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => true,
        };
        candidates.iter().copied().rev().take(8).find(|index| {
            let known = &self.processes[*index as usize];
            agree(&known.image, &process.image)
                && agree(&known.command_line, &process.command_line)
                && agree(&known.name, &process.name)
                && (known.start.is_none() || process.start.is_none() || known.start == process.start)
        })
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Process> {
        self.processes.get(index as usize)
    }

    /// The process that had a pid at a time: the last that had started by then, else the last one known.
    pub(crate) fn by_pid(&self, pid: &str, at: Option<i64>) -> Option<u32> {
        let candidates = self.by_pid.get(pid)?;
        let started = |index: &&u32| match (self.processes[**index as usize].start, at) {
            (Some(start), Some(at)) => start <= at,
            _ => true,
        };
        candidates.iter().rev().find(started).or(candidates.last()).copied()
    }

    /// The `nth` process of this command line, from 0; the last one where there are fewer.
    pub(crate) fn by_text(&self, line: &str, nth: usize) -> Option<u32> {
        let candidates = self.by_text.get(line)?;
        candidates.get(nth).or(candidates.last()).copied()
    }

    /// The parent of a process, by the tree that it stands in or by pid.
    pub(crate) fn parent_of(&self, index: u32) -> Option<u32> {
        let process = self.get(index)?;
        process.under.or_else(|| self.by_pid(process.parent_pid.as_deref()?, process.start)).filter(|p| *p != index)
    }

    /// The platform that the processes' paths speak for: a backslash path is Windows', `/Users` and the like are
    /// macOS', any other absolute path is Linux'.
    pub(crate) fn guess(&self) -> Option<Platform> {
        const MACOS: &[&str] = &["/Applications/", "/Library/", "/System/", "/Users/", "/Volumes/", "/private/"];
        let mut guess = None;
        for process in self.processes.iter().take(4096) {
            let Some(path) = process.image.as_deref().or(process.command_line.as_deref()) else { continue };
            let path = path.trim_start_matches('"');
            if path.get(1..3) == Some(":\\") || (path.starts_with('%') && path.contains('\\')) {
                return Some(Platform::Windows);
            }
            if MACOS.iter().any(|root| path.starts_with(root)) {
                guess = Some(Platform::Macos);
            } else if path.starts_with('/') && guess.is_none() {
                guess = Some(Platform::Linux);
            }
        }
        guess
    }

    /// How many processes did not fit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn fill<T>(kept: &mut Option<T>, told: Option<T>) {
    if kept.is_none() {
        *kept = told;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: &str, parent: &str, line: &str, start: i64) -> Process {
        Process {
            pid: Some(pid.into()),
            parent_pid: Some(parent.into()),
            command_line: Some(line.into()),
            start: Some(start),
            ..Process::default()
        }
    }

    #[test]
    fn a_pid_that_was_used_twice_is_told_apart_by_time() {
        let mut table = ProcessTable::default();
        table.add(process("7", "1", "first", 10), 100);
        table.add(process("7", "1", "second", 20), 100);
        let line = |at| {
            table.by_pid("7", at).and_then(|i| table.get(i)).and_then(|p| p.command_line.as_deref().map(str::to_owned))
        };
        assert_eq!(line(Some(15)).as_deref(), Some("first"));
        assert_eq!(line(Some(25)).as_deref(), Some("second"));
        assert_eq!(line(None).as_deref(), Some("second"));
    }

    #[test]
    fn a_process_told_twice_is_one() {
        let mut table = ProcessTable::default();
        let one = table.add(Process { command_line: None, ..process("7", "1", "", 10) }, 100);
        let same = table.add(Process { start: None, ..process("7", "1", "a.exe -x", 0) }, 100);
        assert_eq!(one, same);
        assert_eq!(table.by_text("a.exe -x", 0), one);
    }

    #[test]
    fn a_process_is_never_its_own_parent_and_the_table_is_bounded() {
        let mut table = ProcessTable::default();
        let one = table.add(process("7", "7", "a", 10), 1).expect("fits");
        assert_eq!(table.parent_of(one), None);
        assert_eq!(table.add(process("8", "7", "b", 10), 1), None);
        assert_eq!(table.refused(), 1);
    }
}
