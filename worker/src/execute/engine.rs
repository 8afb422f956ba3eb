//! Owns the engine: rules, mappings and settings under one digest, and the run of one job through them.

use super::card::hex;
use super::collect::{Collector, origin_name};
use super::{ExecuteError, Job};
use sandsift_bus::message::{Analysis, CompletionRef, Incomplete, RuleSetRef, RunInfo, Stats};
use sandsift_ingest::behaviour::{BehaviourLimits, Summary};
use sandsift_ingest::{Artifact, ArtifactReport, Config, Kind, Origin, Platform, Record, Run, RunContext};
use sandsift_sigma::{EventSource, Hit, RuleIndex, RuleSet, Scratch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The engine's name and version as results carry it.
const ENGINE: &str = concat!("sandsift ", env!("CARGO_PKG_VERSION"));

/// One event in this many is timed, since reading a clock twice an event would cost more than many a match.
const TIMED: u32 = 64;

/// What decides a result beside rules, mappings and limits on reading; part of the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Contexts shown for a rule; 0 shows all. Counts are always exact.
    pub max_contexts: usize,
    /// Origins whose matches are left out; `unknown` is never hidden.
    pub hidden_origins: BTreeSet<Origin>,
    /// Bytes that all contexts of a completion may have together.
    pub contexts_bytes: usize,
    /// Bytes that one value of a context may have; the rest is cut.
    pub value_bytes: usize,
    /// Pairs of rule and process that are counted apart.
    pub tallies: usize,
    /// Whether what the run did is summed up too; changes no result, so that it is part of the digest only where it is on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub behaviour: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_contexts: 10,
            hidden_origins: BTreeSet::new(),
            contexts_bytes: 256 << 20,
            value_bytes: 64 << 10,
            tallies: 1_000_000,
            behaviour: false,
        }
    }
}

impl Settings {
    pub(super) fn contexts_a_rule(&self) -> usize {
        if self.max_contexts == 0 { usize::MAX } else { self.max_contexts }
    }

    pub(super) fn hides(&self, origin: Origin) -> bool {
        origin != Origin::Unknown && self.hidden_origins.contains(&origin)
    }
}

/// Rules, mappings and settings, ready to run jobs on any number of threads.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    ingest: Arc<Config>,
    settings: Settings,
    digest: String,
    buffers: Mutex<Vec<Buffers>>,
}

/// What one thread writes to, kept for the next job.
#[derive(Debug)]
struct Buffers {
    scratch: Scratch,
    hits: Vec<Hit>,
}

