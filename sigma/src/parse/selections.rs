//! Owns the assembly of a detection: its named selections and the condition over them.

use super::condition::{self, Name};
use super::detection::{self, Arrays, Context};
use super::report::{Problem, Report};
use crate::rule::{Expr, Selection};
use crate::set::Options;
use crate::yaml::{Kind, Node};

/// Keys of a detection that are no selections.
const RESERVED: [&str; 2] = ["condition", "timeframe"];

/// How many selections a detection may have.
const MAX_SELECTIONS: usize = 10_000;
/// How many conditions a list of them may have.
const MAX_CONDITIONS: usize = 100;

/// What a detection, or the filter part of a filter, holds.
pub(super) struct Detection {
    pub selections: Vec<Selection>,
    pub condition: Expr,
    /// Whether a placeholder without values was met.
    pub met_unknown: bool,
}

/// Reads selections and condition; `also` are further keys that are no selections. `None` after an error.
pub(super) fn selections(
    report: &mut Report<'_>,
    node: &Node<'_>,
    options: &Options,
    arrays: Arrays,
    also: &[&str],
) -> Option<Detection> {
    let Some(entries) = node.as_map() else {
        let message = format!("the detection is {}, not a map", node.describe());
        let help = "write selections and a condition under it";
        report.error(node.mark, "", Problem::new("invalid-detection", message, help));
        return None;
    };
    if entries.len() > MAX_SELECTIONS {
        let message = format!("the detection has more than {MAX_SELECTIONS} selections");
        report.error(node.mark, "", Problem::new("invalid-detection", message, "use lists of values or several rules"));
        return None;
    }
    let mut selections = Vec::new();
    let mut twins = Vec::new();
    let mut names = Vec::new();
    let mut good = true;
    for entry in entries.iter().filter(|e| !RESERVED.contains(&&*e.key) && !also.contains(&&*e.key)) {
        let mut context = Context {
            report: &mut *report,
            placeholders: &options.placeholders,
            arrays,
            prefix: String::new(),
            depth: 0,
            unknown: false,
            met_unknown: false,
            quiet: false,
        };
        let Some(body) = detection::selection(&mut context, &entry.value) else {
            // The name stays known, so that the condition is not blamed as well.
            good = false;
            names.push(Name { name: &entry.key, mark: entry.key_mark, positive: 0, negative: 0 });
            continue;
        };
        let index = selections.len();
        selections.push(Selection { name: (&*entry.key).into(), body });
        names.push(Name { name: &entry.key, mark: entry.key_mark, positive: index, negative: index });
        if context.met_unknown {
            context.unknown = true;
            context.quiet = true;
            if let Some(body) = detection::selection(&mut context, &entry.value) {
                twins.push((names.len() - 1, Selection { name: (&*entry.key).into(), body }));
            }
        }
    }
    let met_unknown = !twins.is_empty();
    for (name, twin) in twins {
        names[name].negative = selections.len();
        selections.push(twin);
    }
    let condition = conditions(report, node, &names)?;
    good.then_some(Detection { selections, condition, met_unknown })
}

/// A condition, or a list of which any holds.
pub(super) fn conditions(report: &mut Report<'_>, detection: &Node<'_>, names: &[Name<'_>]) -> Option<Expr> {
    let help = "add 'condition:' that names the selections";
    let Some(node) = detection.get("condition").filter(|node| !node.is_null()) else {
        let problem = Problem::new("missing-condition", "the detection has no condition", help);
        report.error(detection.mark, "", problem);
        return None;
    };
    let one = std::slice::from_ref(node);
    let nodes = match &node.kind {
        Kind::List(nodes) if !nodes.is_empty() => nodes,
        _ => one,
    };
    if nodes.len() > MAX_CONDITIONS {
        let message = format!("the condition is a list of more than {MAX_CONDITIONS}");
        report.error(node.mark, "", Problem::new("invalid-condition", message, "join the conditions by 'or'"));
        return None;
    }
    let mut parts = Vec::with_capacity(nodes.len());
    let mut used = vec![false; names.len()];
    for node in nodes {
        let Some(text) = node.as_text() else {
            let message = format!("the condition is {}, not text", node.describe());
            report.error(node.mark, "", Problem::new("invalid-condition", message, help));
            continue;
        };
        match condition::parse(text, names) {
            Ok(condition) => {
                for (word, problem) in condition.warnings {
                    report.warning(node.mark, &word, problem);
                }
                used.iter_mut().zip(&condition.used).for_each(|(used, here)| *used |= here);
                parts.push(condition.expr);
            }
            Err((word, problem)) => report.error(node.mark, &word, problem),
        }
    }
    if parts.len() == nodes.len() {
        for (name, _) in names.iter().zip(&used).filter(|(_, used)| !**used) {
            let message = format!("no condition uses the selection '{}'", name.name);
            let help = "use it in the condition or remove it";
            report.warning(name.mark, name.name, Problem::new("unused-selection", message, help));
        }
    }
    match (parts.len() == nodes.len(), parts.len()) {
        (false, _) => None,
        (true, 1) => parts.pop(),
        (true, _) => Some(Expr::Any(parts)),
    }
}
