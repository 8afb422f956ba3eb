//! Owns plain JSON records under Sigma's own field names: what they answer to, and how a document falls into records.

use super::json::with_value;
use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::{Config, Context, Kind, Platform};
use sandsift_sigma::{Event, EventSource};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Lines of JSON, or a list of records, that no other decoder knows.
pub(crate) struct Plain;

const KIND: Kind = Kind(Cow::Borrowed("ndjson"));

impl Decoder for Plain {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.json().is_some_and(|json| json.keys().next().is_some()).then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "ndjson" | "jsonl" | "json")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let given = out.context().source.clone();
        let mut sources: Vec<Arc<EventSource>> = Vec::new();
        let mut event = Event::new();
        let mut number = 0u64;
        records(input.bytes, out, &mut |json, out| {
            number += 1;
            event.clear();
            if let Json::Object(object) = json {
                let mut path = String::new();
                for (name, value) in object {
                    path.clear();
                    path.push_str(name);
                    flatten(&mut path, value, &mut event);
                }
            }
            out.begin()?;
            if event.is_empty() {
                out.skip("record-unreadable", || format!("record {number} is no object with fields"));
                return ControlFlow::Continue(());
            }
            let source = given.clone().unwrap_or_else(|| own_source(&event, &mut sources));
            if let Some(platform) =
                source.product.as_deref().and_then(|p| Platform::ALL.into_iter().find(|a| a.as_str() == p))
            {
                out.platform(platform);
            }
            event.set_source(&source);
            let place = Place { channel: None, id: Some(number), context: Context::Whole, partial: false };
            out.emit(&event, &place)
        });
    }
}

/// The logsource that a record names itself.
fn own_source(event: &Event, known: &mut Vec<Arc<EventSource>>) -> Arc<EventSource> {
    let (product, category, service) = (event.get_str("product"), event.get_str("category"), event.get_str("service"));
    let made = EventSource::new(product, category, service);
    match known.iter().find(|k| **k == made) {
        Some(found) => Arc::clone(found),
        None => {
            // A record can name anything; only so many names are worth remembering.
            if known.len() < 256 {
                known.push(Arc::clone(&made));
            }
            made
        }
    }
}

fn flatten(path: &mut String, value: &Json, event: &mut Event) {
    match value {
        Json::Object(parts) if !parts.is_empty() => {
            for (name, value) in parts {
                let outside = path.len();
                path.extend([".", name]);
                flatten(path, value, event);
                path.truncate(outside);
            }
        }
        Json::Array(list) if !list.is_empty() => list.iter().for_each(|member| flatten(path, member, event)),
        value => with_value(value, |value| event.push(path, value)),
    }
}

/// Cuts a document into its JSON records (a line each, values one after another, or one list of them) and hands each to
/// `take`. What is no JSON is counted as `record-unreadable` and the next line looked at.
pub(crate) fn records(
    bytes: &[u8],
    out: &mut Emitter<'_>,
    take: &mut dyn FnMut(&Json, &mut Emitter<'_>) -> ControlFlow<()>,
) {
    let bytes = super::text::to_utf8(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let limit = usize::try_from(out.limits().record_bytes).unwrap_or(usize::MAX);
    let list = bytes.trim_ascii_start().first() == Some(&b'[');
    let mut at = if list { bytes.iter().position(|b| *b == b'[').map_or(0, |n| n + 1) } else { 0 };
    loop {
        at += bytes[at..].iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        match bytes.get(at) {
            None => return,
            Some(b']') if list => {
                at += 1;
                continue;
            }
            Some(_) => {}
        }
        let line_end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
        let flow = match value_end(bytes, at, limit) {
            Ok(end) => {
                let value = &bytes[at..end];
                match serde_json::from_slice::<Json>(value) {
                    Ok(json) => {
                        at = end;
                        take(&json, out)
                    }
                    Err(error) => {
                        at = line_end.max(at + 1);
                        unreadable(&error.to_string(), out)
                    }
                }
            }
            Err(problem) => {
                at = line_end.max(at + 1);
                unreadable(problem, out)
            }
        };
        if flow.is_break() {
            return;
        }
    }
}

fn unreadable(problem: &str, out: &mut Emitter<'_>) -> ControlFlow<()> {
    out.begin()?;
    out.skip("record-unreadable", || problem.to_owned());
    ControlFlow::Continue(())
}

/// Where the object that starts at `at` ends, by its brackets.
fn value_end(bytes: &[u8], at: usize, limit: usize) -> Result<usize, &'static str> {
    if bytes[at] != b'{' {
        return Err("a record does not begin with '{'");
    }
    let window = &bytes[at..bytes.len().min(at.saturating_add(limit))];
    let mut depth = 0usize;
    let mut n = 0;
    while let Some(found) = window.get(n..).and_then(|rest| rest.iter().position(|b| matches!(b, b'"' | b'{' | b'}'))) {
        n += found;
        match window[n] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + n + 1);
                }
            }
            _ => loop {
                let from = n + 1;
                let Some(quote) = window.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) else {
                    return Err("a record ends inside a string");
                };
                n = from + quote;
                if window[n] == b'"' {
                    break;
                }
                n += 1;
            },
        }
        n += 1;
    }
    Err(if window.len() == limit { "a record is longer than limits.record_bytes" } else { "a record has no end" })
}
