//! Owns how an input becomes a completion: kinds and platform recognised by content, small JSON inline, the rest as
//! claim checks into the store. What is said in `completion.json` wins over what is found.

use crate::given::{Given, GivenError, beside};
use crate::input::Input;
use crate::store::FileStore;
use sandsift_bus::message::validate::Invalid;
use sandsift_bus::message::{Artifact, Completion, Sandbox};
use sandsift_ingest::{Config, Kind, Platform, Run, RunContext};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Why an input came to no completion.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PackError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} has {bytes} bytes, which exceeds the limit of {limit} (limits.artifact_bytes)", path.display())]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
    #[error("cannot put {} into the store '{store}': {source}", path.display())]
    Store { path: PathBuf, store: String, source: std::io::Error },
    #[error("{} is too large to travel inline; name a store with --store", path.display())]
    NoStore { path: PathBuf },
    #[error("{name} holds no artifact of a known kind; docs/formats.md lists the kinds that are read")]
    NoArtifact { name: String },
    #[error("{name} does not tell its platform; name it with --platform windows, linux or macos")]
    NoPlatform { name: String },
    #[error(transparent)]
    Given(#[from] GivenError),
    #[error("{name}: {source}")]
    Invalid { name: String, source: Invalid },
}

/// Makes completions of inputs.
#[derive(Debug, Clone)]
pub struct Packer {
    /// Where artifacts go that do not travel inline.
    pub store: Option<FileStore>,
    /// JSON of at most this many bytes travels inline.
    pub inline_bytes: u64,
    /// What an artifact may have at most; the workers' `limits.artifact_bytes`.
    pub artifact_bytes: u64,
    /// The platform of all inputs that do not say it themselves.
    pub platform: Option<String>,
    /// The sandbox of all inputs that do not say it themselves.
    pub sandbox: String,
    /// How formats are read, for their recognition.
    pub ingest: Arc<Config>,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            store: None,
            inline_bytes: 64 << 10,
            artifact_bytes: sandsift_ingest::Limits::default().artifact_bytes,
            platform: None,
            sandbox: "produce".to_owned(),
            ingest: Arc::default(),
        }
    }
}

/// A file that was read.
struct Loaded {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
    kind: Option<Kind>,
    platform: Option<Platform>,
}

impl Packer {
    /// Makes the completion of an input and puts its artifacts into the store.
    ///
    /// An id that is not given follows from the content, so that a second run is the same completion.
    pub fn pack(&self, input: &Input) -> Result<Completion, PackError> {
        let given = input.marker.as_deref().map(Given::read).transpose()?.unwrap_or_default();
        let mut found = Found::default();
        match (&input.marker, given.artifacts) {
            (Some(marker), Some(listed)) => {
                for (index, entry) in listed.into_iter().enumerate() {
                    match entry.file {
                        Some(file) => {
                            found.add(self, self.load(&beside(marker, index, &file)?)?, entry.artifact.kind)?;
                        }
                        // Inline data or a claim check of someone else's goes out as it is.
                        None => found.artifacts.push(entry.artifact),
                    }
                }
            }
            _ => {
                for path in &input.files {
                    let loaded = self.load(path)?;
                    // A run's folder also holds dumps, pictures and logs of the sandbox itself.
                    if loaded.kind.is_some() || !input.of_a_folder {
                        found.add(self, loaded, None)?;
                    }
                }
            }
        }
        let name = || input.name.clone();
        if found.artifacts.is_empty() {
            return Err(PackError::NoArtifact { name: name() });
        }
        let platform = given
            .platform
            .or_else(|| self.platform.clone())
            .or_else(|| found.platform.map(|platform| platform.as_str().to_owned()))
            .ok_or_else(|| PackError::NoPlatform { name: name() })?;
        let sample = given.sample.unwrap_or_default();
        let completion = Completion {
            id: given.id.unwrap_or_else(|| content_id(&platform, &found.digests)),
            sample: sample.with(|| found.sample()),
            platform,
            sandbox: given.sandbox.unwrap_or_else(|| Sandbox { name: self.sandbox.clone(), ..Sandbox::default() }),
            started: given.started,
            finished: given.finished,
            root_uid: given.root_uid,
            parent_uid: given.parent_uid,
            artifacts: found.artifacts,
        };
        // The reader's own check: what a worker would refuse is not sent.
        let body = serde_json::to_vec(&completion).unwrap_or_default();
        Completion::from_body(&body).map_err(|source| PackError::Invalid { name: name(), source })
    }

