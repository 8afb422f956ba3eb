//! Owns the headers of our own that travel with a completion: how often it was tried, what went wrong each time, and
//! why it is a dead letter.

use crate::transport::{Delivery, Properties};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Which attempt this is, from 1; absent at the first.
pub const ATTEMPT: &str = "x-sandsift-attempt";
/// The failures so far, oldest first: [`Failed`] as tables.
pub const HISTORY: &str = "x-sandsift-history";
/// The code of the failure that ended it.
pub const CODE: &str = "x-sandsift-code";
/// Its class: `transient`, `permanent`, `poison`.
pub const CLASS: &str = "x-sandsift-class";
/// What went wrong, in words.
pub const REASON: &str = "x-sandsift-reason";
/// The digest of rules and settings that it was tried with.
pub const DIGEST: &str = "x-sandsift-digest";
/// The queue that it came from, and goes back to when it is replayed.
pub const QUEUE: &str = "x-sandsift-queue";
/// Which worker gave it up.
pub const WORKER: &str = "x-sandsift-worker";
/// When it became a dead letter, in seconds since 1970.
pub const TIME: &str = "x-sandsift-time";

/// Failures that the history keeps: the newest ones.
const HISTORY_LENGTH: usize = 20;

/// Bytes of words that a header carries; the rest is cut.
const DETAIL_BYTES: usize = 2000;

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which attempt.
    pub attempt: u64,
    /// The code of the failure.
    pub code: String,
    /// Its class.
    pub class: String,
    /// In words.
    pub detail: String,
    /// Which worker.
    pub worker: String,
    /// Seconds since 1970.
    pub time: u64,
}

impl Failed {
    /// A failed attempt of now.
    pub fn now(attempt: u64, code: &str, class: &str, detail: &str, worker: &str) -> Self {
        Self {
            attempt,
            code: code.into(),
            class: class.into(),
            detail: cut(detail).into(),
            worker: worker.into(),
            time: unix_now(),
        }
    }
}

/// Which attempt a delivery is, by our own header.
pub fn attempt(delivery: &Delivery) -> u64 {
    delivery.header_number(ATTEMPT).unwrap_or(1).max(1)
}

/// How often a delivery was delivered before without an answer, by the broker's count.
pub fn returns(delivery: &Delivery) -> u64 {
    delivery.header_number("x-delivery-count").unwrap_or(0)
}

/// The failures that a message tells of; what is malformed is left out.
pub fn history(headers: &Map<String, Value>) -> Vec<Failed> {
    let Some(Value::Array(entries)) = headers.get(HISTORY) else { return Vec::new() };
    entries.iter().filter_map(|entry| Failed::deserialize(entry).ok()).collect()
}

/// The properties of a message that is published again: as they came, without what brokers added.
pub fn again(properties: &Properties) -> Properties {
    let mut properties = properties.clone();
    properties.headers.retain(|name, _| {
        !name.starts_with("x-death")
            && !name.starts_with("x-first-death")
            && !name.starts_with("x-last-death")
            && !matches!(name.as_str(), "x-delivery-count" | "x-acquired-count" | "x-stream-offset")
    });
    properties
}

/// Forgets attempts and failures, as for a message that is replayed.
pub fn forget(properties: &mut Properties) {
    properties.headers.retain(|name, _| !name.starts_with("x-sandsift-"));
}

/// Adds a failure to what a message tells of.
pub fn remember(properties: &mut Properties, failed: &Failed) {
    let mut entries = history(&properties.headers);
    entries.push(failed.clone());
    let kept: Vec<_> = entries.iter().skip(entries.len().saturating_sub(HISTORY_LENGTH)).collect();
    properties.headers.insert(HISTORY.into(), json!(kept));
}

/// Marks a message as a dead letter.
pub fn bury(properties: &mut Properties, failed: &Failed, queue: &str, digest: &str) {
    remember(properties, failed);
    let mut set = |name: &str, value: Value| properties.headers.insert(name.into(), value);
    set(ATTEMPT, json!(failed.attempt));
    set(CODE, json!(failed.code));
    set(CLASS, json!(failed.class));
    set(REASON, json!(failed.detail));
    set(DIGEST, json!(digest));
    set(QUEUE, json!(queue));
    set(WORKER, json!(failed.worker));
    set(TIME, json!(failed.time));
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn cut(text: &str) -> &str {
    if text.len() <= DETAIL_BYTES {
        return text;
    }
    let end = (0..=DETAIL_BYTES).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0);
    &text[..end]
}
