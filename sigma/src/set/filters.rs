//! Owns the joining of filters to rules: which rules a filter is for, and what its condition does to theirs.

use crate::diagnostic::{Diagnostic, Severity};
use crate::parse::{Filter, Targets, glob};
use crate::rule::{Expr, LogSource, Rule};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Joins every filter to the rules that it is for, in the order of the filters; reports those that are for none.
///
/// The condition is joined by `and` as the filter writes it (so authors write `not selection`); its selections come
/// under names of their own, so that those of rule and filter never meet.
pub(super) fn join(filters: &[Filter], rules: &mut [Rule], diagnostics: &mut Vec<Diagnostic>) {
    for filter in filters {
        let mut joined = 0usize;
        let mut elsewhere = 0usize;
        for rule in rules.iter_mut().filter(|rule| wants(&filter.targets, rule)) {
            if covers(&filter.logsource, &rule.logsource) {
                apply(filter, rule);
                joined += 1;
            } else {
                elsewhere += 1;
            }
        }
        if joined == 0 {
            diagnostics.push(unused(filter, elsewhere));
        }
        if let Targets::Named(names) = &filter.targets
            && joined > 0
        {
            let lost = names.iter().filter(|name| !rules.iter().any(|rule| names_rule(name, rule)));
            diagnostics.extend(lost.map(|name| unknown(filter, name)));
        }
    }
}

fn wants(targets: &Targets, rule: &Rule) -> bool {
    match targets {
        Targets::Any => true,
        Targets::Named(names) => names.iter().any(|name| names_rule(name, rule)),
    }
}

fn names_rule(name: &str, rule: &Rule) -> bool {
    let own = rule.metadata.name.as_deref();
    uuid::Uuid::try_parse(name).is_ok_and(|id| id == rule.id)
        || own == Some(name)
        || name.contains('*') && own.is_some_and(|own| glob(name, own))
}

/// What the filter's logsource names, the rule's must have.
fn covers(filter: &LogSource, rule: &LogSource) -> bool {
    let part = |wanted: &Option<Box<str>>, has: &Option<Box<str>>| wanted.is_none() || wanted == has;
    part(&filter.category, &rule.category)
        && part(&filter.product, &rule.product)
        && part(&filter.service, &rule.service)
}

fn apply(filter: &Filter, rule: &mut Rule) {
    let offset = rule.selections.len();
    for selection in &filter.selections {
        let mut selection = selection.clone();
        selection.name = format!("{}: {}", filter.title, selection.name).into();
        rule.selections.push(selection);
    }
    let own = std::mem::replace(&mut rule.condition, Expr::Constant(true));
    rule.condition = Expr::All(vec![own, moved(&filter.condition, offset)]);
    let mut digest = Sha256::new();
    digest.update(rule.metadata.digest);
    digest.update(filter.digest);
    rule.metadata.digest = digest.finalize().into();
}

/// The expression with its selections moved behind those of the rule.
fn moved(expr: &Expr, offset: usize) -> Expr {
    let list = |parts: &[Expr]| parts.iter().map(|part| moved(part, offset)).collect();
    match expr {
        Expr::All(parts) => Expr::All(list(parts)),
        Expr::Any(parts) => Expr::Any(list(parts)),
        Expr::AtLeast(n, parts) => Expr::AtLeast(*n, list(parts)),
        Expr::Not(part) => Expr::Not(Box::new(moved(part, offset))),
        Expr::Selection(index) => Expr::Selection(index + offset),
        other => other.clone(),
    }
}

fn unused(filter: &Filter, elsewhere: usize) -> Diagnostic {
    let (message, help) = match elsewhere {
        0 => ("the filter applies to no rule: none has the ids or names it lists", "check the ids and names"),
        _ => (
            "the filter applies to no rule: those it lists have another logsource",
            "a filter's category, product and service must be those of the rule",
        ),
    };
    finding("unused-filter", filter, filter.title.clone(), message.to_owned(), help)
}

fn unknown(filter: &Filter, name: &str) -> Diagnostic {
    let message = format!("the filter lists a rule that is not loaded: '{name}'");
    finding("unknown-rule-reference", filter, name.to_owned(), message, "check the id or name, or remove it")
}

fn finding(code: &'static str, filter: &Filter, text: String, message: String, help: &str) -> Diagnostic {
    let mut finding = Diagnostic::of_file(code, Severity::Warning, Arc::clone(&filter.origin.file), message, help);
    finding.line = filter.origin.line;
    finding.column = filter.column;
    finding.text = text;
    finding.rule = Some(filter.title.clone());
    finding
}
