//! Owns the executor on threads: the engine of the moment behind a lock that is held for a clone alone, and panics
//! caught, since what a decoder trips over must cost its own completion and no other.

use super::{Engine, ExecuteError, Executor, Job};
use sandsift_bus::message::{Analysis, RuleSetRef};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

/// Runs jobs on the calling thread; the engine can be swapped while jobs run, each job keeps the one it began with.
#[derive(Debug)]
pub struct Threads {
    engine: RwLock<Arc<Engine>>,
}

impl Threads {
    /// Starts with an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine: RwLock::new(engine) }
    }

    /// The engine that the next job will run on.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Swaps the engine; jobs that run keep theirs.
    pub fn replace(&self, engine: Arc<Engine>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }
}

impl Executor for Threads {
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError> {
        let engine = self.engine();
        // A job that panics leaves nothing behind: its buffers are dropped with it, the engine is never written to.
        catch_unwind(AssertUnwindSafe(|| engine.analyse(&job))).unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(ExecuteError::new(ExecuteError::PANIC, format!("decoding or matching panicked: {message}")))
        })
    }

    fn ruleset(&self) -> RuleSetRef {
        self.engine().ruleset()
    }
}
