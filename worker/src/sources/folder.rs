//! Owns the walk through a folder of rules or mappings: which files count, in which order.

use sandsift_sigma::{Diagnostic, Severity};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders in folders; more is a loop of links.
const DEPTH: usize = 32;

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileOnDisk {
    /// Its path, opened as it stands.
    pub path: PathBuf,
    /// Its path below the folder that was walked, with `/`.
    pub relative: String,
}

/// Every YAML file below a folder, by path, without hidden folders and SigmaHQ's regression data; a file stands for
/// itself. What cannot be read is a finding.
pub fn walk(root: &Path) -> (Vec<FileOnDisk>, Vec<Diagnostic>) {
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => enter(root, "", 0, &mut files, &mut findings),
        Ok(_) => {
            let relative = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.push(FileOnDisk { path: root.to_owned(), relative });
        }
        Err(error) => findings.push(unreadable(root, &error)),
    }
    files.sort();
    (files, findings)
}

fn enter(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<FileOnDisk>, findings: &mut Vec<Diagnostic>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return findings.push(unreadable(folder, &error)),
    };
    for entry in entries.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let relative = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        // Follows links, so that a folder may be put together of links to others.
        let is_folder = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_folder {
            if depth < DEPTH && !name.starts_with('.') && name != "regression_data" {
                enter(&path, &relative, depth + 1, files, findings);
            }
        } else if name.ends_with(".yml") || name.ends_with(".yaml") {
            files.push(FileOnDisk { path, relative });
        }
    }
}

/// The finding about a file or folder that cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let help = "check that the path exists and may be read";
    finding("file-unreadable", path, format!("cannot be read: {error}"), help)
}

/// A finding of severity error about a file as a whole.
pub(super) fn finding(code: &'static str, path: &Path, message: String, help: &str) -> Diagnostic {
    Diagnostic::of_file(code, Severity::Error, path.display().to_string(), message, help)
}
