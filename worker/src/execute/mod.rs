//! Owns the way from bytes to an analysis, which `scan`, workers and tests share: plain data in, plain data out, so
//! that it can run on a thread or in a child process. Nothing here touches a broker, a store or a network.

mod attack;
mod card;
mod collect;
mod context;
mod correlate;
mod engine;
mod threads;
mod values;

pub use attack::{tactic_id, tactics, techniques};
pub use engine::{Engine, Settings};
pub use threads::Threads;
pub use values::{rfc3339, text_of, to_map};

use sandsift_bus::message::{Analysis, Completion, RuleSetRef};
use serde::{Deserialize, Serialize};

/// A completion and the verified bytes of its artifacts, in its order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The completion; an empty `platform` means that the artifacts must tell.
    pub completion: Completion,
    /// The content of each artifact of the completion; an inline one's is its JSON.
    pub artifacts: Vec<Vec<u8>>,
    /// From 1.
    pub attempt: u32,
    /// What plain NDJSON answers to where its records do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logsource: Option<LogSource>,
    /// Which worker runs the job; goes into `run` alone.
    #[serde(default)]
    pub worker: String,
    /// Where the job came from, such as a queue's name or a path; goes into `run` alone.
    #[serde(default)]
    pub input: String,
}

/// A logsource given from outside, for records that carry none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSource {
    /// Such as `windows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Such as `process_creation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Such as `sysmon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Why a job came to no analysis.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct ExecuteError {
    /// Stable; its class (transient, permanent, poison) follows from it.
    pub code: String,
    /// What happened and what to do, for people.
    pub detail: String,
}

impl ExecuteError {
    /// No platform was named and no artifact tells one; permanent.
    pub const PLATFORM_UNKNOWN: &'static str = "platform-unknown";
    /// The completion names a platform that does not exist; permanent.
    pub const PLATFORM_INVALID: &'static str = "platform-invalid";
    /// None of the artifacts is of a kind that is known, and no platform was named; permanent.
    pub const UNRECOGNISED: &'static str = "artifact-unrecognised";
    /// Decoding or matching panicked; poison.
    pub const PANIC: &'static str = "executor-panic";

    /// Makes an error from its stable code and its words.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// Turns a job into an analysis; on threads or in child processes.
pub trait Executor: Send + Sync {
    /// Runs one job to its end on the calling thread or in a child; blocks.
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError>;

    /// What the next job will be matched against.
    fn ruleset(&self) -> RuleSetRef;
}
