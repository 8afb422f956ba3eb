//! Owns the linking of correlations: names and ids become indexes, chains get an order, cycles are refused.

use crate::diagnostic::{Diagnostic, Severity};
use crate::parse::{Draft, nearest};
use crate::rule::{Base, Correlation, Rule, Target};
use crate::yaml::Mark;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many correlations may refer to one another in a row.
const MAX_CHAIN: usize = 32;
/// For how many findings a name is suggested, since it is looked for among all.
const MAX_SUGGESTIONS: usize = 20;

/// Links every correlation that can be; the rest are reported. What a correlation refers to stands before it.
///
/// Tells for each rule whether it only feeds correlations.
pub(super) fn link(
    mut drafts: Vec<Draft>,
    rules: &[Rule],
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Correlation>, Vec<bool>) {
    drafts.sort_by_key(|draft| draft.id);
    let mut known = Names::of_rules(rules);
    let mut linked: Vec<Correlation> = Vec::with_capacity(drafts.len());
    // A draft is linked once all that it refers to are; what is left in the end refers to nothing, or in a circle.
    for _ in 0..MAX_CHAIN {
        let before = drafts.len();
        let mut waiting = Vec::new();
        for draft in drafts {
            if draft.rules.iter().all(|(reference, _)| known.find(reference).is_some()) {
                let correlation = resolve(draft, &known);
                known.add_correlation(&correlation, linked.len());
                linked.push(correlation);
            } else {
                waiting.push(draft);
            }
        }
        drafts = waiting;
        if drafts.len() == before || drafts.is_empty() {
            break;
        }
    }
    let waiting: HashSet<String> =
        drafts.iter().flat_map(|d| d.metadata.name.clone().into_iter().chain([d.id.to_string()])).collect();
    for (number, draft) in drafts.iter().enumerate() {
        diagnostics.push(unresolved(draft, &waiting, &known, number < MAX_SUGGESTIONS));
    }
    let hidden = hide(&mut linked, rules.len());
    (linked, hidden)
}

/// What references may name.
struct Names {
    by_name: HashMap<String, Target>,
    ids: HashMap<uuid::Uuid, Target>,
}

impl Names {
    fn of_rules(rules: &[Rule]) -> Self {
        let mut names = Self { by_name: HashMap::new(), ids: HashMap::new() };
        for (index, rule) in rules.iter().enumerate() {
            let target = Target::Rule(index as u32);
            names.ids.insert(rule.id, target);
            if let Some(name) = &rule.metadata.name {
                names.by_name.entry(name.clone()).or_insert(target);
            }
        }
        names
    }

    fn add_correlation(&mut self, correlation: &Correlation, index: usize) {
        let target = Target::Correlation(index as u32);
        self.ids.entry(correlation.id).or_insert(target);
        if let Some(name) = &correlation.metadata.name {
            self.by_name.entry(name.clone()).or_insert(target);
        }
    }

    fn find(&self, reference: &str) -> Option<Target> {
        let by_id = || uuid::Uuid::try_parse(reference).ok().and_then(|id| self.ids.get(&id));
        self.by_name.get(reference).or_else(by_id).copied()
    }
}

fn resolve(draft: Draft, known: &Names) -> Correlation {
    let base = |reference: &str| {
        let target = known.find(reference)?;
        let field = |group: &Arc<str>| {
            let aliased = draft.aliases.get(&**group).and_then(|fields| fields.get(reference));
            Arc::clone(aliased.unwrap_or(group))
        };
        let group_fields = draft.group_by.iter().map(field).collect();
        Some(Base { target, reference: reference.to_owned(), group_fields })
    };
    let bases = draft.rules.iter().filter_map(|(reference, _)| base(reference)).collect();
    Correlation {
        id: draft.id,
        metadata: draft.metadata,
        origin: draft.origin,
        measure: draft.measure,
        bases,
        group_by: draft.group_by,
        timespan: draft.timespan,
        condition: draft.condition,
        generate: draft.generate,
        hidden: false,
    }
}

/// What a correlation without `generate` watches gives no results of its own, unless another one generates it.
fn hide(linked: &mut [Correlation], rules: usize) -> Vec<bool> {
    let mut hidden_rules = vec![false; rules];
    let mut hidden_correlations = vec![false; linked.len()];
    for generates in [false, true] {
        for correlation in linked.iter().filter(|c| c.generate == generates) {
            for base in &correlation.bases {
                match base.target {
                    Target::Rule(index) => hidden_rules[index as usize] = !generates,
                    Target::Correlation(index) => hidden_correlations[index as usize] = !generates,
                }
            }
        }
    }
    for (correlation, hidden) in linked.iter_mut().zip(hidden_correlations) {
        correlation.hidden = hidden;
    }
    hidden_rules
}

fn unresolved(draft: &Draft, waiting: &HashSet<String>, known: &Names, suggest: bool) -> Diagnostic {
    let is_waiting = |reference: &str| waiting.contains(reference) || waiting.contains(&reference.to_lowercase());
    let missing = draft.rules.iter().find(|(reference, _)| known.find(reference).is_none() && !is_waiting(reference));
    match missing {
        Some((reference, mark)) => {
            let names = known.by_name.keys().map(String::as_str);
            let help = match suggest.then(|| nearest(reference, names)).flatten() {
                Some(name) => format!("did you mean '{name}'?"),
                None => "load the rule that has this id or name, or correct it".to_owned(),
            };
            let message = format!("the correlation refers to a rule that is not loaded: '{reference}'");
            finding("unknown-rule-reference", draft, *mark, reference, message, help)
        }
        None => {
            let (reference, mark) =
                draft.rules.iter().find(|(r, _)| known.find(r).is_none()).cloned().unwrap_or_default();
            let message = format!("the correlation waits for '{reference}', which is left out or refers back to it");
            let help = "break the circle, shorten the chain, or mend the correlation that it refers to".to_owned();
            finding("correlation-cycle", draft, mark, &reference, message, help)
        }
    }
}

fn finding(code: &'static str, draft: &Draft, mark: Mark, text: &str, message: String, help: String) -> Diagnostic {
    let mut finding = Diagnostic::of_file(code, Severity::Error, Arc::clone(&draft.origin.file), message, help);
    (finding.line, finding.column) = (mark.line, mark.column);
    finding.text = text.to_owned();
    finding.rule = Some(draft.metadata.title.clone());
    finding
}
