//! Owns the sections of the configuration file. The comments here are the reference: `docs/configuration.md` is made
//! from them, and so are the hints on unknown keys.

use crate::failure::Failure;
use sandsift_bus::units;
use sandsift_ingest::Origin;
use sandsift_sigma::{CrossPlatform, Options};
use sandsift_worker::config::Store;
use sandsift_worker::execute::Settings;
use sandsift_worker::sources::{Assembly, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which rules are matched, and how.
    pub rules: Rules,
    /// What a result holds.
    pub results: Results,
    /// Bounds on reading, on what is kept and on time; none is unlimited.
    pub limits: Limits,
    /// How to reach the broker.
    pub broker: sandsift_bus::amqp::Options,
    /// The names of exchanges and queues; the defaults are the contract's.
    pub topology: sandsift_bus::Names,
    /// Where claim checks point, by the names that completions use.
    #[schemars(with = "BTreeMap<String, StoreKeys>")]
    pub stores: BTreeMap<String, Store>,
    /// How a worker works.
    pub worker: Worker,
    /// How completions are made.
    pub producer: Producer,
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
    /// Whether a worker publishes an event for each match beside the analysis.
    pub matches: bool,
    /// Whether a worker publishes what the run did, in the words of YARA-X's `BehaviourSummary`.
    pub behaviour: bool,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            max_contexts: Settings::default().max_contexts,
            origins: [Origin::Sample, Origin::Sandbox, Origin::Background, Origin::Unknown].into(),
            matches: true,
            behaviour: false,
        }
    }
}

/// Bounds on reading, on what is kept and on time; none is unlimited.
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
    /// Size of a completion's message.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub completion_bytes: u64,
    /// Size of all artifacts that are in a worker at once.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub memory_bytes: u64,
    /// Size of one result's message; contexts go first, of the lowest level first.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub result_bytes: u64,
    /// How long a store may take for one artifact.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub fetch: Duration,
    /// How long decoding and matching of one completion may take.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub execute: Duration,
    /// How long the broker may take to confirm a completion's results.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub publish: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let reading = sandsift_ingest::Limits::default();
        let keeping = Settings::default();
        let working = sandsift_worker::config::Limits::default();
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
            completion_bytes: working.completion_bytes,
            memory_bytes: working.memory_bytes,
            result_bytes: working.result_bytes,
            fetch: working.fetch,
            execute: working.execute,
            publish: working.publish,
        }
    }
}

/// The keys of a store, for the reference.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct StoreKeys {
    /// `folder`, or `object` for an object store.
    kind: String,
    /// The folder; keys are paths below it.
    path: Option<PathBuf>,
    /// The object store's address: `s3://bucket/prefix`, `gs://…`, `az://…`, `https://…`; never one from a message.
    url: Option<String>,
    /// The object store's options, such as `aws_region` or `aws_endpoint`.
    options: Option<BTreeMap<String, String>>,
    /// Options whose values stand in files: secrets.
    option_files: Option<BTreeMap<String, PathBuf>>,
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// What results and logs call this worker; the host's name and the process's number where empty.
    pub name: String,
    /// Whether the worker declares the topology itself, instead of looking for it.
    pub declare: bool,
    /// The platforms whose completions it takes.
    pub platforms: Vec<String>,
    /// Completions that are worked on at once; 0 is the number of cores.
    pub slots: usize,
    /// Completions that may wait in the worker, for each platform; 0 is as many as slots.
    pub prefetch: u16,
    /// How long what was begun may take to end once a stop was asked for.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub drain: Duration,
    /// How long the broker may block publishing before the worker gives its completions back.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub blocked_patience: Duration,
    /// Attempts before a transient failure becomes a dead letter.
    pub attempts: u64,
    /// Attempts before a completion that hurts the worker becomes a dead letter.
    pub poison_attempts: u64,
    /// The address of metrics, probes and the status page; empty turns them off.
    pub admin: String,
    /// How often rules, mappings and origins on disk are looked at for changes; `0s` leaves it to SIGHUP.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub watch_rules: Duration,
}

impl Default for Worker {
    fn default() -> Self {
        let settings = sandsift_worker::Config::default();
        Self {
            name: String::new(),
            declare: settings.declare,
            platforms: settings.platforms,
            slots: 0,
            prefetch: settings.prefetch,
            drain: settings.drain,
            blocked_patience: settings.blocked_patience,
            attempts: settings.retry.attempts,
            poison_attempts: settings.retry.poison_attempts,
            admin: settings.admin.map(|address| address.to_string()).unwrap_or_default(),
            watch_rules: Duration::from_secs(30),
        }
    }
}

/// How completions are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Producer {
    /// The store that artifacts go into, one of `stores` of kind `folder`.
    pub store: String,
    /// JSON of at most this size travels inside the message.
    #[serde(with = "units::size")]
    #[schemars(with = "String")]
    pub inline_bytes: u64,
    /// The sandbox of what does not name one.
    pub sandbox: String,
}

impl Default for Producer {
    fn default() -> Self {
        Self { store: String::new(), inline_bytes: 64 << 10, sandbox: "produce".to_owned() }
    }
}

impl Config {
    /// What a worker is told beside rules and the way to its broker.
    pub fn worker(&self) -> Result<sandsift_worker::Config, Failure> {
        use sandsift_worker::config;
        let defaults = sandsift_worker::Config::default();
        let admin = match self.worker.admin.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                Failure::usage(format!("worker.admin: '{text}' is no address with a port, such as 127.0.0.1:9847"))
            })?),
        };
        Ok(sandsift_worker::Config {
            name: Some(self.worker.name.clone()).filter(|name| !name.is_empty()).unwrap_or(defaults.name),
            topology: self.topology.clone(),
            declare: self.worker.declare,
            platforms: self.worker.platforms.clone(),
            slots: if self.worker.slots == 0 { defaults.slots } else { self.worker.slots },
            prefetch: self.worker.prefetch,
            stores: self.stores.clone(),
            limits: config::Limits {
                completion_bytes: self.limits.completion_bytes,
                artifact_bytes: self.limits.artifact_bytes,
                memory_bytes: self.limits.memory_bytes,
                unpack_ratio: self.limits.unpack_ratio,
                fetch: self.limits.fetch,
                execute: self.limits.execute,
                publish: self.limits.publish,
                result_bytes: self.limits.result_bytes,
            },
            results: config::Results { matches: self.results.matches, behaviour: self.results.behaviour },
            retry: config::Retry { attempts: self.worker.attempts, poison_attempts: self.worker.poison_attempts },
            drain: self.worker.drain,
            blocked_patience: self.worker.blocked_patience,
            admin,
        })
    }

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
                behaviour: self.results.behaviour,
            },
        }
    }
}
