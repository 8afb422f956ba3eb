//! Owns the sample completions: every story rendered into a folder of its own, as the demo and the tests use them.

use super::{Cast, Story, UnknownProcess, eslogger, made_id, made_sha256, report, sysmon, windows};
use crate::evtx::{WriteError, write_all};
use serde_json::json;
use std::io::{Cursor, Write};
use std::path::Path;

/// Why a story could not be rendered.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SampleError {
    #[error("{file}: {source}")]
    Unreadable { file: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{file}: {source}")]
    Unplayable { file: String, source: UnknownProcess },
    #[error("could not write an event log: {0}")]
    Log(#[from] WriteError),
    #[error("could not write an archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{file}: '{render}' is no rendering; take evtx, evtx.zip, behaviour, sysmon-linux or eslogger")]
    UnknownRendering { file: String, render: String },
}

/// One completion: a folder's files by name, `completion.json` among them.
#[derive(Debug)]
pub struct Sample {
    /// `<platform>/<story>`.
    pub folder: String,
    /// Names and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Renders every story of a folder, in the order of their names.
pub fn all(stories: &Path) -> Result<Vec<Sample>, SampleError> {
    let mut paths: Vec<_> = std::fs::read_dir(stories)?.collect::<Result<Vec<_>, _>>()?;
    paths.retain(|entry| entry.path().extension().is_some_and(|extension| extension == "yml"));
    paths.sort_by_key(std::fs::DirEntry::file_name);
    paths.iter().map(|entry| sample(&entry.path())).collect()
}

fn sample(path: &Path) -> Result<Sample, SampleError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)?;
    let story: Story = serde_yaml::from_str(&text)
        .map_err(|source| SampleError::Unreadable { file: file.clone(), source: Box::new(source) })?;
    let cast = Cast::play(&story).map_err(|source| SampleError::Unplayable { file: file.clone(), source })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut files = artifacts(&cast, &file)?;
    files.push(("completion.json".to_owned(), completion(&story, &name, &files)));
    Ok(Sample { folder: format!("{}/{name}", story.platform), files })
}

fn artifacts(cast: &Cast<'_>, file: &str) -> Result<Vec<(String, Vec<u8>)>, SampleError> {
    let files = match cast.story.render.as_str() {
        "evtx" => {
            let mut files = Vec::new();
            for (channel, records) in windows::channels(cast) {
                files.push((format!("{}.evtx", channel.replace('/', "%4")), write_all(&records)?));
            }
            files
        }
        "evtx.zip" => vec![("evtx.zip".to_owned(), zipped(cast)?)],
        "behaviour" => vec![("behaviour.json".to_owned(), pretty(&report::behaviour(cast)))],
        "sysmon-linux" => vec![("sysmon.log".to_owned(), sysmon::linux_log(cast).into_bytes())],
        "eslogger" => vec![("eslogger.ndjson".to_owned(), eslogger::log(cast).into_bytes())],
        other => {
            return Err(SampleError::UnknownRendering { file: file.to_owned(), render: other.to_owned() });
        }
    };
    Ok(files)
}

/// An archive of one log a channel, named as CAPE's auxiliary names them.
fn zipped(cast: &Cast<'_>) -> Result<Vec<u8>, SampleError> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    for (channel, records) in windows::channels(cast) {
        archive.start_file(format!("1_{}.evtx", channel.replace('/', "%4")), options)?;
        archive.write_all(&write_all(&records)?)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn completion(story: &Story, name: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let sha256 = made_sha256(&story.sample.name);
    let artifacts: Vec<_> = files.iter().map(|(file, _)| listed(&story.render, file)).collect();
    pretty(&json!({
        "id": uuid::Uuid::from_u128(made_id(name)).to_string(),
        "sample": {
            "sha256": sha256,
            "md5": &sha256[..32],
            "name": story.sample.name,
            "type": story.sample.kind,
            "tags": story.sample.tags,
        },
        "platform": story.platform,
        "sandbox": {"name": story.sandbox.name, "version": story.sandbox.version, "machine": story.sandbox.machine},
        "started": story.start.iso(),
        "finished": story.start.plus(story.end).iso(),
        "artifacts": artifacts,
    }))
}

/// What the completion says that its files are; formats of logs are left to be recognised.
fn listed(render: &str, file: &str) -> serde_json::Value {
    match render {
        "evtx" | "evtx.zip" | "behaviour" => json!({"kind": render, "file": file}),
        _ => json!({"file": file}),
    }
}

fn pretty(value: &serde_json::Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}
