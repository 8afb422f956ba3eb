//! Owns what a rule file says beside its detection: titles, ids, levels, and everything that is kept as it is.

use super::nearest::nearest;
use super::report::{Problem, Report};
use crate::rule::{Level, LogSource, Metadata};
use crate::yaml::{Entry, Kind, Node, ScalarType};
use uuid::Uuid;

const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const LEVELS: [(&str, Level); 5] = [
    ("informational", Level::Informational),
    ("low", Level::Low),
    ("medium", Level::Medium),
    ("high", Level::High),
    ("critical", Level::Critical),
];

/// What stands at the top of every kind of document.
pub(crate) struct Head {
    /// The id as written, where it is a UUID.
    pub id: Option<Uuid>,
    pub metadata: Metadata,
}

/// Reads the top level; `known` are the keys that the kind of document reads itself.
pub(crate) fn head(report: &mut Report<'_>, entries: &[Entry<'_>], known: &[&str]) -> Head {
    let mut head = Head { id: None, metadata: Metadata::default() };
    let metadata = &mut head.metadata;
    for entry in entries {
        let value = &entry.value;
        match &*entry.key {
            "title" => metadata.title = text(value).unwrap_or_default(),
            "id" => head.id = id(report, value),
            "name" => metadata.name = text(value),
            "level" => metadata.level = level(report, value),
            "status" => metadata.status = status(report, value),
            "description" => metadata.description = text(value),
            "author" => metadata.author = joined(value),
            "date" => metadata.date = text(value),
            "modified" => metadata.modified = text(value),
            "license" => metadata.license = text(value),
            "references" => metadata.references = texts(value),
            "tags" => metadata.tags = texts(value),
            "falsepositives" => metadata.falsepositives = texts(value),
            "fields" => metadata.fields = texts(value),
            "related" => metadata.related = related(value),
            "taxonomy" => metadata.taxonomy = text(value),
            key if known.contains(&key) => {}
            key => {
                metadata.custom.insert(key.to_owned(), json(value));
            }
        }
    }
    head
}

fn text(node: &Node<'_>) -> Option<String> {
    node.as_text().map(|text| text.trim_end().to_owned())
}

/// A text, or the texts of a list.
fn texts(node: &Node<'_>) -> Vec<String> {
    match &node.kind {
        Kind::List(items) => items.iter().filter_map(text).collect(),
        _ => text(node).into_iter().collect(),
    }
}

/// The texts of a node that may be absent.
pub(super) fn texts_of(node: Option<&Node<'_>>) -> Vec<String> {
    node.map(texts).unwrap_or_default()
}

fn joined(node: &Node<'_>) -> Option<String> {
    let texts = texts(node);
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn id(report: &mut Report<'_>, node: &Node<'_>) -> Option<Uuid> {
    let text = node.as_text().unwrap_or_default();
    let id = Uuid::try_parse(text).ok();
    if id.is_none() {
        let help = "write a random UUID (version 4); until then the rule gets an id made of its content";
        let problem = Problem::new("invalid-id", format!("id '{text}' is no UUID"), help);
        report.warning(node.mark, text, problem);
    }
    id
}

fn level(report: &mut Report<'_>, node: &Node<'_>) -> Option<Level> {
    let text = node.as_text().unwrap_or_default();
    let level = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|&(_, level)| level);
    if level.is_none() {
        let names = LEVELS.map(|(name, _)| name);
        unknown_word(report, node, "invalid-level", "level", text, &names);
    }
    level
}

fn status(report: &mut Report<'_>, node: &Node<'_>) -> Option<String> {
    let text = text(node)?;
    if !STATUSES.contains(&&*text) {
        unknown_word(report, node, "invalid-status", "status", &text, &STATUSES);
    }
    Some(text)
}

fn unknown_word(report: &mut Report<'_>, node: &Node<'_>, code: &'static str, what: &str, text: &str, known: &[&str]) {
    let help = match nearest(text, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("use one of {}", known.join(", ")),
    };
    report.warning(node.mark, text, Problem::new(code, format!("'{text}' is no {what}"), help));
}

fn related(node: &Node<'_>) -> Vec<(String, String)> {
    let Kind::List(items) = &node.kind else { return Vec::new() };
    let field = |item: &Node<'_>, key: &str| item.get(key).and_then(text);
    items.iter().filter_map(|item| Some((field(item, "id")?, field(item, "type").unwrap_or_default()))).collect()
}

/// A node as JSON; numbers that JSON cannot hold without loss become their text.
pub(crate) fn json(node: &Node<'_>) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|e| (e.key.to_string(), json(&e.value))).collect(),
        Kind::List(items) => items.iter().map(json).collect(),
        Kind::Scalar(scalar) => {
            let text = || Value::String(scalar.text.to_string());
            match scalar.kind() {
                ScalarType::Null => Value::Null,
                ScalarType::Bool(truth) => Value::Bool(truth),
                ScalarType::Int => match scalar.text.parse::<i64>() {
                    Ok(int) if int.to_string() == scalar.text => int.into(),
                    _ => text(),
                },
                ScalarType::Float | ScalarType::Text => text(),
            }
        }
    }
}

/// Reads the logsource; `None` after an error.
pub(crate) fn logsource(report: &mut Report<'_>, node: Option<&Node<'_>>, document: &Node<'_>) -> Option<LogSource> {
    let help = "add a logsource with category, product or service";
    let Some(node) = node else {
        let problem = Problem::new("missing-logsource", "the rule has no logsource", help);
        report.error(document.mark, "", problem);
        return None;
    };
    let Some(entries) = node.as_map() else {
        let message = format!("the logsource is {}, not a map", node.describe());
        report.error(node.mark, "", Problem::new("invalid-logsource", message, help));
        return None;
    };
    let mut logsource = LogSource::default();
    for entry in entries {
        let part = match &*entry.key {
            "category" => &mut logsource.category,
            "product" => &mut logsource.product,
            "service" => &mut logsource.service,
            _ => continue,
        };
        if entry.value.is_null() {
            continue;
        }
        let Some(text) = entry.value.as_text() else {
            let message = format!("{} of the logsource is {}", entry.key, entry.value.describe());
            report.error(entry.value.mark, &entry.key, Problem::new("invalid-logsource", message, "write one name"));
            return None;
        };
        *part = Some(text.to_lowercase().into());
    }
    if logsource == LogSource::default() {
        report.error(node.mark, "", Problem::new("missing-logsource", "the logsource names nothing", help));
        return None;
    }
    Some(logsource)
}
