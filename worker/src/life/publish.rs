//! Owns the turning of an analysis into messages: envelope, routing keys, ids, sizes.

use super::shrink::shrink;
use crate::error::{Code, Failure};
use sandsift_bus::message::envelope::{self, CloudEvent};
use sandsift_bus::message::{Analysis, BehaviourEvent, MatchEvent, RuleResult};
use sandsift_bus::{Message, Names, Properties, headers, id};
use serde::Serialize;

/// Levels, lowest first.
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// The messages of an analysis: the matches, then the analysis itself, so that who sees the analysis can count on the
/// matches. Each body has at most `limit` bytes; contexts go first, counts stay exact.
pub fn results(analysis: &Analysis, names: &Names, matches: bool, limit: usize) -> Result<Vec<Message>, Failure> {
    let mut messages = Vec::new();
    if matches {
        for result in &analysis.sigma_analysis_results {
            messages.push(match_message(analysis, result, names, limit)?);
        }
    }
    match &analysis.behaviour {
        None => messages.push(analysis_message(analysis, names, limit)?),
        Some(behaviour) => {
            messages.push(behaviour_message(analysis, behaviour, names, limit)?);
            let mut without = analysis.clone();
            without.behaviour = None;
            messages.push(analysis_message(&without, names, limit)?);
        }
    }
    Ok(messages)
}

/// What the run did; lists are halved until it fits, and what went is counted.
fn behaviour_message(
    analysis: &Analysis,
    behaviour: &serde_json::Value,
    names: &Names,
    limit: usize,
) -> Result<Message, Failure> {
    let id = id::behaviour(&analysis.completion.id, &analysis.ruleset.digest).to_string();
    let mut event = BehaviourEvent {
        id: id.clone(),
        analysis: analysis.id.clone(),
        completion: analysis.completion.clone(),
        sample: analysis.sample.clone(),
        platform: analysis.platform.clone(),
        sandbox: analysis.sandbox.clone(),
        ruleset: analysis.ruleset.clone(),
        behaviour: behaviour.clone(),
    };
    let mut body = envelop(envelope::BEHAVIOUR, &id, analysis, &event)?;
    while body.len() > limit {
        if halve(&mut event.behaviour) == 0 {
            return Err(too_large("a behaviour", body.len(), limit));
        }
        body = envelop(envelope::BEHAVIOUR, &id, analysis, &event)?;
    }
    Ok(message(names, Names::behaviour_key(&analysis.platform), envelope::BEHAVIOUR, &id, analysis, body))
}

/// Drops the later half of every list; how many entries went.
fn halve(behaviour: &mut serde_json::Value) -> u64 {
    let Some(lists) = behaviour.as_object_mut() else { return 0 };
    let mut gone = 0;
    for list in lists.values_mut().filter_map(serde_json::Value::as_array_mut) {
        let kept = list.len() / 2;
        gone += (list.len() - kept) as u64;
        list.truncate(kept);
    }
    let before = lists.get("left_out").and_then(serde_json::Value::as_u64).unwrap_or(0);
    lists.insert("left_out".into(), before.saturating_add(gone).into());
    gone
}

fn analysis_message(analysis: &Analysis, names: &Names, limit: usize) -> Result<Message, Failure> {
    let levels = analysis.sigma_analysis_results.iter().map(|result| result.rule_level.as_str());
    let highest = levels.max_by_key(|level| rank(level));
    let key = Names::analysis_key(&analysis.platform, highest);
    let encode = |analysis: &Analysis| envelop(envelope::ANALYSIS, &analysis.id, analysis, analysis);
    let mut body = encode(analysis)?;
    if body.len() > limit {
        let mut smaller = analysis.clone();
        body = shrink(&mut smaller, limit, encode)?;
    }
    Ok(message(names, key, envelope::ANALYSIS, &analysis.id, analysis, body))
}

fn match_message(analysis: &Analysis, result: &RuleResult, names: &Names, limit: usize) -> Result<Message, Failure> {
    let logsource = result.rule.get("logsource");
    let part = |name: &str| logsource.and_then(|logsource| logsource.get(name)).and_then(serde_json::Value::as_str);
    let key = Names::match_key(&analysis.platform, &result.rule_level, part("category").or_else(|| part("service")));
    let id = id::matched(&analysis.completion.id, &analysis.ruleset.digest, &result.rule_id).to_string();
    let mut event = MatchEvent {
        id: id.clone(),
        analysis: analysis.id.clone(),
        completion: analysis.completion.clone(),
        sample: analysis.sample.clone(),
        platform: analysis.platform.clone(),
        sandbox: analysis.sandbox.clone(),
        ruleset: analysis.ruleset.clone(),
        result: result.clone(),
    };
    let mut body = envelop(envelope::MATCH, &id, analysis, &event)?;
    while body.len() > limit {
        let contexts = &mut event.result.match_context;
        if contexts.is_empty() {
            return Err(too_large("a match", body.len(), limit));
        }
        contexts.truncate(contexts.len() / 2);
        body = envelop(envelope::MATCH, &id, analysis, &event)?;
    }
    Ok(message(names, key, envelope::MATCH, &id, analysis, body))
}

