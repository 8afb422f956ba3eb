//! Owns the outside shapes of a match: pure functions from a match event to the JSON that other systems read.
//!
//! The native message is the contract; OCSF and ECS are views of it for those who already speak these. What a schema
//! has no place for stays under a name of ours, so that a view loses nothing but the shape.

mod ecs;
mod ocsf;

pub use ecs::{ECS_VERSION, ecs};
pub use ocsf::{OCSF_VERSION, ocsf};

use sandsift_bus::message::{MatchContext, MatchEvent};
use serde_json::{Map, Value, json};

/// Where ATT&CK describes a tactic or a technique.
fn attack_url(id: &str) -> String {
    let folder = if id.starts_with("TA") { "tactics" } else { "techniques" };
    format!("https://attack.mitre.org/{folder}/{}/", id.replace('.', "/"))
}

/// A tactic's name as ATT&CK writes it: `defense-evasion` is `Defense Evasion`.
fn tactic_title(name: &str) -> String {
    let word = |word: &str| match word {
        "and" => word.to_owned(),
        _ => {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    };
    name.split('-').map(word).collect::<Vec<_>>().join(" ")
}

/// The texts of a list under the rule's card.
fn listed<'m>(event: &'m MatchEvent, key: &str) -> impl Iterator<Item = &'m str> {
    event.result.rule.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The first and the last time that the shown contexts name, as RFC 3339.
fn span(event: &MatchEvent) -> Option<(&str, &str)> {
    let times = || event.result.match_context.iter().filter_map(|context| context.time.as_deref());
    Some((times().min()?, times().max()?))
}

/// When the match was found to have happened: the first context's time, else the end of the run, else its start.
fn happened(event: &MatchEvent) -> Option<&str> {
    let completion = &event.completion;
    span(event).map(|(first, _)| first).or(completion.finished.as_deref()).or(completion.started.as_deref())
}

/// A time of RFC 3339 in milliseconds since 1970, as OCSF counts.
fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A value of a context as text, under the first of the names that it has.
fn text<'c>(context: &'c MatchContext, names: &[&str]) -> Option<&'c str> {
    names.iter().find_map(|name| context.values.get(*name)?.as_str()).filter(|text| !text.is_empty())
}

/// Sets a member unless the value is null.
fn put(object: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let value = value.into();
    if !value.is_null() {
        object.insert(key.to_owned(), value);
    }
}

/// Everything of the native match that a schema has no place for.
fn native(event: &MatchEvent) -> Value {
    json!({
        "analysis": event.analysis,
        "completion": event.completion,
        "sample": event.sample,
        "platform": event.platform,
        "sandbox": event.sandbox,
        "ruleset": event.ruleset,
        "origins": event.result.origins,
        "cross_platform": event.result.cross_platform,
        "logsource": event.result.rule.get("logsource"),
        "falsepositives": event.result.rule.get("falsepositives"),
        "references": event.result.rule.get("references"),
        "match_context": event.result.match_context,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_those_of_attack() {
        assert_eq!(tactic_title("command-and-control"), "Command and Control");
        assert_eq!(attack_url("T1059.001"), "https://attack.mitre.org/techniques/T1059/001/");
        assert_eq!(attack_url("TA0005"), "https://attack.mitre.org/tactics/TA0005/");
    }
}
