//! Owns records of Windows event logs as JSON, in the shapes that tools give them: `evtx_dump` (`Event.System`,
//! `#attributes`, `#text`), xmltodict (`@Name`, `#text`, as CAPE's report has it), Winlogbeat (`winlog.event_data`), and
//! flat ones with `Channel` and `EventID` at the top, as hayabusa, nxlog and the OTRF data sets have them.

use super::documents::records;
use super::record::WindowsRecord;
use crate::decode::{Decoder, Emitter, Head, Input, JsonHead, Repeats};
use crate::{Config, Kind, ndjson};
use memchr::memmem;
use sandsift_sigma::Value;
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// JSON records of Windows event logs.
pub(crate) struct EventJson;

const KIND: Kind = Kind(Cow::Borrowed("evtx.json"));

impl Decoder for EventJson {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.json().is_some_and(looks_like_a_record).then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "evtx.json" | "evtx.ndjson" | "winlogbeat")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let mut record = WindowsRecord::default();
        let mut decoder = ndjson::Decoder::new(out.limits());
        records(input.bytes, out, &mut |bytes, _, out| {
            record.clear();
            // A flat record needs no tree. Nested shapes are a log's own records; flat ones may be anyone's lines.
            if !is_nested(bytes) {
                record.flat(|event| decoder.decode(bytes, event)).map_err(|e| e.to_string())?;
                return Ok(record.finish(Repeats::Keep, out));
            }
            let json: Json = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
            if fill(&json, &mut record) {
                return Ok(record.finish(Repeats::Drop, out));
            }
            record.clear();
            record.flat(|event| decoder.decode(bytes, event)).map_err(|e| e.to_string())?;
            Ok(record.finish(Repeats::Keep, out))
        });
    }
}

/// Whether a record may be of a nested shape; a flat one that has one of these names for a field is found out later.
fn is_nested(bytes: &[u8]) -> bool {
    let has = |name: &str| memmem::find(bytes, name.as_bytes()).is_some();
    has("\"System\"") || has("\"winlog\"")
}

fn looks_like_a_record(json: &JsonHead) -> bool {
    let nested = (json.has("Event.System") || json.has("System")) && !json.has("behavior");
    let winlog = json.has("winlog.channel") || json.has("winlog.event_id") || json.has("winlog.provider_name");
    let flat = json.has("EventID")
        && (json.has("Channel") || json.has("Provider_Name") || json.has("SourceName") || json.has("ProviderName"));
    // Sysmon for Linux writes the same words; its decoder comes first where it is there.
    let linux = [json.text("Channel"), json.text("Event.System.Channel"), json.text("winlog.channel")]
        .iter()
        .any(|c| c.is_some_and(|c| c.starts_with("Linux-")));
    (nested || winlog || flat) && !linux
}

/// Reads one record of any of the shapes into `record`; `false` where it is none.
pub(crate) fn fill(json: &Json, record: &mut WindowsRecord) -> bool {
    let Json::Object(object) = json else { return false };
    let event = match object.get("Event") {
        Some(Json::Object(event)) => event,
        _ => object,
    };
    match (event.get("System"), object.get("winlog")) {
        (Some(Json::Object(system)), _) => nested(event, system, record),
        (_, Some(Json::Object(winlog))) => winlogbeat(object, winlog, record),
        _ => return false,
    }
    true
}

/// `System` with `EventData` or `UserData`, whichever tool's attributes.
fn nested(event: &Map<String, Json>, system: &Map<String, Json>, record: &mut WindowsRecord) {
    let mut name = String::new();
    for (element, value) in system {
        match value {
            Json::Object(parts) => {
                for (attribute, value) in attributes(parts) {
                    name.clear();
                    name.extend([element, "_", attribute]);
                    system_value(&name, value, record);
                }
                if let Some(value) = parts.get("#text") {
                    system_value(element, value, record);
                }
            }
            Json::Null => {}
            // `evtx_dump --separate-json-attributes` writes `Provider_attributes`, an object: handled above.
            value => system_value(element, value, record),
        }
    }
    for (part, value) in event {
        match (part.as_str(), value) {
            ("EventData" | "ProcessingErrorData" | "DebugData", Json::Object(data)) => event_data(data, record),
            ("UserData", Json::Object(data)) => {
                // The wrapper names the event, not a field.
                for (name, fields) in data.iter().filter(|(name, _)| !is_attribute(name)) {
                    match fields {
                        Json::Object(fields) => fields
                            .iter()
                            .filter(|(name, _)| !is_attribute(name))
                            .for_each(|(name, value)| deep(&mut name.clone(), value, record)),
                        value => deep(&mut name.clone(), value, record),
                    }
                }
            }
            ("RenderingInfo", Json::Object(info)) => {
                if let Some(Json::String(text)) = info.get("Message") {
                    record.system("Message", Value::Str(text));
                }
            }
            _ => {}
        }
    }
}

fn system_value(name: &str, value: &Json, record: &mut WindowsRecord) {
    let name = name.strip_suffix("_attributes").unwrap_or(name);
    with_value(value, |value| {
        if !matches!(value, Value::Null | Value::Str("") | Value::Empty) {
            record.system(name, value);
        }
    });
}

/// Whether a key is an attribute of the element rather than one inside it.
fn is_attribute(key: &str) -> bool {
    key.starts_with('@') || key == "#attributes" || key.ends_with("_attributes") || key.starts_with("xmlns")
}

