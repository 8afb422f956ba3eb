//! Owns the lints of values, fields and conditions as they are written.

use crate::fold::fold;
use crate::parse::{Problem, Report};
use crate::yaml::{Entry, Kind, Mark, Node, Scalar, ScalarType};
use std::collections::HashMap;

/// How many values of a list are compared with one another.
const MAX_COMPARED: usize = 200;

pub(super) fn lint(report: &mut Report<'_>, detection: &Node<'_>) {
    for entry in detection.as_map().unwrap_or_default() {
        match &*entry.key {
            "condition" => condition(report, &entry.value),
            "timeframe" | "rules" => {}
            _ => selection(report, &entry.value),
        }
    }
}

fn condition(report: &mut Report<'_>, node: &Node<'_>) {
    if let Kind::List(_) = node.kind {
        let message = "the condition is a list, which the text of the specification allows and its schema does not";
        report.note(node.mark, "", Problem::new("condition-list", message, "join the conditions by 'or'"));
    }
    let text = node.as_text().unwrap_or_default();
    if text.contains("all of them") {
        let message = "'all of them' leaves no room for filters";
        report.note(node.mark, "all of them", Problem::new("all-of-them", message, "write 'all of selection_*'"));
    }
}

fn selection(report: &mut Report<'_>, node: &Node<'_>) {
    match &node.kind {
        Kind::Map(entries) => entries.iter().for_each(|entry| item(report, entry)),
        Kind::List(members) => members.iter().for_each(|member| selection(report, member)),
        Kind::Scalar(scalar) => backslash(report, node.mark, scalar),
    }
}

fn item(report: &mut Report<'_>, entry: &Entry<'_>) {
    let mut parts = entry.key.split('|');
    let field = parts.next().unwrap_or_default();
    let modifiers: Vec<&str> = parts.collect();
    if field.contains(char::is_whitespace) {
        let message = format!("the field '{field}' has a space in its name");
        let help = format!("events carry it as '{}'", field.split_whitespace().collect::<String>());
        report.warning(entry.key_mark, field, Problem::new("field-with-space", message, help));
    }
    let scalars: Vec<(Mark, &Scalar<'_>)> = match &entry.value.kind {
        Kind::Scalar(scalar) => vec![(entry.value.mark, scalar)],
        Kind::List(members) => members.iter().filter_map(|m| Some((m.mark, m.as_scalar()?))).collect(),
        Kind::Map(_) => return selection(report, &entry.value),
    };
    repeats(report, &scalars, &modifiers);
    if modifiers.contains(&"re") {
        return;
    }
    for (mark, scalar) in scalars {
        backslash(report, mark, scalar);
        wildcards(report, mark, scalar, &modifiers);
    }
}

/// `\*` is a literal star, and after a path hardly ever meant so.
fn backslash(report: &mut Report<'_>, mark: Mark, scalar: &Scalar<'_>) {
    let bytes = scalar.text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let slip = matches!(bytes[at + 1], b'*' | b'?')
            && at > 0
            && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b':');
        if slip {
            let wildcard = char::from(bytes[at + 1]);
            let message = format!("'\\{wildcard}' is a literal '{wildcard}', not a backslash and a wildcard");
            let help = format!("write '\\\\{wildcard}' for a backslash and a wildcard");
            report.warning(mark, &scalar.text, Problem::new("escaped-wildcard", message, help));
            return;
        }
        at += 2;
    }
}

fn wildcards(report: &mut Report<'_>, mark: Mark, scalar: &Scalar<'_>, modifiers: &[&str]) {
    let text = &*scalar.text;
    let inner = text.trim_matches('*');
    let (starts, ends) = (text.starts_with('*'), text.ends_with('*') && !text.ends_with("\\*"));
    if inner.is_empty() || !(starts || ends) {
        return;
    }
    let has = |name: &str| modifiers.contains(&name);
    let redundant = has("contains") || has("endswith") && starts || has("startswith") && ends;
    if redundant {
        let message = "the modifier already puts a wildcard there";
        report.note(mark, text, Problem::new("redundant-wildcard", message, "remove the '*' at the end of the value"));
    } else if modifiers.is_empty() && !inner.contains('*') && !inner.contains('?') {
        let modifier = match (starts, ends) {
            (true, true) => "contains",
            (true, false) => "endswith",
            _ => "startswith",
        };
        let message = format!("the wildcard says what '{modifier}' says");
        report.note(mark, text, Problem::new("prefer-modifier", message, format!("use '|{modifier}' without '*'")));
    }
}

/// Values that stand twice, and values that another one of the list makes needless.
fn repeats(report: &mut Report<'_>, scalars: &[(Mark, &Scalar<'_>)], modifiers: &[&str]) {
    if scalars.len() < 2 {
        return;
    }
    let exact = modifiers.iter().any(|m| matches!(*m, "re" | "cased" | "base64" | "base64offset"));
    let normal = |text: &str| -> String { if exact { text.to_owned() } else { text.chars().map(fold).collect() } };
    let texts: Vec<String> = scalars.iter().map(|(_, scalar)| normal(&scalar.text)).collect();
    let mut seen: HashMap<&str, Mark> = HashMap::new();
    for ((mark, scalar), text) in scalars.iter().zip(&texts) {
        if scalar.kind() == ScalarType::Null {
            continue;
        }
        if let Some(first) = seen.insert(text, *mark) {
            let message = format!("the value stands twice, first in line {}", first.line);
            report.warning(*mark, &scalar.text, Problem::new("duplicate-value", message, "remove one"));
        }
    }
    let plain = |text: &str| !text.contains(['*', '?', '\\']) && !text.is_empty();
    if modifiers != ["contains"] || texts.len() > MAX_COMPARED {
        return;
    }
    for ((mark, scalar), text) in scalars.iter().zip(&texts).filter(|(_, text)| plain(text)) {
        if let Some(shorter) =
            texts.iter().find(|other| *other != text && plain(other) && text.contains(other.as_str()))
        {
            let message = format!("never decides: whatever holds it also holds '{shorter}'");
            report.note(*mark, &scalar.text, Problem::new("needless-value", message, "remove the longer value"));
        }
    }
}
