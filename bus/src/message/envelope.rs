//! Owns the CloudEvents 1.0 envelope in structured mode, both ways; what the data means is not its concern.

use super::validate::Invalid;
use serde::Serialize;
use serde_json::{Map, Value};

/// The content type of every body that Sandsift publishes.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The type of a completion.
pub const COMPLETION: &str = "sandsift.completion.v1";
/// The type of an analysis.
pub const ANALYSIS: &str = "sandsift.analysis.v1";
/// The type of a match event.
pub const MATCH: &str = "sandsift.match.v1";
/// The type of a behaviour event.
pub const BEHAVIOUR: &str = "sandsift.behaviour.v1";

/// An event in its envelope; serialises to the structured mode's JSON.
#[derive(Debug, Clone, Serialize)]
pub struct CloudEvent<'a, T> {
    specversion: &'static str,
    /// Unique together with `source`; a duplicate carries the same one.
    pub id: &'a str,
    /// Who says it, such as `/sandsift/<digest>`.
    pub source: &'a str,
    /// Such as [`ANALYSIS`].
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The sample's SHA-256.
    pub subject: &'a str,
    /// When it happened, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<&'a str>,
    datacontenttype: &'static str,
    /// The data itself.
    pub data: &'a T,
}

impl<'a, T: Serialize> CloudEvent<'a, T> {
    /// Puts data into an envelope.
    pub fn new(kind: &'static str, id: &'a str, source: &'a str, subject: &'a str, data: &'a T) -> Self {
        Self { specversion: "1.0", id, source, kind, subject, time: None, datacontenttype: "application/json", data }
    }

    /// Adds the time of what the event tells.
    pub fn at(mut self, time: Option<&'a str>) -> Self {
        self.time = time;
        self
    }

    /// Writes the structured mode's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Takes the data out of its envelope, if there is one: an object with `specversion` is a CloudEvent, which must be of
/// version 1.0 and the expected type and whose `id` must be that of the data; any other object is the data itself.
pub(super) fn open(body: Map<String, Value>, kind: &'static str) -> Result<Map<String, Value>, Invalid> {
    if !body.contains_key("specversion") {
        return Ok(body);
    }
    let mut body = body;
    let refuse = |path: &str, problem: String| Err(Invalid::envelope(path, problem));
    match body.get("specversion") {
        Some(Value::String(version)) if version == "1.0" => {}
        other => return refuse("specversion", format!("must be \"1.0\", not {}", super::validate::shown(other))),
    }
    for name in ["id", "source", "type"] {
        match body.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            other => return refuse(name, format!("must be a text, not {}", super::validate::shown(other))),
        }
    }
    if body.get("type").and_then(Value::as_str) != Some(kind) {
        return refuse("type", format!("must be \"{kind}\", not {}", super::validate::shown(body.get("type"))));
    }
    match body.get("datacontenttype") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if is_json(text) => {}
        other => {
            return refuse("datacontenttype", format!("must be a JSON type, not {}", super::validate::shown(other)));
        }
    }
    if body.contains_key("data_base64") {
        return refuse("data_base64", "is not supported; send the JSON object as data".into());
    }
    let id = body.remove("id");
    let data = match body.remove("data") {
        Some(Value::Object(data)) => data,
        other => return refuse("data", format!("must be an object, not {}", super::validate::shown(other.as_ref()))),
    };
    if data.get("id") != id.as_ref() {
        return refuse(
            "id",
            format!(
                "must be that of the data ({}), not {}",
                super::validate::shown(data.get("id")),
                super::validate::shown(id.as_ref())
            ),
        );
    }
    Ok(data)
}

/// Whether a media type is JSON: `application/json`, `text/json` or any `+json`, with or without parameters.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}
