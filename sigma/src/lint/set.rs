//! Owns the lints over a whole set: rules that say the same, and rules that no event can reach.

use crate::diagnostic::{Diagnostic, Severity};
use crate::rule::{LogSource, Rule};
use crate::set::RuleSet;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Rules whose logsource and detection are those of another rule.
pub fn duplicates(set: &RuleSet) -> Vec<Diagnostic> {
    let mut seen: HashMap<[u8; 32], &Rule> = HashMap::new();
    let mut found = Vec::new();
    for rule in set.rules() {
        let bodies: Vec<_> = rule.selections.iter().map(|selection| &selection.body).collect();
        let meaning = format!("{:?} {:?} {:?}", rule.logsource, bodies, rule.condition);
        match seen.entry(Sha256::digest(meaning).into()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(rule);
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let Rule { metadata, origin, .. } = first.get();
                let message = format!("detects what '{}' in {}:{} detects", metadata.title, origin.file, origin.line);
                let help = "remove one of the rules, or relate them";
                found.push(finding(rule, "duplicate-detection", &message, help));
            }
        }
    }
    found
}

/// Rules whose logsource no event has; `reachable` says which ones the mapped events have.
pub fn unreachable(set: &RuleSet, reachable: &dyn Fn(&LogSource) -> bool) -> Vec<Diagnostic> {
    let mut known: HashMap<&LogSource, bool> = HashMap::new();
    let mut found = Vec::new();
    for rule in set.rules() {
        if !*known.entry(&rule.logsource).or_insert_with(|| reachable(&rule.logsource)) {
            let part = |name: &str, value: &Option<Box<str>>| value.as_ref().map(|value| format!("{name} {value}"));
            let LogSource { category, product, service } = &rule.logsource;
            let parts = [part("product", product), part("category", category), part("service", service)];
            let named: Vec<String> = parts.into_iter().flatten().collect();
            let message = format!("no mapped event has {}", named.join(", "));
            found.push(finding(
                rule,
                "unreachable-logsource",
                &message,
                "the rule cannot fire on the formats read here",
            ));
        }
    }
    found
}

fn finding(rule: &Rule, code: &'static str, message: &str, help: &str) -> Diagnostic {
    let mut finding = Diagnostic::of_file(code, Severity::Note, Arc::clone(&rule.origin.file), message, help);
    finding.line = rule.origin.line;
    finding.rule = Some(rule.metadata.title.clone());
    finding
}