/// The attributes of an element: under `#attributes`, each under `@Name`, or, where a tool wrote them apart, plainly.
fn attributes(parts: &Map<String, Json>) -> impl Iterator<Item = (&str, &Json)> {
    let inner = match parts.get("#attributes") {
        Some(Json::Object(inner)) => Some(inner),
        _ => None,
    };
    let own = parts.iter().filter(|(key, _)| !key.starts_with('#'));
    own.map(|(key, value)| (key.strip_prefix('@').unwrap_or(key), value))
        .chain(inner.into_iter().flatten().map(|(key, value)| (key.as_str(), value)))
        .filter(|(key, _)| !key.starts_with("xmlns"))
}

fn event_data(data: &Map<String, Json>, record: &mut WindowsRecord) {
    for (name, value) in data.iter().filter(|(name, _)| !is_attribute(name)) {
        match (name.as_str(), value) {
            ("Data", Json::Array(list)) => list.iter().for_each(|member| named_data(member, record)),
            ("Data", value) => named_data(value, record),
            (name, value) => deep(&mut name.to_owned(), value, record),
        }
    }
}

/// One `Data` with its name as an attribute, or without one.
fn named_data(value: &Json, record: &mut WindowsRecord) {
    let Json::Object(parts) = value else {
        // xmltodict makes nothing of an element without text; a lone one is no value.
        if !value.is_null() {
            with_value(value, |value| record.unnamed(value));
        }
        return;
    };
    let name = attributes(parts).find(|(key, _)| *key == "Name").and_then(|(_, name)| name.as_str());
    match (name, parts.get("#text")) {
        (Some(name), Some(text)) => deep(&mut name.to_owned(), text, record),
        // The element is there and empty.
        (Some(name), None) => record.data(name, Value::Str("")),
        (None, Some(Json::Array(list))) => list.iter().for_each(|text| with_value(text, |v| record.unnamed(v))),
        (None, Some(text)) => with_value(text, |value| record.unnamed(value)),
        (None, None) => {}
    }
}

/// Takes a value under its name, what is inside it under dotted paths; depth is bounded by the JSON reader's.
fn deep(path: &mut String, value: &Json, record: &mut WindowsRecord) {
    match value {
        Json::Object(parts) if parts.contains_key("#text") => deep(path, &parts["#text"], record),
        Json::Object(parts) if !parts.is_empty() => {
            for (name, value) in parts.iter().filter(|(name, _)| !is_attribute(name)) {
                let outside = path.len();
                path.extend([".", name]);
                deep(path, value, record);
                path.truncate(outside);
            }
        }
        Json::Array(list) if !list.is_empty() => list.iter().for_each(|member| deep(path, member, record)),
        // An element without text is empty, not null, whatever a tool made of it.
        Json::Null => record.data(path, Value::Str("")),
        Json::String(text) if path.ends_with("Guid") && is_bare_guid(text) => {
            record.data(path, Value::Str(&format!("{{{text}}}")));
        }
        value => with_value(value, |value| record.data(path, value)),
    }
}

/// Whether a text is a GUID without the braces that Windows writes around it; older `evtx_dump` left them out.
fn is_bare_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Calls `take` with a scalar as an event's value; lists and maps count as empty.
pub(crate) fn with_value(value: &Json, take: impl FnOnce(Value<'_>)) {
    match value {
        Json::Null => take(Value::Null),
        Json::Bool(b) => take(Value::Bool(*b)),
        Json::Number(number) => match number.as_i64() {
            Some(n) => take(Value::Int(n)),
            None => take(Value::Number(&number.to_string())),
        },
        Json::String(text) => take(Value::Str(text)),
        Json::Array(_) | Json::Object(_) => take(Value::Empty),
    }
}

/// Winlogbeat's shape: `winlog` holds the record, what is beside it is the agent's.
fn winlogbeat(object: &Map<String, Json>, winlog: &Map<String, Json>, record: &mut WindowsRecord) {
    const NAMES: &[(&str, &str)] = &[
        ("channel", "Channel"),
        ("event_id", "EventID"),
        ("computer_name", "Computer"),
        ("provider_name", "Provider_Name"),
        ("provider_guid", "Provider_Guid"),
        ("record_id", "EventRecordID"),
        ("version", "Version"),
        ("opcode", "Opcode"),
        ("task", "Task"),
        ("activity_id", "Correlation_ActivityID"),
        ("related_activity_id", "Correlation_RelatedActivityID"),
    ];
    for (from, to) in NAMES {
        if let Some(value) = winlog.get(*from) {
            system_value(to, value, record);
        }
    }
    if winlog.get("event_id").is_none()
        && let Some(code) = object.get("event").and_then(|e| e.get("code"))
    {
        system_value("EventID", code, record);
    }
    if let Some(process) = winlog.get("process") {
        let thread = process.get("thread").and_then(|t| t.get("id"));
        for (name, value) in [("Execution_ProcessID", process.get("pid")), ("Execution_ThreadID", thread)] {
            if let Some(value) = value {
                system_value(name, value, record);
            }
        }
    }
    if let Some(user) = winlog.get("user").and_then(|u| u.get("identifier")) {
        system_value("Security_UserID", user, record);
    }
    if let Some(time) = object.get("@timestamp") {
        system_value("TimeCreated_SystemTime", time, record);
    }
    if let Some(Json::String(message)) = object.get("message") {
        record.system("Message", Value::Str(message));
    }
    if let Some(Json::Object(data)) = winlog.get("event_data") {
        for (name, value) in data {
            // Winlogbeat numbers values without a name.
            let unnamed =
                name.strip_prefix("param").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            if unnamed {
                with_value(value, |value| record.unnamed(value));
            } else {
                deep(&mut name.clone(), value, record);
            }
        }
    }
    if let Some(Json::Object(data)) = winlog.get("user_data") {
        for (name, value) in data.iter().filter(|(name, _)| *name != "xml_name") {
            deep(&mut name.clone(), value, record);
        }
    }
}
