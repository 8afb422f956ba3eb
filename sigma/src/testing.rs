//! Owns what tests share: events from JSON, and random rules and events that meet often. Behind the feature `testing`.
//!
//! The random ones are made of bytes, so that property tests (which shrink bytes) and fuzzers (which mutate them) use
//! the same generator.

use crate::event::{Event, EventSource, Value};
use std::fmt::Write;

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
        Json::Array(items) => {
            for item in items {
                event.enter(path);
                push(event, path, item);
                event.leave();
            }
        }
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

/// A stream of choices made of bytes; when they are used up every choice is the first.
#[derive(Debug)]
pub struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    /// Starts at the first byte.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                usize::from(*first) % count.max(1)
            }
            None => 0,
        }
    }

    /// One of a list.
    pub fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }

    /// Whether there are bytes left.
    pub fn is_used_up(&self) -> bool {
        self.bytes.is_empty()
    }
}

const FIELDS: [&str; 5] = ["A", "B", "C", "D.e", "a"];

/// Pieces of values: what is special to some modifier, and letters that fold to one another.
const PIECES: [&str; 32] = [
    "a", "b", "A", "cmd", ".exe", "\\", "*", "?", "-", "/", " ", "1", "10", "k", "K", "\u{212a}", "ß", "ẞ", "σ", "ς",
    "ä", "Ä", "\n", "–", "0x1", "true", "10.0.0.1", "::1", "é", "i", "İ", "🔥",
];

const MODIFIERS: [&str; 24] = [
    "",
    "",
    "",
    "|contains",
    "|contains",
    "|startswith",
    "|endswith",
    "|contains|all",
    "|cased",
    "|contains|cased",
    "|windash",
    "|contains|windash",
    "|base64",
    "|base64offset|contains",
    "|wide",
    "|wide|base64offset|contains",
    "|re",
    "|re|i",
    "|neq",
    "|gt",
    "|lte",
    "|exists",
    "|cidr",
    "|fieldref",
];

fn value(choices: &mut Choices<'_>) -> String {
    let length = choices.below(5);
    (0..length).map(|_| choices.of(&PIECES)).collect()
}

/// A value as YAML: mostly text, sometimes what the core schema gives another type.
fn scalar(choices: &mut Choices<'_>, modifier: &str) -> String {
    match modifier {
        "|gt" | "|lte" => return choices.of(&["0", "1", "9.5", "-3", "10"]).to_owned(),
        "|exists" => return choices.of(&["true", "false"]).to_owned(),
        "|cidr" => return choices.of(&["10.0.0.0/8", "::/0", "10.0.0.1", "0.0.0.0/0"]).to_owned(),
        "|fieldref" => return choices.of(&FIELDS).to_owned(),
        "|re" | "|re|i" => {
            let pattern =
                choices.of(&["a+", "^a", "b$", "[ab]c?", "\\d", "k", "(?i)CMD", "a.b", "\\w\\s", "(?!a)b", "x|"]);
            return format!("'{pattern}'");
        }
        _ => {}
    }
    match choices.below(8) {
        0 => choices.of(&["1", "10", "1.0", "0x1", "007", "-3"]).to_owned(),
        1 => choices.of(&["true", "false", "null", "''"]).to_owned(),
        _ => serde_json::Value::String(value(choices)).to_string(),
    }
}

/// A rule file of one to four documents; most of them load.
pub fn rules(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for number in 0..=choices.below(4) {
        let _ = write!(text, "---\ntitle: Rule {number}\nlogsource: {{category: test}}\ndetection:\n");
        let selections = 1 + choices.below(4);
        for selection in 0..selections {
            let _ = writeln!(text, "  s{selection}:");
            match choices.below(6) {
                0 => {
                    for _ in 0..=choices.below(3) {
                        let _ = writeln!(text, "    - {}", scalar(choices, ""));
                    }
                }
                1 => {
                    for _ in 0..=choices.below(2) {
                        text.push_str("    - ");
                        items(choices, &mut text, "      ");
                    }
                }
                _ => {
                    text.push_str("    ");
                    items(choices, &mut text, "    ");
                }
            }
        }
        let _ = writeln!(text, "  condition: {}", condition(choices, selections, 0));
    }
    text
}

/// Items of a map, the first of them on a line that is already indented.
fn items(choices: &mut Choices<'_>, text: &mut String, indent: &str) {
    let first = choices.below(FIELDS.len());
    for number in 0..=choices.below(2) {
        if number > 0 {
            text.push_str(indent);
        }
        let modifier = choices.of(&MODIFIERS);
        let _ = write!(text, "{}{modifier}: ", FIELDS[(first + number) % FIELDS.len()]);
        if choices.below(2) == 0 {
            let _ = writeln!(text, "{}", scalar(choices, modifier));
        } else {
            let list: Vec<String> = (0..=choices.below(4)).map(|_| scalar(choices, modifier)).collect();
            let _ = writeln!(text, "[{}]", list.join(", "));
        }
    }
}

fn condition(choices: &mut Choices<'_>, selections: usize, depth: usize) -> String {
    if depth > 3 {
        return format!("s{}", choices.below(selections));
    }
    let part = |choices: &mut Choices<'_>| condition(choices, selections, depth + 1);
    match choices.below(8) {
        0 => format!("({} and {})", part(choices), part(choices)),
        1 => format!("({} or {})", part(choices), part(choices)),
        2 => format!("not {}", part(choices)),
        3 => choices.of(&["1 of them", "all of s*", "2 of them", "1 of *1", "not 1 of s*"]).to_owned(),
        _ => format!("s{}", choices.below(selections)),
    }
}

/// An event that rules of [`rules`] often match.
pub fn event(choices: &mut Choices<'_>) -> Event {
    let mut event = Event::new();
    event.set_source(&EventSource::new(None, ["test"], []));
    for _ in 0..choices.below(7) {
        let name = choices.of(&FIELDS);
        match choices.below(10) {
            0 => event.push(name, Value::Null),
            1 => event.push(name, Value::Bool(choices.below(2) == 0)),
            2 => event.push(name, Value::Int(choices.below(20) as i64 - 4)),
            3 => event.push(name, Value::Number(choices.of(&["1.0", "9.50", "1e1", "18446744073709551615"]))),
            4 => event.push(name, Value::Empty),
            _ => event.push_str(name, &value(choices)),
        }
    }
    event
}
