//! Owns the names of the topology, which an operator may change, and the routing keys.

use crate::units;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The names of exchanges and queues; the defaults are the contract's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// The exchange that takes completions.
    pub completions: String,
    /// What the names of the platforms' queues start with.
    pub queues: String,
    /// What the names of the retry exchanges and queues start with.
    pub retry: String,
    /// How long a retry waits, one exchange and queue each, shortest first.
    #[serde(with = "units::durations")]
    #[schemars(with = "Vec<String>")]
    pub retry_delays: Vec<Duration>,
    /// The exchange and the queue of dead letters.
    pub dead: String,
    /// The exchange that gives results out.
    pub results: String,
    /// The stream that keeps them.
    pub stream: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            completions: "sandbox.completions".into(),
            queues: "sandsift.completions".into(),
            retry: "sandsift.retry".into(),
            retry_delays: [5, 30, 300, 1800].map(Duration::from_secs).to_vec(),
            dead: "sandsift.dead".into(),
            results: "sandbox.results".into(),
            stream: "sandsift.results".into(),
        }
    }
}

impl Names {
    /// The queue of a platform's completions.
    pub fn queue(&self, platform: &str) -> String {
        format!("{}.{platform}", self.queues)
    }

    /// The platform whose queue this is.
    pub fn platform_of<'a>(&self, queue: &'a str) -> Option<&'a str> {
        queue.strip_prefix(self.queues.as_str())?.strip_prefix('.')
    }

    /// The exchange and queue of a delay.
    pub fn retry(&self, delay: Duration) -> String {
        format!("{}.{}", self.retry, delay_name(delay))
    }

    /// The key that a completion is published with.
    pub fn completion_key(platform: &str, sandbox: &str) -> String {
        format!("completion.{}.{}", word(platform), word(sandbox))
    }

    /// The key of an analysis; `highest` is the highest level that matched, if any.
    pub fn analysis_key(platform: &str, highest: Option<&str>) -> String {
        format!("analysis.{}.{}", word(platform), word(highest.unwrap_or("none")))
    }

    /// The key of a match; `category` is the rule's category, else its service, else absent.
    pub fn match_key(platform: &str, level: &str, category: Option<&str>) -> String {
        format!("match.{}.{}.{}", word(platform), word(level), word(category.unwrap_or("none")))
    }

    /// The key of a behaviour event.
    pub fn behaviour_key(platform: &str) -> String {
        format!("behaviour.{}", word(platform))
    }
}

/// A delay as names carry it: `500ms`, `30s`, `5m`, `2h`.
pub fn delay_name(delay: Duration) -> String {
    units::format_duration(delay)
}

/// One word of a routing key: lower case, what is outside `[a-z0-9_-]` becomes `_`, at most 60 bytes, never empty.
fn word(text: &str) -> String {
    let word: String = text
        .chars()
        .take(60)
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-' { c } else { '_' })
        .collect();
    if word.is_empty() { "none".into() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_grow_words() {
        assert_eq!(Names::completion_key("windows", "Cape v2.4/#"), "completion.windows.cape_v2_4__");
        assert_eq!(Names::match_key("linux", "high", None), "match.linux.high.none");
        assert!(Names::completion_key("linux", &"é".repeat(400)).len() < 255);
    }

    #[test]
    fn a_queue_knows_its_platform() {
        let names = Names::default();
        assert_eq!(names.platform_of(&names.queue("macos")), Some("macos"));
        assert_eq!(names.platform_of("sandsift.retry.30s"), None);
        assert_eq!(names.retry(Duration::from_secs(300)), "sandsift.retry.5m");
    }
}
