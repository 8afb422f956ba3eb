//! Owns what a person may want to know of a running worker: what it works on, the last analyses, the last errors. Bounded,
//! and kept apart from the metrics, which must not carry names.

use sandsift_bus::headers::unix_now;
use sandsift_bus::message::{Analysis, RuleSetRef, Stats};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Entries that each list keeps.
const KEPT: usize = 20;

/// Bytes of a text from outside that are kept.
const TEXT_BYTES: usize = 300;

/// Where the parts of a worker note what they do.
#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    running: BTreeMap<u64, Running>,
    analysed: VecDeque<Analysed>,
    errors: VecDeque<Trouble>,
}

#[derive(Debug)]
struct Running {
    completion: String,
    platform: String,
    since: Instant,
}

/// A finished analysis, in short.
#[derive(Debug, Clone, Serialize)]
pub struct Analysed {
    /// The completion's id.
    pub completion: String,
    /// Its platform.
    pub platform: String,
    /// Rules by level.
    pub stats: Stats,
    /// When, in seconds since 1970.
    pub time: u64,
}

/// Something that went wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Its code.
    pub code: String,
    /// In words.
    pub detail: String,
    /// When, in seconds since 1970.
    pub time: u64,
}

/// What is worked on now.
#[derive(Debug, Clone, Serialize)]
pub struct Busy {
    /// The completion's id.
    pub completion: String,
    /// Its platform.
    pub platform: String,
    /// For how long.
    pub seconds: f64,
}

/// All of it, for a page.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The version that runs.
    pub version: &'static str,
    /// The worker's name.
    pub worker: String,
    /// The link to the broker.
    pub broker: String,
    /// The rule set in use.
    pub ruleset: RuleSetRef,
    /// Slots.
    pub slots: usize,
    /// What is worked on.
    pub running: Vec<Busy>,
    /// The last analyses, newest first.
    pub analysed: Vec<Analysed>,
    /// The last errors, newest first.
    pub errors: Vec<Trouble>,
}

/// Ends an entry of what is worked on.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    board: &'a Board,
    id: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.board.lock().running.remove(&self.id);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, completion: &str, platform: &str) -> Guard<'_> {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        let running = Running { completion: cut(completion), platform: cut(platform), since: Instant::now() };
        inner.running.insert(id, running);
        Guard { board: self, id }
    }

    pub(crate) fn analysed(&self, analysis: &Analysis) {
        let entry = Analysed {
            completion: cut(&analysis.completion.id),
            platform: cut(&analysis.platform),
            stats: analysis.sigma_analysis_stats.clone(),
            time: unix_now(),
        };
        push(&mut self.lock().analysed, entry);
    }

    pub(crate) fn error(&self, code: &str, detail: &str) {
        let entry = Trouble { code: code.into(), detail: cut(detail), time: unix_now() };
        push(&mut self.lock().errors, entry);
    }

    pub(crate) fn status(&self, worker: &str, broker: String, ruleset: RuleSetRef, slots: usize) -> Status {
        let inner = self.lock();
        let busy = |running: &Running| Busy {
            completion: running.completion.clone(),
            platform: running.platform.clone(),
            seconds: running.since.elapsed().as_secs_f64(),
        };
        Status {
            version: env!("CARGO_PKG_VERSION"),
            worker: worker.to_owned(),
            broker,
            ruleset,
            slots,
            running: inner.running.values().map(busy).collect(),
            analysed: inner.analysed.iter().cloned().collect(),
            errors: inner.errors.iter().cloned().collect(),
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    list.truncate(KEPT - 1);
    list.push_front(entry);
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_BYTES).collect()
}