impl Engine {
    /// Joins a rule set with what reads artifacts; `content` is the digest of mappings and origins as they were read.
    pub fn new(rules: Arc<RuleSet>, ingest: Arc<Config>, content: [u8; 32], settings: Settings) -> Self {
        let mut hash = Sha256::new();
        hash.update(ENGINE);
        hash.update(rules.digest());
        hash.update(content);
        // Plain structs of numbers and names: writing them as JSON cannot fail.
        hash.update(serde_json::to_vec(&settings).unwrap_or_default());
        hash.update(serde_json::to_vec(&ingest.limits).unwrap_or_default());
        let digest = hex(&hash.finalize());
        Self { rules, ingest, settings, digest, buffers: Mutex::default() }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What names all that decides a result, in lower-case hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The digest and the number of rules, as an analysis carries them.
    pub fn ruleset(&self) -> RuleSetRef {
        RuleSetRef {
            digest: self.digest.clone(),
            rules: (self.rules.rules().len() + self.rules.correlations().len()) as u64,
        }
    }

    /// Runs one job to its end on the calling thread.
    pub fn analyse(&self, job: &Job) -> Result<Analysis, ExecuteError> {
        let started = Instant::now();
        let claimed = claimed_platform(&job.completion.platform)?;
        let context = RunContext {
            platform: claimed,
            source: job.logsource.as_ref().map(|given| {
                EventSource::new(given.product.as_deref(), given.category.as_deref(), given.service.as_deref())
            }),
            sample_name: job.completion.sample.name.clone(),
            // Who does not know the sample names it after an artifact; no process has that file's digest.
            sample_sha256: Some(job.completion.sample.sha256.to_ascii_lowercase()).filter(|sha| {
                let of_an_artifact = |artifact: &sandsift_bus::message::Artifact| artifact.sha256.as_ref() == Some(sha);
                !sha.is_empty() && !job.completion.artifacts.iter().any(of_an_artifact)
            }),
            sandbox: Some(job.completion.sandbox.name.clone()).filter(|name| !name.is_empty()),
        };
        let mut buffers = self.take_buffers();
        let mut run = Run::new(Arc::clone(&self.ingest), context);
        let mut collector = Collector::new(&self.settings, &self.rules);
        let mut summary = self.settings.behaviour.then(|| Summary::new(BehaviourLimits::default()));
        let mut clock = Clock::default();
        let mut reports = Vec::with_capacity(job.artifacts.len());
        // Events on which a rule fires for want of a field that their source cannot have, by artifact, with the first.
        let mut uncertain: BTreeMap<u32, (u64, RuleIndex)> = BTreeMap::new();
        for (index, bytes) in (0u32..).zip(&job.artifacts) {
            let given = job.completion.artifacts.get(index as usize);
            let kind = given.and_then(|artifact| artifact.kind.clone()).map(|kind| Kind(kind.into()));
            let name = given.and_then(|artifact| artifact.key.as_deref()).unwrap_or("inline");
            let artifact = Artifact { index, name, kind: kind.as_ref(), bytes };
            let report = run.read(&artifact, &mut |record: &Record<'_>| {
                buffers.hits.clear();
                clock.time(|| self.rules.matches(record.event, &mut buffers.scratch, &mut buffers.hits));
                if !buffers.hits.is_empty() {
                    collector.take(record, &buffers.hits, &self.rules);
                    let unsure = |hit: &&Hit| !self.rules.is_certain(record.event, hit.rule);
                    if let Some(hit) = buffers.hits.iter().find(unsure) {
                        let (count, _) = uncertain.entry(index).or_insert((0u64, hit.rule));
                        *count += 1;
                    }
                }
                if let Some(summary) = &mut summary {
                    summary.observe(record.event, record.actor);
                }
                ControlFlow::Continue(())
            });
            reports.push(report);
        }
        let origins = run.finish();
        let outcome = collector.finish(&self.rules, &origins);
        let behaviour = summary.map(|summary| summary.finish(&origins, |origin| !self.settings.hides(origin)));
        self.give_buffers(buffers);

        let platform = match claimed.or_else(|| reports.iter().find_map(|report| report.platform)) {
            Some(platform) => platform.as_str().to_owned(),
            None if reports.iter().all(|report| report.kind.is_none()) => {
                let detail = "no artifact is of a kind that is known";
                return Err(ExecuteError::new(ExecuteError::UNRECOGNISED, detail));
            }
            None => {
                let detail = "no artifact tells which platform the sample ran on; name it (completion 'platform', scan --platform)";
                return Err(ExecuteError::new(ExecuteError::PLATFORM_UNKNOWN, detail));
            }
        };
        let mut incomplete = outcome.incomplete;
        incomplete.extend(uncertain.into_iter().map(|(artifact, (count, rule))| Incomplete {
            artifact: Some(artifact),
            code: "match-uncertain".to_owned(),
            count,
            detail: format!(
                "'{}' excludes by a field that these events cannot have (docs/windows.md)",
                self.rules.rule(rule).metadata.title
            ),
        }));
        let told = reports.iter().flat_map(|report| report.skipped.iter().chain(&report.notes));
        incomplete.extend(told.map(|skipped| Incomplete {
            artifact: Some(skipped.artifact),
            code: skipped.code.to_owned(),
            count: skipped.count,
            detail: skipped.detail.clone(),
        }));
        incomplete.sort();
        let stats = Statistics::of(&outcome.results);
        let completion = &job.completion;
        let total = started.elapsed();
        let matching = clock.estimate().min(total);
        Ok(Analysis {
            id: sandsift_bus::id::analysis(&completion.id, &self.digest).to_string(),
            completion: CompletionRef {
                id: completion.id.clone(),
                root_uid: completion.root_uid.clone(),
                parent_uid: completion.parent_uid.clone(),
                started: completion.started.clone(),
                finished: completion.finished.clone(),
            },
            sample: completion.sample.clone(),
            platform,
            sandbox: completion.sandbox.clone(),
            sigma_analysis_results: outcome.results,
            sigma_analysis_stats: stats.all,
            sigma_analysis_summary: stats.by_source,
            informational: stats.informational,
            stats_by_origin: stats.by_origin,
            events: events(&reports),
            incomplete,
            artifacts: artifacts(job, &reports),
            ruleset: self.ruleset(),
            // Plain lists of texts and numbers: writing them as JSON cannot fail.
            behaviour: behaviour.and_then(|behaviour| serde_json::to_value(behaviour).ok()).map(Box::new),
            run: RunInfo {
                engine: ENGINE.to_owned(),
                worker: job.worker.clone(),
                input: job.input.clone(),
                attempt: job.attempt,
                seconds: [
                    ("decode".to_owned(), (total - matching).as_secs_f64()),
                    ("match".to_owned(), matching.as_secs_f64()),
                    ("total".to_owned(), total.as_secs_f64()),
                ]
                .into(),
            },
        })
    }

