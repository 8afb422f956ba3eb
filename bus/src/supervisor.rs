//! Owns when to ask for the next session: back-off with jitter, without limit, and the one state that probes and metrics
//! read. What runs on a session is its holder's concern.

use crate::transport::{Error, Session, Transport};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where a link to a broker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No session yet, or none any more; with what went wrong last.
    Connecting(Option<String>),
    /// A session is open and in use.
    Running,
    /// A session is open, but the broker takes no messages.
    Blocked(String),
    /// No new work is taken; what was begun is being finished.
    Draining,
    /// Over.
    Stopped,
}

impl State {
    /// A stable word for metrics and pages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connecting(_) => "connecting",
            Self::Running => "running",
            Self::Blocked(_) => "blocked",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    /// All names, for metrics at zero.
    pub const NAMES: [&'static str; 5] = ["connecting", "running", "blocked", "draining", "stopped"];
}

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after this many failures in a row: doubled each time up to the cap, then anything between a half and
    /// the whole of it, so that a fleet does not come back at once.
    pub fn wait(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
        let whole = doubled.min(self.cap);
        let random = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        whole.mul_f64(0.5 + random / 2.0)
    }
}

/// Builds session after session from a transport.
#[derive(Debug)]
pub struct Supervisor {
    transport: Arc<dyn Transport>,
    backoff: Backoff,
    failures: u32,
    state: watch::Sender<State>,
}

impl Supervisor {
    /// Supervises a transport; nothing is connected yet.
    pub fn new(transport: Arc<dyn Transport>, backoff: Backoff) -> Self {
        Self { transport, backoff, failures: 0, state: watch::Sender::new(State::Connecting(None)) }
    }

    /// The state, for probes and metrics.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Says where the link stands; the holder of a session knows when it is in use.
    pub fn set_state(&self, state: State) {
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }

    /// Tells that the last session ended badly, or never came into use: the next attempt waits.
    pub fn failed(&mut self, reason: &str) {
        self.failures = self.failures.saturating_add(1);
        self.set_state(State::Connecting(Some(reason.to_owned())));
    }

    /// Tells that the session came into use: the back-off starts anew.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.set_state(State::Running);
    }

    /// Waits as the failures so far ask for, then tries once. Cancel safe: dropped, nothing is left open.
    pub async fn connect(&mut self) -> Result<Arc<dyn Session>, Error> {
        if self.failures > 0 {
            tokio::time::sleep(self.backoff.wait(self.failures)).await;
        }
        let outcome = self.transport.connect().await;
        if let Err(error) = &outcome {
            self.failed(&error.to_string());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_cap_and_is_jittered() {
        let backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(2) };
        for (failures, whole) in [(1, 100), (2, 200), (5, 1600), (6, 2000), (u32::MAX, 2000)] {
            let wait = backoff.wait(failures).as_millis();
            assert!((whole / 2..=whole).contains(&wait), "{failures} failures: {wait} ms");
        }
    }
}