fn envelop<T: Serialize>(kind: &'static str, id: &str, analysis: &Analysis, data: &T) -> Result<Vec<u8>, Failure> {
    let source = format!("/sandsift/{}", analysis.ruleset.digest);
    let event = CloudEvent::new(kind, id, &source, &analysis.sample.sha256, data);
    let event = event.at(analysis.completion.finished.as_deref().filter(|time| looks_like_a_time(time)));
    event.to_bytes().map_err(|error| Failure::new(Code::ResultTooLarge, format!("a result cannot be written: {error}")))
}

/// CloudEvents asks for RFC 3339; a sandbox may send anything.
fn looks_like_a_time(text: &str) -> bool {
    let shape = text.as_bytes();
    shape.len() >= 20
        && shape[..19].iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
        && (text.ends_with('Z') || matches!(shape[shape.len() - 6], b'+' | b'-'))
}

fn message(
    names: &Names,
    routing_key: String,
    kind: &'static str,
    id: &str,
    analysis: &Analysis,
    body: Vec<u8>,
) -> Message {
    let short = |text: &String| (text.len() <= 255).then(|| text.clone());
    Message {
        exchange: names.results.clone(),
        routing_key,
        properties: Properties {
            content_type: Some(envelope::CONTENT_TYPE.into()),
            message_id: Some(id.into()),
            kind: Some(kind.into()),
            correlation_id: analysis.completion.root_uid.as_ref().and_then(short),
            app_id: Some("sandsift".into()),
            timestamp: Some(headers::unix_now()),
            ..Properties::default()
        },
        body: body.into(),
    }
}

pub(super) fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(0)
}

pub(super) fn too_large(what: &str, bytes: usize, limit: usize) -> Failure {
    let detail = format!("{what} has {bytes} bytes even without contexts, the limit is {limit} (limits.result_bytes)");
    Failure::new(Code::ResultTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn analysis(behaviour: Value) -> Analysis {
        let mut analysis: Analysis = serde_json::from_value(json!({
            "id": "a", "completion": {"id": "c"}, "sample": {"sha256": "ab"}, "platform": "linux",
            "sandbox": {"name": "s"}, "sigma_analysis_results": [],
            "sigma_analysis_stats": {"critical": 0, "high": 0, "medium": 0, "low": 0}, "sigma_analysis_summary": {},
            "informational": 0, "stats_by_origin": {}, "events": {}, "incomplete": [], "artifacts": [],
            "ruleset": {"digest": "d", "rules": 0},
            "run": {"engine": "", "worker": "", "input": "", "attempt": 1, "seconds": {}},
        }))
        .unwrap();
        analysis.behaviour = Some(Box::new(behaviour));
        analysis
    }

    fn body(message: &Message) -> Value {
        serde_json::from_slice(&message.body).unwrap()
    }

    #[test]
    fn a_behaviour_travels_by_itself_before_the_analysis() {
        let analysis = analysis(json!({"files_written": ["/a"]}));
        let messages = results(&analysis, &Names::default(), true, 1 << 20).unwrap();
        let keys: Vec<&str> = messages.iter().map(|message| message.routing_key.as_str()).collect();
        assert_eq!(keys, ["behaviour.linux", "analysis.linux.none"]);
        let told = body(&messages[0]);
        assert_eq!((&told["type"], &told["data"]["analysis"]), (&json!("sandsift.behaviour.v1"), &json!("a")));
        assert_eq!(told["data"]["behaviour"], json!({"files_written": ["/a"]}));
        assert!(body(&messages[1])["data"].get("behaviour").is_none());
    }

    #[test]
    fn a_behaviour_that_is_too_large_loses_the_later_entries_and_counts_them() {
        let files: Vec<String> = (0..10_000).map(|n| format!("/tmp/file-{n}")).collect();
        let analysis = analysis(json!({"files_written": files}));
        let messages = results(&analysis, &Names::default(), true, 64 << 10).unwrap();
        assert!(messages[0].body.len() <= 64 << 10);
        let told = body(&messages[0]);
        let kept = told["data"]["behaviour"]["files_written"].as_array().unwrap();
        assert_eq!(kept[0], json!("/tmp/file-0"));
        assert_eq!(told["data"]["behaviour"]["left_out"].as_u64().unwrap(), 10_000 - kept.len() as u64);
    }
}
