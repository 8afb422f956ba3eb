//! Owns how paths become jobs: a file each, or all of them as one completion.

use crate::failure::Failure;
use sandsift_bus::message::{Artifact, Completion, Sample, Sandbox};
use sandsift_worker::execute::{Job, LogSource};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Folders in folders; more is a loop of links.
const DEPTH: usize = 64;

/// The paths of one analysis.
#[derive(Debug)]
pub struct Input {
    /// For messages.
    pub name: String,
    /// Whether it was found in a folder instead of being named, so that other files than artifacts are no error.
    pub of_a_folder: bool,
    files: Vec<PathBuf>,
}

/// Why an input came to no job.
#[derive(Debug)]
pub enum Problem {
    /// The file cannot be read.
    Io(PathBuf, std::io::Error),
    /// The file is larger than `limits.artifact_bytes`.
    TooLarge(PathBuf, u64, u64),
    /// No decoder knows the file.
    Unrecognised,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::TooLarge(path, bytes, limit) => write!(
                f,
                "{} has {bytes} bytes, which exceeds the limit of {limit} (limits.artifact_bytes)",
                path.display()
            ),
            Self::Unrecognised => f.write_str("of no known kind; docs/formats.md lists the kinds that are read"),
        }
    }
}

/// A path an input, a folder's files one each; or one for all.
pub fn expand(paths: &[PathBuf], together: bool) -> Result<Vec<Input>, Failure> {
    let mut inputs = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path)
            .map_err(|error| Failure::problem(format!("{}: cannot be read: {error}", path.display())))?;
        if metadata.is_dir() {
            let mut files = Vec::new();
            walk(path, 0, &mut files)
                .map_err(|error| Failure::problem(format!("{}: cannot be read: {error}", path.display())))?;
            files.sort();
            inputs.extend(files.into_iter().map(|file| Input {
                name: file.display().to_string(),
                of_a_folder: true,
                files: vec![file],
            }));
        } else {
            inputs.push(Input { name: path.display().to_string(), of_a_folder: false, files: vec![path.clone()] });
        }
    }
    if together {
        let files: Vec<PathBuf> = inputs.into_iter().flat_map(|input| input.files).collect();
        let name = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        return Ok(vec![Input { name, of_a_folder: false, files }]);
    }
    Ok(inputs)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() && depth < DEPTH => walk(&path, depth + 1, files)?,
            Ok(metadata) if metadata.is_file() => files.push(path),
            // Devices and pipes are no artifacts; dangling links are nobody's.
            _ => {}
        }
    }
    Ok(())
}

impl Input {
    /// Reads the files and makes the job.
    pub fn job(
        &self,
        platform: Option<String>,
        logsource: Option<LogSource>,
        completion: Option<&Completion>,
        limit: u64,
    ) -> Result<Job, Problem> {
        let mut artifacts = Vec::with_capacity(self.files.len());
        let mut references = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let length = std::fs::metadata(path).map_err(|error| Problem::Io(path.clone(), error))?.len();
            if length > limit {
                return Err(Problem::TooLarge(path.clone(), length, limit));
            }
            let bytes = std::fs::read(path).map_err(|error| Problem::Io(path.clone(), error))?;
            references.push(Artifact {
                kind: None,
                store: None,
                key: path.file_name().map(|name| name.to_string_lossy().into_owned()),
                sha256: Some(format!("{:x}", Sha256::digest(&bytes))),
                bytes: Some(bytes.len() as u64),
                inline: None,
                encoding: None,
            });
            artifacts.push(bytes);
        }
        let completion = match completion {
            Some(given) => {
                let mut completion = given.clone();
                if let Some(platform) = platform {
                    completion.platform = platform;
                }
                // The claim checks stand as they were published; what was read here must be what they name.
                if completion.artifacts.len() != references.len() {
                    completion.artifacts = references;
                }
                completion
            }
            None => self.made_up(platform, references),
        };
        Ok(Job { completion, artifacts, attempt: 1, logsource, worker: "scan".to_owned(), input: self.name.clone() })
    }

    /// The sample's digest as a file's or its folder's name tells it, else that of the first artifact, since a result
    /// needs one.
    fn sample(&self, artifacts: &[Artifact]) -> String {
        let digest = |text: &str| {
            let mut runs = text.split(|c: char| !c.is_ascii_hexdigit());
            runs.find(|run| run.len() == 64).map(str::to_ascii_lowercase)
        };
        let names = self.files.iter().flat_map(|file| file.iter().rev().take(2));
        let told = names.into_iter().find_map(|name| digest(&name.to_string_lossy()));
        told.or_else(|| artifacts.first()?.sha256.clone()).unwrap_or_default()
    }

    /// A completion for files that came without one; its id follows from the content, so that a second scan is equal.
    fn made_up(&self, platform: Option<String>, artifacts: Vec<Artifact>) -> Completion {
        let mut names: Vec<&str> = artifacts.iter().filter_map(|artifact| artifact.sha256.as_deref()).collect();
        names.insert(0, "scan");
        Completion {
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, names.join("\0").as_bytes()).to_string(),
            sample: Sample { sha256: self.sample(&artifacts), ..Sample::default() },
            platform: platform.unwrap_or_default(),
            sandbox: Sandbox { name: "scan".to_owned(), version: None, machine: None },
            started: None,
            finished: None,
            root_uid: None,
            parent_uid: None,
            artifacts,
        }
    }
}
