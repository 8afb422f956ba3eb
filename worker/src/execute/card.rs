//! Owns what a result says about a rule itself, beside what made it fire.

use super::attack::{tactics, techniques};
use sandsift_sigma::rule::{Level, LogSource, Metadata};
use serde_json::{Map, Value, json};

/// The level's name as messages and routing keys have it; a rule that gives none is `informational`.
pub(super) fn level_name(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Critical) => "critical",
        Some(Level::High) => "high",
        Some(Level::Medium) => "medium",
        Some(Level::Low) => "low",
        Some(Level::Informational) | None => "informational",
    }
}

/// The `rule` object of a result.
pub(super) fn card(metadata: &Metadata, logsource: &LogSource) -> Value {
    let mut card = Map::new();
    let mut put = |key: &str, value: Value| {
        card.insert(key.to_owned(), value);
    };
    put("digest", json!(hex(&metadata.digest)));
    for (key, text) in [
        ("status", &metadata.status),
        ("name", &metadata.name),
        ("date", &metadata.date),
        ("modified", &metadata.modified),
        ("license", &metadata.license),
    ] {
        if let Some(text) = text {
            put(key, json!(text));
        }
    }
    put("tags", json!(metadata.tags));
    put("tactics", json!(tactics(&metadata.tags)));
    put("techniques", json!(techniques(&metadata.tags)));
    put("references", json!(metadata.references));
    put("falsepositives", json!(metadata.falsepositives));
    put("logsource", json!(logsource));
    Value::Object(card)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}
