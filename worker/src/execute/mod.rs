//! Owns the way from bytes to an analysis, which `scan`, workers and tests share: plain data in, plain data out, so
//! that it can run on a thread or in a child process. Nothing here touches a broker, a store or a network.

use sandsift_bus::message::{Analysis, Completion};
use serde::{Deserialize, Serialize};

/// A completion and the verified bytes of its artifacts, in its order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    pub completion: Completion,
    pub artifacts: Vec<Vec<u8>>,
    /// From 1.
    pub attempt: u32,
}

/// Why a job came to no analysis.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct ExecuteError {
    /// Stable; its class (transient, permanent, poison) follows from it.
    pub code: String,
    pub detail: String,
}

/// Turns a job into an analysis; on threads or in child processes.
pub trait Executor: Send + Sync {
    /// Runs one job to its end on the calling thread or in a child; blocks.
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError>;
}
