//! Owns what tests share: events from JSON. Behind the feature `testing`.

use crate::event::{Event, Value};

/// Makes an event of a JSON object: objects under dotted paths, lists as repeated names.
pub fn event_from_json(json: &serde_json::Value) -> Event {
    let mut event = Event::new();
    push(&mut event, &mut String::new(), json);
    event
}

fn push(event: &mut Event, path: &mut String, json: &serde_json::Value) {
    use serde_json::Value as Json;
    match json {
        Json::Null => event.push(path, Value::Null),
        Json::Bool(truth) => event.push(path, Value::Bool(*truth)),
        Json::Number(number) => match number.as_i64() {
            Some(int) => event.push(path, Value::Int(int)),
            None => event.push(path, Value::Number(&number.to_string())),
        },
        Json::String(text) => event.push(path, Value::Str(text)),
        Json::Array(items) if items.is_empty() => event.push(path, Value::Empty),
        Json::Array(items) => items.iter().for_each(|item| push(event, path, item)),
        Json::Object(fields) if fields.is_empty() => {
            if !path.is_empty() {
                event.push(path, Value::Empty);
            }
        }
        Json::Object(fields) => {
            for (name, value) in fields {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                push(event, path, value);
                path.truncate(length);
            }
        }
    }
}
