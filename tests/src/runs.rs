//! Owns runs of the shipped engine on the sample completions: what the demo shows, without a broker.

use sandsift_bus::message::{Analysis, Completion};
use sandsift_producer::{FileStore, Packer, plan, samples};
use sandsift_worker::execute::{Executor, Job, Threads};
use sandsift_worker::sources::Assembly;
use std::path::Path;

/// Everything that can go wrong is a fault of the tests themselves.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Packs every sample; artifacts go into a store below the folder.
pub fn pack_samples(folder: &Path) -> Outcome<Vec<Completion>> {
    samples::extract(folder)?;
    let packer = Packer {
        store: Some(FileStore::new("fleet", folder.join(".store"))),
        ingest: Assembly { shipped: true, ..Assembly::default() }.assemble_ingest(),
        ..Packer::default()
    };
    plan(&[folder.to_owned()], false)?.iter().map(|input| Ok(packer.pack(input)?)).collect()
}

/// Matches every sample against the rules that ship.
pub fn analyse_samples() -> Outcome<Vec<Analysis>> {
    let folder = tempfile::tempdir()?;
    let executor = Threads::new(Assembly { shipped: true, ..Assembly::default() }.assemble().engine);
    let mut analyses = Vec::new();
    for completion in pack_samples(folder.path())? {
        let mut artifacts = Vec::new();
        for artifact in &completion.artifacts {
            artifacts.push(match (&artifact.inline, &artifact.key) {
                (Some(inline), _) => serde_json::to_vec(inline)?,
                (None, key) => std::fs::read(folder.path().join(".store").join(key.as_deref().unwrap_or_default()))?,
            });
        }
        let job = Job {
            completion,
            artifacts,
            attempt: 1,
            logsource: None,
            worker: "test".to_owned(),
            input: "test".to_owned(),
        };
        analyses.push(executor.execute(job)?);
    }
    Ok(analyses)
}
