//! Owns the lints of what a rule means: conditions that never hold, or that only say what must be absent.

use crate::diagnostic::{Diagnostic, Severity};
use crate::fold::fold;
use crate::rule::{Expr, Piece, Predicate, Quantifier, Rule, Test};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub(super) fn lint(rule: &Rule) -> Option<Diagnostic> {
    if truth(&rule.condition, rule) == Some(false) {
        let message = "the rule can never fire: its condition is false for every event";
        return Some(finding(rule, "never-fires", message, "check names, numbers and placeholders in the condition"));
    }
    if let Some(field) = contradiction(rule) {
        let message = format!("the rule fires only on lists: its condition asks for two different values of '{field}'");
        return Some(finding(rule, "contradiction", &message, "join the selections by 'or', or correct one of them"));
    }
    if !positive(&rule.condition, rule, true) {
        let message = "the condition only says what must be absent, so it holds for most events";
        return Some(finding(rule, "only-negative", message, "add a selection that must hold"));
    }
    None
}

fn finding(rule: &Rule, code: &'static str, message: &str, help: &str) -> Diagnostic {
    let mut finding = Diagnostic::of_file(code, Severity::Warning, Arc::clone(&rule.origin.file), message, help);
    finding.line = rule.origin.line;
    finding.rule = Some(rule.metadata.title.clone());
    finding
}

/// What an expression comes to whatever the event, if that is known.
fn truth(expr: &Expr, rule: &Rule) -> Option<bool> {
    let all = |parts: &[Expr], stop: bool| {
        let truths: Vec<Option<bool>> = parts.iter().map(|part| truth(part, rule)).collect();
        if truths.contains(&Some(stop)) {
            return Some(stop);
        }
        truths.iter().all(Option::is_some).then_some(!stop)
    };
    match expr {
        Expr::All(parts) => all(parts, false),
        Expr::Any(parts) => all(parts, true),
        Expr::AtLeast(n, parts) => {
            let possible = parts.iter().filter(|part| truth(part, rule) != Some(false)).count();
            (possible < *n).then_some(false)
        }
        Expr::Not(part) => truth(part, rule).map(|truth| !truth),
        Expr::Selection(index) => truth(&rule.selections.get(*index)?.body, rule),
        Expr::Constant(truth) => Some(*truth),
        Expr::Test(_) | Expr::Elements(_) => None,
    }
}

/// Whether anything that an event holds can make the condition hold.
fn positive(expr: &Expr, rule: &Rule, sign: bool) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter().any(|part| positive(part, rule, sign))
        }
        Expr::Not(part) => positive(part, rule, !sign),
        Expr::Selection(index) => rule.selections.get(*index).is_some_and(|s| positive(&s.body, rule, sign)),
        Expr::Test(predicate) => match predicate.test {
            Test::Null | Test::Exists(false) => !sign,
            _ => sign,
        },
        Expr::Elements(elements) => (elements.quantifier != Quantifier::None) == sign,
        Expr::Constant(_) => false,
    }
}

/// A field of which two exact values are asked at once.
fn contradiction(rule: &Rule) -> Option<Arc<str>> {
    let mut wanted: HashMap<Arc<str>, BTreeSet<String>> = HashMap::new();
    required(&rule.condition, rule, &mut wanted)
}

fn required(expr: &Expr, rule: &Rule, wanted: &mut HashMap<Arc<str>, BTreeSet<String>>) -> Option<Arc<str>> {
    match expr {
        Expr::All(parts) => parts.iter().find_map(|part| required(part, rule, wanted)),
        Expr::Selection(index) => required(&rule.selections.get(*index)?.body, rule, wanted),
        Expr::Any(_) | Expr::Test(_) => {
            let (field, values) = exact(expr)?;
            let known = wanted.entry(Arc::clone(&field)).or_insert_with(|| values.clone());
            *known = known.intersection(&values).cloned().collect();
            known.is_empty().then_some(field)
        }
        _ => None,
    }
}

/// The values that a test, or a list of tests of one field, allows, where each is a whole text or a number.
fn exact(expr: &Expr) -> Option<(Arc<str>, BTreeSet<String>)> {
    let one = |predicate: &Predicate| {
        let value = match &predicate.test {
            Test::Text(pattern) => match pattern.pieces.as_slice() {
                [Piece::Literal(text)] => text.chars().map(fold).collect(),
                _ => return None,
            },
            Test::Number(number) => number.to_string(),
            _ => return None,
        };
        Some((predicate.field.clone()?, value))
    };
    match expr {
        Expr::Test(predicate) => one(predicate).map(|(field, value)| (field, BTreeSet::from([value]))),
        Expr::Any(parts) => {
            let mut values = BTreeSet::new();
            let mut of = None;
            for part in parts {
                let Expr::Test(predicate) = part else { return None };
                let (field, value) = one(predicate)?;
                if *of.get_or_insert_with(|| Arc::clone(&field)) != field {
                    return None;
                }
                values.insert(value);
            }
            Some((of?, values))
        }
        _ => None,
    }
}
