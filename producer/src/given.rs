//! Owns what a `completion.json` beside artifacts says: a completion of which anything may be left out, and whose
//! artifacts may name files beside it.

use sandsift_bus::message::{Artifact, Sample, Sandbox};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

/// Why a `completion.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum GivenError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{}: artifacts[{index}]: '{file}' does not name a file beside it", path.display())]
    Outside { path: PathBuf, index: usize, file: String },
}

/// A completion as far as it is given.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Given {
    pub id: Option<String>,
    #[serde(default)]
    pub sample: Option<GivenSample>,
    pub platform: Option<String>,
    pub sandbox: Option<Sandbox>,
    pub started: Option<String>,
    pub finished: Option<String>,
    pub root_uid: Option<String>,
    pub parent_uid: Option<String>,
    /// Absent, every file of the folder is one.
    pub artifacts: Option<Vec<GivenArtifact>>,
}

/// A sample of which the digest may be left out.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct GivenSample {
    #[serde(default)]
    pub sha256: Option<String>,
    pub md5: Option<String>,
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
}

impl GivenSample {
    /// The sample, with this digest where it has none.
    pub fn with(self, sha256: impl FnOnce() -> String) -> Sample {
        Sample {
            sha256: self.sha256.unwrap_or_else(sha256),
            md5: self.md5,
            name: self.name,
            kind: self.kind,
            tags: self.tags,
        }
    }
}

/// An artifact: a file beside the completion, or anything that a message may hold.
#[derive(Debug, Deserialize)]
pub(crate) struct GivenArtifact {
    /// A path below the folder of the `completion.json`.
    pub file: Option<String>,
    #[serde(flatten)]
    pub artifact: Artifact,
}

impl Given {
    /// Reads a `completion.json`, bare or as a CloudEvent.
    pub fn read(path: &Path) -> Result<Self, GivenError> {
        let text = std::fs::read(path).map_err(|source| GivenError::Io { path: path.to_owned(), source })?;
        let parse = || -> Result<Self, serde_json::Error> {
            let mut document: serde_json::Value = serde_json::from_slice(&text)?;
            if document.get("specversion").is_some() {
                document = document.get_mut("data").map(serde_json::Value::take).unwrap_or_default();
            }
            serde_json::from_value(document)
        };
        parse().map_err(|source| GivenError::Json { path: path.to_owned(), source })
    }
}

/// Where a file that a `completion.json` names lies: below the folder, never above or elsewhere.
pub(crate) fn beside(marker: &Path, index: usize, file: &str) -> Result<PathBuf, GivenError> {
    let relative = Path::new(file);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let path = marker.parent().unwrap_or(Path::new("")).join(relative);
    if file.is_empty() || !plain || !path.is_file() {
        return Err(GivenError::Outside { path: marker.to_owned(), index, file: file.to_owned() });
    }
    Ok(path)
}
