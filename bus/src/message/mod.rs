//! Owns the bodies that travel: completion, analysis, match. `docs/` has their JSON Schemas.
//!
//! [`envelope`] wraps them as CloudEvents, [`validate`] reads what strangers sent.

pub mod envelope;
pub mod validate;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A sandbox finished running one sample on one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    pub id: String,
    pub sample: Sample,
    pub platform: String,
    pub sandbox: Sandbox,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_uid: Option<String>,
    pub artifacts: Vec<Artifact>,
}

/// What was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What ran it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

/// A file that the run left: inline JSON, or a claim check into a named store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How the stored bytes are packed: `zstd` or `gzip`; `sha256` and `bytes` are those of the packed form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Value>,
}

/// The enriched result of one completion under one digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    pub id: String,
    pub completion: CompletionRef,
    pub sample: Sample,
    pub platform: String,
    pub sandbox: Sandbox,
    pub sigma_analysis_results: Vec<RuleResult>,
    pub sigma_analysis_stats: Stats,
    pub sigma_analysis_summary: BTreeMap<String, Stats>,
    pub informational: u64,
    pub stats_by_origin: BTreeMap<String, Stats>,
    pub events: Value,
    pub incomplete: Vec<Incomplete>,
    pub artifacts: Vec<Value>,
    pub ruleset: RuleSetRef,
    pub run: RunInfo,
    /// What the run did, where that is asked for; travels as a message of its own, never inside the analysis's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Box<Value>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionRef {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
}

/// How many rules fired, by level; a rule counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub critical: u64,
    pub high: u64,
    pub medium: u64,
    pub low: u64,
}

/// One rule that fired in a completion. The first six keys have the shape of VirusTotal's API v3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    pub rule_id: String,
    pub rule_title: String,
    pub rule_level: String,
    pub rule_source: String,
    pub rule_description: String,
    pub rule_author: String,
    pub count: u64,
    pub origins: BTreeMap<String, u64>,
    pub cross_platform: bool,
    pub rule: Value,
    pub match_context: Vec<MatchContext>,
}

/// An event that made a rule fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatchContext {
    pub values: Map<String, Value>,
    pub artifact: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    pub logsource: Value,
    pub origin: String,
    pub matched: Vec<Value>,
}

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incomplete {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<u32>,
    pub code: String,
    pub count: u64,
    pub detail: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSetRef {
    pub digest: String,
    pub rules: u64,
}

/// One element of an analysis, with what it is about: the body of `sandsift.match.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatchEvent {
    pub id: String,
    /// The analysis that the match is part of.
    pub analysis: String,
    pub completion: CompletionRef,
    pub sample: Sample,
    pub platform: String,
    pub sandbox: Sandbox,
    pub ruleset: RuleSetRef,
    #[serde(flatten)]
    pub result: RuleResult,
}

/// All that may differ between two analyses of one completion under one digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    pub engine: String,
    pub worker: String,
    pub input: String,
    pub attempt: u32,
    pub seconds: BTreeMap<String, f64>,
}

/// What one run did, in the words of YARA-X's `BehaviourSummary`, made from the events of its artifacts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BehaviourEvent {
    pub id: String,
    pub analysis: String,
    pub completion: CompletionRef,
    pub sample: Sample,
    pub platform: String,
    pub sandbox: Sandbox,
    pub ruleset: RuleSetRef,
    pub behaviour: Value,
}
