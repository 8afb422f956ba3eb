//! Owns how paths become completions to be: a file each, a folder with `completion.json` as one, or all together.

use std::io;
use std::path::{Path, PathBuf};

/// The file beside artifacts that says what run they are of.
pub const MARKER: &str = "completion.json";

/// Folders in folders; more is a loop of links.
const DEPTH: usize = 64;

/// The files of one completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// For messages.
    pub name: String,
    /// The folder's `completion.json`, if there is one.
    pub marker: Option<PathBuf>,
    /// The artifacts, sorted by path.
    pub files: Vec<PathBuf>,
    /// Whether it was found in a folder instead of being named, so that other files than artifacts are no error.
    pub of_a_folder: bool,
}

/// Plans what is published for paths: a file makes one completion; so does a folder that has a [`MARKER`], with all
/// files below it; of any other folder each file and each folder with a marker makes one. `together` takes all as one.
///
/// Hidden files are left out, and so is what is neither file nor folder.
pub fn plan(paths: &[PathBuf], together: bool) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        if std::fs::metadata(path)?.is_dir() {
            folder(path, 0, &mut inputs)?;
        } else {
            inputs.push(file(path.clone(), false));
        }
    }
    if together && !inputs.is_empty() {
        let name = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let marker = inputs.iter().find_map(|input| input.marker.clone());
        let files = inputs.into_iter().flat_map(|input| input.files).collect();
        return Ok(vec![Input { name, marker, files, of_a_folder: false }]);
    }
    Ok(inputs)
}

/// Everything below a folder as one completion, whether it has a marker or not.
pub fn whole_folder(path: &Path) -> io::Result<Input> {
    let mut files = Vec::new();
    below(path, 0, &mut files)?;
    let marker = Some(path.join(MARKER)).filter(|marker| marker.is_file());
    files.retain(|file| Some(file) != marker.as_ref());
    Ok(Input { name: path.display().to_string(), marker, files, of_a_folder: true })
}

fn file(path: PathBuf, of_a_folder: bool) -> Input {
    Input { name: path.display().to_string(), marker: None, files: vec![path], of_a_folder }
}

fn folder(path: &Path, depth: usize, inputs: &mut Vec<Input>) -> io::Result<()> {
    if path.join(MARKER).is_file() {
        inputs.push(whole_folder(path)?);
        return Ok(());
    }
    for entry in entries(path)? {
        match std::fs::metadata(&entry) {
            Ok(metadata) if metadata.is_dir() && depth < DEPTH => folder(&entry, depth + 1, inputs)?,
            Ok(metadata) if metadata.is_file() => inputs.push(file(entry, true)),
            _ => {}
        }
    }
    Ok(())
}

fn below(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in entries(path)? {
        match std::fs::metadata(&entry) {
            Ok(metadata) if metadata.is_dir() && depth < DEPTH => below(&entry, depth + 1, files)?,
            Ok(metadata) if metadata.is_file() => files.push(entry),
            _ => {}
        }
    }
    Ok(())
}

/// What is in a folder and not hidden, sorted.
fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    entries.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, file).expect("a file");
        }
        root
    }

    fn names(root: &Path, inputs: &[Input]) -> Vec<Vec<String>> {
        let relative = |path: &PathBuf| path.strip_prefix(root).expect("below").to_string_lossy().replace('\\', "/");
        inputs.iter().map(|input| input.files.iter().map(relative).collect()).collect()
    }

    #[test]
    fn a_folder_with_a_marker_is_one_and_loose_files_are_one_each() {
        let root =
            tree(&["b.evtx", "a.json", ".hidden", "run/completion.json", "run/x/s.evtx", "run/r.json", "deep/c.xml"]);
        let inputs = plan(&[root.path().to_owned()], false).expect("a plan");
        assert_eq!(
            names(root.path(), &inputs),
            [vec!["a.json"], vec!["b.evtx"], vec!["deep/c.xml"], vec!["run/r.json", "run/x/s.evtx"]]
        );
        assert!(inputs[3].marker.is_some() && inputs[0].marker.is_none());
    }

    #[test]
    fn together_makes_one_of_all() {
        let root = tree(&["b.evtx", "a.json"]);
        let inputs = plan(&[root.path().join("b.evtx"), root.path().join("a.json")], true).expect("a plan");
        assert_eq!(names(root.path(), &inputs), [vec!["b.evtx", "a.json"]]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(plan(&[PathBuf::from("no/such/file")], false).is_err());
    }
}
