//! Owns one completion's reading: artifact after artifact, each record once, and at the end who caused what.

use crate::origin::OriginRules;
use crate::{Artifact, Kind, Limits, Origins, Platform, Record};
use sandsift_sigma::EventSource;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Mappings, origins and limits: immutable and shared by all runs.
#[derive(Debug, Default)]
pub struct Config {
    /// The bounds on reading.
    pub limits: Limits,
    /// How sandboxes' own processes are recognised.
    pub origins: Arc<OriginRules>,
}

/// What is known of a run beside its artifacts.
#[derive(Debug, Clone, Default)]
pub struct RunContext {
    /// The platform; absent, it follows from the artifacts.
    pub platform: Option<Platform>,
    /// What plain NDJSON answers to where its records do not say.
    pub source: Option<Arc<EventSource>>,
    /// The sample's file name in the guest, to find the root of the process tree by.
    pub sample_name: Option<String>,
    /// The sample's SHA-256 in lower-case hex.
    pub sample_sha256: Option<String>,
    /// The sandbox's name, such as `cape`, which tells whose tooling to expect.
    pub sandbox: Option<String>,
}

/// Records that could not be read or were left out, by reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// The artifact's index.
    pub artifact: u32,
    /// Stable, such as `record-unreadable`; `docs/formats.md` lists all.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// The first case, in words.
    pub detail: String,
}

/// What reading one artifact came to: `records` = records that became events + the counts in `skipped`.
#[derive(Debug, Clone, Default)]
pub struct ArtifactReport {
    /// The kind as recognised.
    pub kind: Option<Kind>,
    /// The platform that the artifact speaks of, where it can tell.
    pub platform: Option<Platform>,
    /// Records seen.
    pub records: u64,
    /// Events handed out, by category, else service, else `none`.
    pub events: BTreeMap<String, u64>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// Reads the artifacts of one completion.
#[derive(Debug)]
pub struct Run {
    config: Arc<Config>,
    context: RunContext,
}

impl Run {
    /// Starts reading a completion.
    pub fn new(config: Arc<Config>, context: RunContext) -> Self {
        Self { config, context }
    }

    /// Reads one artifact and hands each record to `sink` as it is read; `Break` ends the reading.
    pub fn read(
        &mut self,
        artifact: &Artifact<'_>,
        sink: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> ArtifactReport {
        let _ = (&self.config, &self.context, artifact, sink);
        ArtifactReport::default()
    }

    /// Ends the reading and tells who caused what.
    pub fn finish(self) -> Origins {
        Origins::default()
    }
}