    fn take_buffers(&self) -> Buffers {
        // Buffers hold nothing that a panic could leave half-done for good: a job that panics drops its own.
        let pooled = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| Buffers { scratch: self.rules.scratch(), hits: Vec::new() })
    }

    fn give_buffers(&self, buffers: Buffers) {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }
}

/// The platform that a completion names; `None` where it names none.
fn claimed_platform(name: &str) -> Result<Option<Platform>, ExecuteError> {
    if name.is_empty() {
        return Ok(None);
    }
    Platform::ALL.into_iter().find(|platform| platform.as_str() == name).map(Some).ok_or_else(|| {
        let detail = format!("platform '{}' is not one of windows, linux, macos", name.escape_debug());
        ExecuteError::new(ExecuteError::PLATFORM_INVALID, detail)
    })
}

/// Times one call in [`TIMED`] and speaks for all.
#[derive(Default)]
struct Clock {
    calls: u32,
    sampled: Duration,
}

impl Clock {
    fn time(&mut self, call: impl FnOnce()) {
        let timed = self.calls.is_multiple_of(TIMED);
        self.calls = self.calls.wrapping_add(1);
        if timed {
            let start = Instant::now();
            call();
            self.sampled += start.elapsed();
        } else {
            call();
        }
    }

    fn estimate(&self) -> Duration {
        self.sampled * TIMED.min(self.calls.max(1))
    }
}

/// How many rules fired, cut three ways.
#[derive(Default)]
struct Statistics {
    all: Stats,
    informational: u64,
    by_source: BTreeMap<String, Stats>,
    by_origin: BTreeMap<String, Stats>,
}

impl Statistics {
    fn of(results: &[sandsift_bus::message::RuleResult]) -> Self {
        let mut statistics = Self::default();
        for origin in [Origin::Sample, Origin::Sandbox, Origin::Background, Origin::Unknown] {
            statistics.by_origin.insert(origin_name(origin).to_owned(), Stats::default());
        }
        for result in results {
            let level = &result.rule_level;
            if !add(&mut statistics.all, level) {
                statistics.informational += 1;
            }
            add(statistics.by_source.entry(result.rule_source.clone()).or_default(), level);
            for origin in result.origins.keys() {
                add(statistics.by_origin.entry(origin.clone()).or_default(), level);
            }
        }
        statistics
    }
}

/// Counts a rule under its level; tells whether the four levels of VirusTotal's shape have it.
fn add(stats: &mut Stats, level: &str) -> bool {
    match level {
        "critical" => stats.critical += 1,
        "high" => stats.high += 1,
        "medium" => stats.medium += 1,
        "low" => stats.low += 1,
        _ => return false,
    }
    true
}

/// Events of all artifacts: how many, and by category, else service, else `none`.
fn events(reports: &[ArtifactReport]) -> Value {
    let mut by_category = BTreeMap::<&str, u64>::new();
    for (category, count) in reports.iter().flat_map(|report| &report.events) {
        *by_category.entry(category).or_default() += count;
    }
    json!({
        "total": by_category.values().sum::<u64>(),
        "records": reports.iter().map(|report| report.records).sum::<u64>(),
        "by_category": by_category,
    })
}

/// The completion's artifacts without their inline bodies, each with what it was read as.
fn artifacts(job: &Job, reports: &[ArtifactReport]) -> Vec<Value> {
    let given = job.completion.artifacts.iter().zip(&job.artifacts).zip(reports);
    given
        .map(|((artifact, bytes), report)| {
            let mut object = Map::new();
            let kind = artifact.kind.as_deref().or(report.kind.as_ref().map(|kind| kind.0.as_ref()));
            if let Some(kind) = kind {
                object.insert("kind".into(), json!(kind));
            }
            for (name, text) in [("store", &artifact.store), ("key", &artifact.key), ("sha256", &artifact.sha256)] {
                if let Some(text) = text {
                    object.insert(name.into(), json!(text));
                }
            }
            if artifact.inline.is_some() {
                object.insert("inline".into(), json!(true));
            }
            object.insert("bytes".into(), json!(artifact.bytes.unwrap_or(bytes.len() as u64)));
            object.insert("records".into(), json!(report.records));
            Value::Object(object)
        })
        .collect()
}
