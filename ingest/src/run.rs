//! Owns one completion's reading: artifact after artifact, each record once, and at the end who caused what.

use crate::decode::{self, Emitter, Seen};
use crate::origin::{OriginRules, Origins, Tracker};
use crate::{Artifact, Kind, Limits, Mappings, Platform, Record};
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
    /// How reports become events.
    pub mappings: Arc<Mappings>,
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
    /// Records seen. What could not be read at all, such as a damaged chunk, counts as one.
    pub records: u64,
    /// Events handed out, by category, else service, else `none`; one record may give several.
    pub events: BTreeMap<String, u64>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// What was noticed without anything being left out by it, such as a kind that is named wrongly.
    pub notes: Vec<Skipped>,
}

/// Reads the artifacts of one completion.
#[derive(Debug)]
pub struct Run {
    config: Arc<Config>,
    context: RunContext,
    seen: Seen,
    tracker: Tracker,
    records: u64,
}

impl Run {
    /// Starts reading a completion.
    pub fn new(config: Arc<Config>, context: RunContext) -> Self {
        let mut tracker = Tracker::new(Arc::clone(&config.origins), &config.limits);
        tracker.sample(context.sample_name.as_deref(), context.sample_sha256.as_deref());
        if let Some(sandbox) = &context.sandbox {
            tracker.sandbox(sandbox);
        }
        Self { config, context, seen: Seen::default(), tracker, records: 0 }
    }

    /// Reads one artifact and hands each record to `sink` as it is read; `Break` ends the reading.
    ///
    /// Never fails: what cannot be read is counted by reason in the report. A record of an event log that was read
    /// before in this run, from this artifact or another, is counted as `duplicate-record` and not handed out again.
    pub fn read(
        &mut self,
        artifact: &Artifact<'_>,
        sink: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> ArtifactReport {
        let (config, context) = (&self.config, &self.context);
        let mut out =
            Emitter::new(config, context, artifact, &mut self.seen, &mut self.tracker, &mut self.records, sink);
        let limit = config.limits.artifact_bytes;
        if artifact.bytes.len() as u64 > limit {
            out.lost("artifact-bytes", || {
                let size = artifact.bytes.len();
                format!("'{}' has {size} bytes, more than {limit} (limits.artifact_bytes)", artifact.name)
            });
        } else if !decode::read(artifact.name, artifact.kind, artifact.bytes, &mut out) {
            out.lost("unrecognised", || format!("'{}' is of no format that can be read", artifact.name));
        }
        out.finish()
    }

    /// Ends the reading and tells who caused what.
    pub fn finish(self) -> Origins {
        self.tracker.finish()
    }
}
