//! Owns the worker's settings: each has a name, a default and a unit; none is unlimited.

use sandsift_bus::message::validate::PLATFORMS;
use sandsift_bus::{Names, units};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a worker is told beside rules and the way to its broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What results and logs call this worker; the host's name and the process's number by default.
    pub name: String,
    /// The names of exchanges and queues.
    pub topology: Names,
    /// Whether the worker declares the topology itself, instead of looking for it.
    pub declare: bool,
    /// The platforms whose completions it takes.
    pub platforms: Vec<String>,
    /// Completions that are worked on at once; the number of cores by default.
    pub slots: usize,
    /// Completions that may wait in the worker, for each platform; 0 is as many as slots.
    pub prefetch: u16,
    /// Where claim checks point, by name.
    pub stores: BTreeMap<String, Store>,
    /// The bounds on one completion.
    pub limits: Limits,
    /// What is published.
    pub results: Results,
    /// What happens to a completion that may work later.
    pub retry: Retry,
    /// How long what was begun may take to end once a stop was asked for.
    #[serde(with = "units::duration")]
    pub drain: Duration,
    /// How long the broker may block publishing before the worker gives its completions back, so that none burns its
    /// delivery limit while an alarm lasts.
    #[serde(with = "units::duration")]
    pub blocked_patience: Duration,
    /// Where metrics, probes and the status page are served; absent, they are not.
    pub admin: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: default_name(),
            topology: Names::default(),
            declare: false,
            platforms: PLATFORMS.map(str::to_owned).to_vec(),
            slots: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            prefetch: 0,
            stores: BTreeMap::new(),
            limits: Limits::default(),
            results: Results::default(),
            retry: Retry::default(),
            drain: Duration::from_secs(30),
            blocked_patience: Duration::from_secs(120),
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 9847))),
        }
    }
}

impl Config {
    /// What cannot work, by the name of the setting.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.slots == 0 {
            problems.push("worker.slots must be at least 1".into());
        }
        if self.platforms.is_empty() {
            problems.push("worker.platforms is empty; name at least one of windows, linux, macos".into());
        }
        for platform in self.platforms.iter().filter(|platform| !PLATFORMS.contains(&platform.as_str())) {
            problems.push(format!("worker.platforms: '{platform}' is not one of windows, linux, macos"));
        }
        if self.topology.retry_delays.is_empty() {
            problems.push("topology.retry_delays is empty; a completion that must wait has nowhere to go".into());
        }
        if self.limits.result_bytes as usize > sandsift_bus::transport::MESSAGE_BYTES {
            problems.push("limits.result_bytes must be at most 15MiB: RabbitMQ 4 refuses messages over 16MiB".into());
        }
        problems
    }

    pub(crate) fn prefetch(&self) -> u16 {
        if self.prefetch > 0 { self.prefetch } else { u16::try_from(self.slots).unwrap_or(u16::MAX) }
    }
}

/// A place that claim checks point into; a completion can name nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Store {
    /// A folder; keys are paths below it.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// An object store, by its address: `s3://bucket/prefix`, `gs://…`, `az://…`, `https://…`.
    Object {
        /// The address; never one from a message.
        url: String,
        /// The store's options, such as `aws_region` or `aws_endpoint`; names as `object_store` has them.
        #[serde(default)]
        options: BTreeMap<String, String>,
        /// Options whose values stand in files: secrets.
        #[serde(default)]
        option_files: BTreeMap<String, PathBuf>,
    },
}

/// The bounds on one completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a completion's message.
    #[serde(with = "units::size")]
    pub completion_bytes: u64,
    /// Bytes of one artifact, as stored and once unpacked.
    #[serde(with = "units::size")]
    pub artifact_bytes: u64,
    /// Bytes of all artifacts that are in the worker at once.
    #[serde(with = "units::size")]
    pub memory_bytes: u64,
    /// How many times larger than its packed form an artifact may become.
    pub unpack_ratio: u64,
    /// How long a store may take for one artifact.
    #[serde(with = "units::duration")]
    pub fetch: Duration,
    /// How long decoding and matching may take.
    #[serde(with = "units::duration")]
    pub execute: Duration,
    /// How long the broker may take to confirm a completion's results.
    #[serde(with = "units::duration")]
    pub publish: Duration,
    /// Bytes of one result's message; contexts go first.
    #[serde(with = "units::size")]
    pub result_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            completion_bytes: 8 << 20,
            artifact_bytes: 512 << 20,
            memory_bytes: 2 << 30,
            unpack_ratio: 200,
            fetch: Duration::from_secs(60),
            execute: Duration::from_secs(600),
            publish: Duration::from_secs(30),
            result_bytes: 4 << 20,
        }
    }
}

/// What is published beside the analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Results {
    /// One event for each match.
    pub matches: bool,
    /// What the run did, in the words of YARA-X's `BehaviourSummary`.
    pub behaviour: bool,
}

impl Default for Results {
    fn default() -> Self {
        Self { matches: true, behaviour: false }
    }
}

/// What happens to a completion that failed in a way that may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts before a transient failure becomes a dead letter; the delays are those of `topology.retry_delays`, the
    /// last one again and again.
    pub attempts: u64,
    /// Attempts before a completion that hurts the worker becomes a dead letter.
    pub poison_attempts: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 10, poison_attempts: 2 }
    }
}

fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.or_else(|| std::env::var("COMPUTERNAME").ok()).unwrap_or_else(|| "worker".into());
    format!("{}-{}", host.trim(), std::process::id())
}
