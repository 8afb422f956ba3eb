//! Owns what a unit of a watched folder is, and when it is finished.

use crate::input::{Input, whole_folder};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Endings of files that someone is still writing.
const UNFINISHED: [&str; 6] = ["tmp", "part", "partial", "crdownload", "download", "lock"];

/// A finished entry of the watched folder.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its name in the folder.
    pub name: String,
    /// Changes whenever a file in it comes, goes, grows or is written.
    pub state: u64,
    /// What is published of it.
    pub input: Input,
}

/// The finished units of a folder, sorted by name. An entry that cannot be read now is left for the next look.
pub(super) fn finished(root: &Path, settle: Duration) -> io::Result<Vec<Unit>> {
    let mut units = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if let Ok(Some(unit)) = unit(&entry.path(), name, settle) {
            units.push(unit);
        }
    }
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(units)
}

fn unit(path: &Path, name: String, settle: Duration) -> io::Result<Option<Unit>> {
    let folder = std::fs::metadata(path)?.is_dir();
    let mut input = if folder {
        whole_folder(path)?
    } else {
        Input { name: name.clone(), marker: None, files: vec![path.to_owned()], of_a_folder: true }
    };
    if folder && input.marker.is_none() {
        if is_unreported_analysis(path) {
            return Ok(None);
        }
        // Beside `report.json`, CAPE's other reports tell the same again.
        let report = path.join("reports/report.json");
        if input.files.contains(&report) {
            input.files.retain(|file| *file == report || file.parent() != report.parent());
        }
    }
    let all: Vec<&PathBuf> = input.files.iter().chain(&input.marker).collect();
    if all.is_empty() || all.iter().any(|file| is_unfinished(file)) {
        return Ok(None);
    }
    let mut state = DefaultHasher::new();
    let now = SystemTime::now();
    for file in all {
        let metadata = std::fs::metadata(file)?;
        let modified = metadata.modified()?;
        // A time in the future is a clock that differs; such a file counts as settled.
        if now.duration_since(modified).is_ok_and(|age| age < settle) {
            return Ok(None);
        }
        (file.strip_prefix(path).unwrap_or(file), metadata.len(), modified).hash(&mut state);
    }
    Ok(Some(Unit { name, state: state.finish(), input }))
}

/// Whether a folder is an analysis of CAPE or Cuckoo that has no report yet.
fn is_unreported_analysis(path: &Path) -> bool {
    let analysis =
        path.join("analysis.log").exists() || path.join("task.json").exists() || path.join("reports").is_dir();
    let reported = ["reports/report.json", "reports/lite.json"].iter().any(|report| path.join(report).is_file());
    analysis && !reported
}

fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|end| UNFINISHED.iter().any(|unfinished| end.eq_ignore_ascii_case(unfinished)))
}
