//! Owns the turning of an analysis into messages: envelope, routing keys, ids, sizes.

use super::shrink::shrink;
use crate::error::{Code, Failure};
use sandsift_bus::message::envelope::{self, CloudEvent};
use sandsift_bus::message::{Analysis, MatchEvent, RuleResult};
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
    messages.push(analysis_message(analysis, names, limit)?);
    Ok(messages)
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
