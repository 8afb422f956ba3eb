//! Owns the sections of the configuration file. The comments here are the reference: `docs/configuration.md` is made
//! from them, and so are the hints on unknown keys.

use sandsift_bus::units;
use sandsift_ingest::Origin;
use sandsift_sigma::{CrossPlatform, Options};
use sandsift_worker::execute::Settings;
use sandsift_worker::sources::{Assembly, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which rules are matched, and how.
    pub rules: Rules,
    /// What a result holds.
    pub results: Results,
    /// Bounds on reading and on what is kept; none is unlimited.
    pub limits: Limits,
}

/// Which rules are matched, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether the rules that ship are part of the set.
    pub shipped: bool,
    /// Named sources of rules, each a file or a folder.
    #[schemars(with = "Vec<SourceKeys>")]
    pub sources: Vec<Source>,
    /// Which rules of other platforms an event meets: `unix` (Linux's and macOS's meet each other's by category), `all`
    /// (and Windows' meet both), `none`.
    #[schemars(with = "CrossPlatformKeys")]
    pub cross_platform: CrossPlatform,
    /// Whether Sigma's drafts are understood: array matching, `sigma-version: 3`, boolean conditions of correlations.
    pub drafts: bool,
    /// Value lists for placeholders (`expand`), by name.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// A set with fewer rules than this is refused and the old one stays.
    pub minimum: u64,
    /// Files or folders with mappings of one's own, beside those that ship.
    pub mappings: Vec<PathBuf>,
    /// Files or folders that describe a sandbox's own tooling, beside those that ship.
    pub origins: Vec<PathBuf>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            shipped: true,
            sources: Vec::new(),
            cross_platform: CrossPlatform::default(),
            drafts: false,
            placeholders: BTreeMap::new(),
            minimum: 1,
            mappings: Vec::new(),
            origins: Vec::new(),
        }
    }
}

/// The keys of a rule source, for the reference.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct SourceKeys {
    /// Becomes `rule_source` of every match.
    name: String,
    /// A rule file or a folder of them.
    path: PathBuf,
    /// The licence of its rules, where these name none.
    licence: Option<String>,
    /// Whether it is read at all; `true` unless said otherwise.
    enabled: Option<bool>,
    /// Rules below this level are left out: `informational`, `low`, `medium`, `high`, `critical`.
    minimum_level: Option<String>,
    /// Only rules of these statuses, such as `stable` and `test`.
    statuses: Option<Vec<String>>,
    /// Only these: rule ids, or globs over the path below `path`.
    include: Option<Vec<String>>,
    /// Not these: rule ids, or globs over the path below `path`.
    exclude: Option<Vec<String>>,
    /// Where `rules sync` fetches the source from: an `https` address of a zip or tar.gz archive.
    url: Option<String>,
    /// The SHA-256 that the archive must have.
    sha256: Option<String>,
    /// The folder inside the archive that holds the rules.
    subfolder: Option<String>,
}

/// The words of `rules.cross_platform`, for the reference.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum CrossPlatformKeys {
    Unix,
    All,
    None,
}

/// What a result holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Results {
    /// Contexts shown for a rule; 0 shows all. Counts are always exact.
    pub max_contexts: usize,
    /// Origins whose matches are shown: `sample`, `sandbox`, `background`; `unknown` is never hidden.
    #[schemars(with = "Vec<String>")]
    pub origins: BTreeSet<Origin>,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            max_contexts: Settings::default().max_contexts,
            origins: [Origin::Sample, Origin::Sandbox, Origin::Background, Origin::Unknown].into(),
        }
    }
}

/// Bounds on reading and on what is kept; none is unlimited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size that an artifact may have, packed or not.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub artifact_bytes: u64,
    /// Size that all entries of an archive may have together once unpacked.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub unpacked_bytes: u64,
    /// How many times larger than its packed form an entry may become.
    pub unpack_ratio: u64,
    /// Entries that an archive may have.
    pub archive_entries: u64,
    /// Records that a completion may have.
    pub records: u64,
    /// Size that one record may have.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub record_bytes: u64,
    /// Values that one event may have.
    pub event_fields: u32,
    /// How deep a document may nest.
    pub depth: u32,
    /// Processes that the tree of a run may have.
    pub processes: u32,
    /// Size that all contexts of a completion may have together.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub contexts_bytes: u64,
    /// Size that one value of a context may have; the rest is cut.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub value_bytes: u64,
    /// Pairs of rule and process that are counted apart.
    pub tallies: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let reading = sandsift_ingest::Limits::default();
        let keeping = Settings::default();
        Self {
            artifact_bytes: reading.artifact_bytes,
            unpacked_bytes: reading.unpacked_bytes,
            unpack_ratio: reading.unpack_ratio,
            archive_entries: reading.archive_entries,
            records: reading.records,
            record_bytes: reading.record_bytes,
            event_fields: reading.event_fields,
            depth: reading.depth,
            processes: reading.processes,
            contexts_bytes: keeping.contexts_bytes as u64,
            value_bytes: keeping.value_bytes as u64,
            tallies: keeping.tallies as u64,
        }
    }
}

impl Config {
    /// What rules, mappings and settings an engine is made from.
    pub fn assembly(&self) -> Assembly {
        let all = [Origin::Sample, Origin::Sandbox, Origin::Background];
        let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Assembly {
            sources: self.rules.sources.clone(),
            shipped: self.rules.shipped,
            options: Options {
                cross_platform: self.rules.cross_platform,
                drafts: self.rules.drafts,
                placeholders: self.rules.placeholders.clone(),
                ..Options::default()
            },
            mappings: self.rules.mappings.clone(),
            origins: self.rules.origins.clone(),
            limits: sandsift_ingest::Limits {
                artifact_bytes: self.limits.artifact_bytes,
                unpacked_bytes: self.limits.unpacked_bytes,
                unpack_ratio: self.limits.unpack_ratio,
                archive_entries: self.limits.archive_entries,
                records: self.limits.records,
                record_bytes: self.limits.record_bytes,
                event_fields: self.limits.event_fields,
                depth: self.limits.depth,
                processes: self.limits.processes,
            },
            settings: Settings {
                max_contexts: self.results.max_contexts,
                hidden_origins: all.into_iter().filter(|origin| !self.results.origins.contains(origin)).collect(),
                contexts_bytes: bytes(self.limits.contexts_bytes),
                value_bytes: bytes(self.limits.value_bytes),
                tallies: bytes(self.limits.tallies),
            },
        }
    }
}