    fn load(&self, path: &Path) -> Result<Loaded, PackError> {
        let fail = |source| PackError::Io { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(fail)?.len();
        if bytes > self.artifact_bytes {
            return Err(PackError::TooLarge { path: path.to_owned(), bytes, limit: self.artifact_bytes });
        }
        let bytes = std::fs::read(path).map_err(fail)?;
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        let (kind, platform) = recognise(&self.ingest, path, &bytes);
        Ok(Loaded { path: path.to_owned(), bytes, sha256, kind, platform })
    }

    fn artifact(&self, loaded: Loaded, kind: Option<String>) -> Result<Artifact, PackError> {
        let kind = kind.or_else(|| loaded.kind.as_ref().map(|kind| kind.0.to_string()));
        let empty = Artifact { kind, store: None, key: None, sha256: None, bytes: None, encoding: None, inline: None };
        if loaded.bytes.len() as u64 <= self.inline_bytes
            && let Some((inline, exact)) = as_json(&loaded.bytes)
            && (exact || self.store.is_none())
        {
            return Ok(Artifact { inline: Some(inline), ..empty });
        }
        let Some(store) = &self.store else {
            return Err(PackError::NoStore { path: loaded.path });
        };
        let key = store.put(&loaded.sha256, &loaded.bytes).map_err(|source| PackError::Store {
            path: loaded.path,
            store: store.name().to_owned(),
            source,
        })?;
        Ok(Artifact {
            store: Some(store.name().to_owned()),
            key: Some(key),
            sha256: Some(loaded.sha256),
            bytes: Some(loaded.bytes.len() as u64),
            ..empty
        })
    }
}

/// What the files of an input come to.
#[derive(Default)]
struct Found {
    artifacts: Vec<Artifact>,
    digests: Vec<String>,
    platform: Option<Platform>,
    sample: Option<String>,
}

impl Found {
    fn add(&mut self, packer: &Packer, loaded: Loaded, kind: Option<String>) -> Result<(), PackError> {
        self.platform = self.platform.or(loaded.platform);
        self.sample = self.sample.take().or_else(|| sample_of(&loaded));
        self.digests.push(loaded.sha256.clone());
        self.artifacts.push(packer.artifact(loaded, kind)?);
        Ok(())
    }

    /// The sample's digest where none was given: as a report or a file's name tells, else that of the first artifact,
    /// since a completion needs one.
    fn sample(&self) -> String {
        let first = || self.digests.first().cloned();
        self.sample.clone().or_else(first).unwrap_or_else(|| format!("{:x}", Sha256::digest(b"")))
    }
}

/// The kind and the platform of a content, by reading it up to its first event.
fn recognise(config: &Arc<Config>, path: &Path, bytes: &[u8]) -> (Option<Kind>, Option<Platform>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let artifact = sandsift_ingest::Artifact { index: 0, name: &name, kind: None, bytes };
    let mut run = Run::new(Arc::clone(config), RunContext::default());
    let report = run.read(&artifact, &mut |_| ControlFlow::Break(()));
    (report.kind, report.platform)
}

/// Content as a JSON object or list, and whether, the order of keys aside, not a byte of it changes on the way: numbers
/// beyond 64 bits and repeated keys do.
fn as_json(content: &[u8]) -> Option<(Value, bool)> {
    let value: Value = serde_json::from_slice(content).ok()?;
    if !value.is_object() && !value.is_array() {
        return None;
    }
    let mut before = without_space(content);
    let mut after = serde_json::to_vec(&value).ok()?;
    before.sort_unstable();
    after.sort_unstable();
    Some((value, before == after))
}

/// JSON without the white space between its tokens.
fn without_space(json: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let mut kept = Vec::with_capacity(json.len());
    for &byte in json {
        if quoted || !byte.is_ascii_whitespace() {
            kept.push(byte);
        }
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && byte == b'\\' && !escaped;
    }
    kept
}

/// The sample's SHA-256 as a report says it (CAPE and Cuckoo: `target.file.sha256`; VirusTotal: the id's beginning),
/// else as the file's or its folder's name does.
fn sample_of(loaded: &Loaded) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Report {
        #[serde(default)]
        target: Value,
        #[serde(default)]
        id: Value,
        #[serde(default)]
        data: Value,
    }
    let report = serde_json::from_slice::<Report>(&loaded.bytes).ok();
    let told = report.as_ref().and_then(|report| {
        let file = report.target.pointer("/file/sha256").and_then(Value::as_str);
        let id = report.id.as_str().or_else(|| report.data.get("id")?.as_str());
        [file, id].into_iter().flatten().find_map(digest_in)
    });
    let names = || loaded.path.iter().rev().take(2).find_map(|name| digest_in(&name.to_string_lossy()));
    told.or_else(names)
}

/// The first run of exactly 64 hexadecimal digits.
fn digest_in(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_hexdigit()).find(|run| run.len() == 64).map(str::to_ascii_lowercase)
}

/// An id that follows from platform and content.
fn content_id(platform: &str, digests: &[String]) -> String {
    let name = format!("completion\0{platform}\0{}", digests.join("\0"));
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
