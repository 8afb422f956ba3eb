//! Owns what keys there are: the schema of the configuration, walked to find keys that do not exist and the right ones
//! nearest to them, and to know what a text from the environment must become.

use super::Config;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());

/// The schema of the whole configuration.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// The schema behind references and `null` alternatives.
pub fn resolve(mut schema: &'static Value) -> &'static Value {
    // A schema that refers to itself would be a mistake of ours; the bound keeps it from being a hang.
    for _ in 0..16 {
        let next = if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            SCHEMA.pointer(reference.trim_start_matches('#'))
        } else if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            options.iter().find(|option| option.get("type").and_then(Value::as_str) != Some("null"))
        } else {
            None
        };
        match next {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The keys of a section; `None` where any key goes.
pub fn properties(schema: &'static Value) -> Option<&'static Map<String, Value>> {
    resolve(schema).get("properties").and_then(Value::as_object)
}

/// A key that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its whole path, such as `worker.slot`.
    pub key: String,
    /// The nearest right one, where there is one near.
    pub nearest: Option<String>,
}

/// Every key of a document that does not exist.
pub fn unknown(document: &Value) -> Vec<Unknown> {
    let mut found = Vec::new();
    check(document, &SCHEMA, "", &mut found);
    found
}

fn check(value: &Value, schema: &'static Value, path: &str, found: &mut Vec<Unknown>) {
    let schema = resolve(schema);
    match value {
        Value::Object(object) => {
            let known = properties(schema);
            for (key, member) in object {
                let full = join(path, key);
                match (known.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                    (Some(next), _) => check(member, next, &full, found),
                    (None, Some(next)) if next.is_object() => check(member, next, &full, found),
                    (None, _) if known.is_some() => {
                        let nearest = known.and_then(|known| nearest(key, path, known));
                        found.push(Unknown { key: full, nearest });
                    }
                    _ => {}
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                for (at, item) in list.iter().enumerate() {
                    check(item, items, &format!("{path}[{at}]"), found);
                }
            }
        }
        _ => {}
    }
}

/// The right key nearest to a wrong one: of the same section, else one of that name anywhere.
fn nearest(key: &str, path: &str, siblings: &Map<String, Value>) -> Option<String> {
    let close = |name: &str| strsim::jaro_winkler(&key.to_lowercase().replace('-', "_"), name);
    let best = siblings.keys().map(|name| (close(name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    if best.0 > 0.75 {
        return Some(join(path, best.1));
    }
    let mut everywhere = Vec::new();
    collect(&SCHEMA, "", 0, &mut everywhere);
    everywhere
        .into_iter()
        .map(|full| (close(full.rsplit('.').next().unwrap_or(&full)), full))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, full)| full)
}

fn collect(schema: &'static Value, path: &str, depth: usize, keys: &mut Vec<String>) {
    if depth > 8 {
        return;
    }
    for (name, next) in properties(schema).into_iter().flatten() {
        let full = join(path, name);
        collect(next, &full, depth + 1, keys);
        keys.push(full);
    }
}

pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What a text from the environment means where the schema wants this.
pub fn typed(text: &str, keys: &[String]) -> Value {
    let mut schema: &'static Value = &SCHEMA;
    for key in keys {
        let here = resolve(schema);
        let next = here.get("properties").and_then(|known| known.get(key)).or(here.get("additionalProperties"));
        match next {
            Some(next) => schema = next,
            None => return Value::String(text.to_owned()),
        }
    }
    let kind = resolve(schema).get("type").cloned().unwrap_or(Value::Null);
    let is = |name: &str| kind == name || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == name));
    let parsed = || serde_json::from_str::<Value>(text).ok();
    if is("array") || is("object") {
        // JSON for lists of objects, else a list with commas.
        let list = || text.split(',').filter(|part| !part.is_empty()).map(|part| part.trim().into()).collect();
        parsed().filter(|value| value.is_array() || value.is_object()).unwrap_or_else(|| Value::Array(list()))
    } else if is("integer") || is("number") || is("boolean") {
        parsed().unwrap_or_else(|| Value::String(text.to_owned()))
    } else {
        Value::String(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_key_names_the_nearest_right_one() {
        let near = |document: Value| unknown(&document).pop().unwrap();
        assert_eq!(
            near(json!({"results": {"max_context": 3}})),
            Unknown { key: "results.max_context".into(), nearest: Some("results.max_contexts".into()) }
        );
        assert_eq!(near(json!({"rule": {}})).nearest.as_deref(), Some("rules"));
        assert_eq!(near(json!({"rules": {"sources": [{"nmae": "x"}]}})).key, "rules.sources[0].nmae");
        assert_eq!(near(json!({"max_contexts": 3})).nearest.as_deref(), Some("results.max_contexts"));
        assert_eq!(near(json!({"qqqq": 3})).nearest, None);
        assert!(unknown(&json!({"rules": {"placeholders": {"anything": ["a"]}}})).is_empty());
    }

    #[test]
    fn a_text_becomes_what_the_key_wants() {
        let keys = |path: &str| path.split('.').map(String::from).collect::<Vec<_>>();
        assert_eq!(typed("3", &keys("results.max_contexts")), json!(3));
        assert_eq!(typed("sample,background", &keys("results.origins")), json!(["sample", "background"]));
        assert_eq!(typed("true", &keys("rules.drafts")), json!(true));
        assert_eq!(typed("16MiB", &keys("limits.record_bytes")), json!("16MiB"));
    }
}
