//! Owns the making of a context: what a result shows of an event that made a rule fire, cut to its limits.

use super::Settings;
use super::values::rfc3339;
use sandsift_bus::message::MatchContext;
use sandsift_ingest::Record;
use sandsift_sigma::{EventSource, Matched};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What stands behind a cut value, as VirusTotal marks it.
const CUT: &str = " [TRUNCATED]";

/// What a context weighs beside its texts, roughly.
const OVERHEAD: usize = 512;

/// The context, what it weighs, and how many of its values were cut.
pub(super) fn make(
    record: &Record<'_>,
    category: Option<&str>,
    mut values: Map<String, Value>,
    matched: Vec<Matched>,
    settings: &Settings,
) -> (MatchContext, usize, u64) {
    let names: usize = values.keys().map(String::len).sum();
    let (mut weight, mut cuts) = (OVERHEAD + names, 0);
    let mut fit = |text: &mut String| {
        cuts += u64::from(cut(text, settings.value_bytes));
        weight += text.len();
    };
    for (_, value) in values.iter_mut() {
        if let Value::String(text) = value {
            fit(text);
        }
    }
    let matched = matched
        .into_iter()
        .map(|mut matched| {
            fit(&mut matched.value);
            json!(matched)
        })
        .collect();
    let context = MatchContext {
        values,
        artifact: record.artifact,
        channel: record.channel.map(ToOwned::to_owned),
        record_id: record.id,
        time: record.event.time().map(rfc3339),
        logsource: logsource(record.event.source(), category),
        origin: String::new(),
        matched,
    };
    (context, weight, cuts)
}

/// Cuts a text at a character's start; tells whether it was longer.
fn cut(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.truncate(end);
    text.push_str(CUT);
    true
}

/// The event's logsource; of several categories the one that the rule asked for.
fn logsource(source: &Arc<EventSource>, category: Option<&str>) -> Value {
    let mut object = Map::new();
    if let Some(product) = &source.product {
        object.insert("product".into(), json!(product));
    }
    let asked = category.and_then(|wanted| source.categories.iter().find(|have| &***have == wanted));
    if let Some(category) = asked.or(source.categories.first()) {
        object.insert("category".into(), json!(category));
    }
    if let Some(service) = source.services.first() {
        object.insert("service".into(), json!(service));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters_and_says_so() {
        let mut text = "äöü".to_owned();
        assert!(cut(&mut text, 3));
        assert_eq!(text, format!("ä{CUT}"));
        let mut short = "abc".to_owned();
        assert!(!cut(&mut short, 3));
        assert_eq!(short, "abc");
    }
}
