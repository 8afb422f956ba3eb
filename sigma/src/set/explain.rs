//! Owns the answer to "why did it match": the tests that made a rule fire, with the values that decided.

use crate::event::Event;
use crate::reference;
use crate::rule::{Expr, Predicate, Rule, Test};
use serde::Serialize;

/// What a match on one event hung on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// The selection's name.
    pub selection: String,
    /// The field; absent for a keyword.
    pub field: Option<String>,
    /// The value that decided, as text.
    pub value: String,
    /// The rule's pattern that decided, as the rule writes it.
    pub pattern: String,
}

pub(super) fn explain(rule: &Rule, event: &Event) -> Vec<Matched> {
    let mut found = Vec::new();
    collect(&rule.condition, rule, event, "", &mut found);
    found
}

/// Descends into what holds; what stands under a `not` held by its absence and has nothing to show.
fn collect(expr: &Expr, rule: &Rule, event: &Event, selection: &str, found: &mut Vec<Matched>) {
    if !reference::holds(expr, rule, event) {
        return;
    }
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter().for_each(|part| collect(part, rule, event, selection, found));
        }
        Expr::Selection(index) => {
            if let Some(named) = rule.selections.get(*index) {
                collect(&named.body, rule, event, &named.name, found);
            }
        }
        Expr::Test(predicate) => {
            let matched = matched(predicate, event, selection);
            if !found.contains(&matched) {
                found.push(matched);
            }
        }
        Expr::Not(_) | Expr::Constant(_) => {}
    }
}

fn matched(predicate: &Predicate, event: &Event, selection: &str) -> Matched {
    let decided = event.iter().find(|(name, value)| {
        predicate.field.as_deref().is_none_or(|field| field == *name)
            && reference::accepts(&predicate.test, *value, event)
    });
    Matched {
        selection: selection.to_owned(),
        field: predicate.field.as_deref().map(str::to_owned),
        value: decided.and_then(|(_, value)| reference::text(value)).unwrap_or_default().into_owned(),
        pattern: predicate.test.to_string(),
    }
}

impl std::fmt::Display for Test {
    /// Writes the question as a rule's author would recognise it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Test::Text(pattern) => pattern.fmt(f),
            Test::Number(number) => number.fmt(f),
            Test::Bool(truth) => truth.fmt(f),
            Test::Null => f.write_str("null"),
            Test::Exists(true) => f.write_str("exists"),
            Test::Exists(false) => f.write_str("does not exist"),
            Test::Regex(regex) => regex.fmt(f),
            Test::Cidr(cidr) => cidr.fmt(f),
            Test::Compare(comparison, number) => write!(f, "{} {number}", comparison.symbol()),
            Test::TimePart(part, comparison, number) => {
                let name = format!("{part:?}").to_lowercase();
                write!(f, "{name} {} {number}", comparison.symbol())
            }
            Test::FieldRef(reference) => write!(f, "field {}", reference.field),
        }
    }
}
