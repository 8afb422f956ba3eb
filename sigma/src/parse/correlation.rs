//! Owns correlation documents: the rule with its references still by name.

use super::condition::{self, Name};
use super::nearest::nearest;
use super::report::{Problem, Report};
use super::{Head, metadata};
use crate::rule::Metadata;
use crate::rule::{Comparison, Condition, Expr, Measure, Origin, scaled};
use crate::set::Options;
use crate::yaml::{Kind, Mark, Node};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// How many rules one correlation may watch.
const MAX_RULES: usize = 64;

/// A correlation whose references are not resolved yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub id: Uuid,
    pub metadata: Metadata,
    pub origin: Origin,
    pub measure: Measure,
    /// References with their columns and lines.
    pub rules: Vec<(String, Mark)>,
    pub group_by: Vec<Arc<str>>,
    /// By alias: the field of each rule, by the rule's name.
    pub aliases: BTreeMap<String, BTreeMap<String, Arc<str>>>,
    pub timespan: i64,
    pub condition: Condition,
    pub generate: bool,
}

const TYPES: [&str; 8] = [
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
];

const KEYS: [&str; 8] = ["type", "rules", "group-by", "aliases", "timespan", "timeframe", "condition", "generate"];

/// Reads what is special to a correlation; `None` after an error.
pub(super) fn correlation(
    report: &mut Report<'_>,
    root: &Node<'_>,
    head: Head,
    id: Uuid,
    origin: Origin,
    options: &Options,
) -> Option<Draft> {
    let node = root.get("correlation")?;
    let Some(entries) = node.as_map() else {
        let message = format!("the correlation is {}, not a map", node.describe());
        let help = "write type, rules, group-by, timespan and condition under 'correlation:'";
        report.error(node.mark, "", Problem::new("invalid-correlation", message, help));
        return None;
    };
    for entry in entries.iter().filter(|e| !KEYS.contains(&&*e.key)) {
        let help =
            nearest(&entry.key, KEYS.into_iter()).map_or("remove it".to_owned(), |k| format!("did you mean '{k}'?"));
        let message = format!("unknown key '{}' in the correlation", entry.key);
        report.warning(entry.key_mark, &entry.key, Problem::new("unknown-correlation-key", message, help));
    }
    let kind = kind(report, node);
    let rules = rules(report, node);
    let timespan = timespan(report, node);
    let (kind, rules, timespan) = (kind?, rules?, timespan?);
    let measure = measure(report, node, kind)?;
    let condition = condition(report, node, &measure, &rules, options)?;
    let generate = root.get("generate").or(node.get("generate")).and_then(Node::as_text).is_some_and(|t| t == "true");
    Some(Draft {
        id,
        metadata: head.metadata,
        origin,
        measure,
        rules,
        group_by: metadata::texts_of(node.get("group-by")).into_iter().map(Arc::from).collect(),
        aliases: aliases(report, node),
        timespan,
        condition,
        generate,
    })
}

fn invalid(report: &mut Report<'_>, mark: Mark, text: &str, message: impl Into<String>, help: impl Into<String>) {
    report.error(mark, text, Problem::new("invalid-correlation", message, help));
}

fn kind(report: &mut Report<'_>, node: &Node<'_>) -> Option<&'static str> {
    let given = node.get("type");
    let text = given.and_then(Node::as_text).unwrap_or_default();
    let known = TYPES.into_iter().find(|kind| *kind == text);
    if known.is_none() {
        let help = match nearest(text, TYPES.into_iter()) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("use one of {}", TYPES.join(", ")),
        };
        invalid(report, given.map_or(node.mark, |n| n.mark), text, format!("unknown correlation type '{text}'"), help);
    }
    known
}

fn rules(report: &mut Report<'_>, node: &Node<'_>) -> Option<Vec<(String, Mark)>> {
    let given = node.get("rules");
    let references: Vec<(String, Mark)> = match given.map(|n| (&n.kind, n)) {
        Some((Kind::List(items), _)) => {
            items.iter().filter_map(|item| Some((item.as_text()?.to_owned(), item.mark))).collect()
        }
        Some((_, node)) => node.as_text().map(|text| (text.to_owned(), node.mark)).into_iter().collect(),
        None => Vec::new(),
    };
    let mark = given.map_or(node.mark, |n| n.mark);
    if references.is_empty() {
        invalid(report, mark, "", "the correlation names no rules", "list ids or names under 'rules:'");
        return None;
    }
    if references.len() > MAX_RULES {
        invalid(report, mark, "", format!("the correlation names more than {MAX_RULES} rules"), "chain correlations");
        return None;
    }
    Some(references)
}

/// A number and a unit: s, m, h, d, w, M (30 days), y (365 days).
fn timespan(report: &mut Report<'_>, node: &Node<'_>) -> Option<i64> {
    let given = node.get("timespan").or(node.get("timeframe"));
    let text = given.and_then(Node::as_text).unwrap_or_default();
    let parsed = text.char_indices().last().and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            'M' => 30 * 86_400,
            'y' => 365 * 86_400,
            _ => return None,
        };
        let number = text[..at].bytes().all(|b| b.is_ascii_digit()).then(|| text[..at].parse::<i64>().ok())??;
        number.checked_mul(seconds)?.checked_mul(1_000_000_000).filter(|&n| n > 0)
    });
    if parsed.is_none() {
        let message = match given {
            Some(_) => format!("'{text}' is no time span"),
            None => "the correlation has no time span".to_owned(),
        };
        let help = "write a number and a unit (s, m, h, d), such as 'timespan: 90m'";
        invalid(report, given.map_or(node.mark, |n| n.mark), text, message, help);
    }
    parsed
}

fn measure(report: &mut Report<'_>, node: &Node<'_>, kind: &str) -> Option<Measure> {
    let condition = node.get("condition");
    let fields = metadata::texts_of(condition.and_then(|c| c.get("field")).or(node.get("field")));
    let mark = condition.map_or(node.mark, |c| c.mark);
    let mut one = || -> Option<Arc<str>> {
        match fields.as_slice() {
            [field] => Some(Arc::from(field.as_str())),
            _ => {
                let message = format!("{kind} needs exactly one field");
                invalid(report, mark, "", message, "write 'field:' under 'condition:'");
                None
            }
        }
    };
    Some(match kind {
        "event_count" => Measure::EventCount,
        "temporal" => Measure::Temporal,
        "temporal_ordered" => Measure::TemporalOrdered,
        "value_sum" => Measure::ValueSum(one()?),
        "value_avg" => Measure::ValueAvg(one()?),
        "value_median" => Measure::ValuePercentile(one()?, 50),
        "value_percentile" => {
            let field = one()?;
            let given = condition.and_then(|c| c.get("percentile"));
            let text = given.and_then(Node::as_text).unwrap_or("95");
            match text.parse::<u8>() {
                Ok(percentile) if percentile <= 100 => Measure::ValuePercentile(field, percentile),
                _ => {
                    let mark = given.map_or(mark, |n| n.mark);
                    invalid(report, mark, text, format!("'{text}' is no percentile"), "write a number from 0 to 100");
                    return None;
                }
            }
        }
        _ => {
            if fields.is_empty() {
                invalid(report, mark, "", "value_count needs a field", "write 'field:' under 'condition:'");
                return None;
            }
            Measure::ValueCount(fields.into_iter().map(Arc::from).collect())
        }
    })
}

const OPERATORS: [(&str, Comparison); 6] = [
    ("gt", Comparison::Greater),
    ("gte", Comparison::GreaterOrEqual),
    ("lt", Comparison::Less),
    ("lte", Comparison::LessOrEqual),
    ("eq", Comparison::Equal),
    ("neq", Comparison::NotEqual),
];

fn condition(
    report: &mut Report<'_>,
    node: &Node<'_>,
    measure: &Measure,
    rules: &[(String, Mark)],
    options: &Options,
) -> Option<Condition> {
    let temporal = matches!(measure, Measure::Temporal | Measure::TemporalOrdered);
    let Some(given) = node.get("condition").filter(|n| !n.is_null()) else {
        if temporal {
            return Some(all_rules(rules));
        }
        invalid(
            report,
            node.mark,
            "",
            "the correlation has no condition",
            "write 'condition:' with 'gte:' and a number",
        );
        return None;
    };
    let Some(entries) = given.as_map() else {
        return boolean(report, given, temporal, rules, options).map(Condition::Boolean);
    };
    let mut bounds = Vec::new();
    for entry in entries {
        if matches!(&*entry.key, "field" | "percentile") {
            continue;
        }
        let Some(&(_, comparison)) = OPERATORS.iter().find(|(name, _)| *name == entry.key) else {
            let message = format!("unknown operator '{}' in the condition", entry.key);
            invalid(report, entry.key_mark, &entry.key, message, "use gt, gte, lt, lte, eq or neq");
            return None;
        };
        let text = entry.value.as_text().unwrap_or_default();
        let Some(number) = scaled(text) else {
            let message = format!("'{text}' is no number");
            invalid(report, entry.value.mark, text, message, "write a number, of at most nine decimal places");
            return None;
        };
        bounds.push((comparison, number));
    }
    match bounds.is_empty() {
        false => Some(Condition::Bounds(bounds)),
        true if temporal => Some(all_rules(rules)),
        true => {
            invalid(report, given.mark, "", "the condition compares nothing", "add 'gte:' and a number");
            None
        }
    }
}

/// The default of temporal correlations: every rule has a hit.
fn all_rules(rules: &[(String, Mark)]) -> Condition {
    let count = rules.len() as i128 * crate::rule::SCALE;
    Condition::Bounds(vec![(Comparison::GreaterOrEqual, count)])
}

/// SEP 198: the condition of a temporal correlation as text over its rules.
fn boolean(
    report: &mut Report<'_>,
    node: &Node<'_>,
    temporal: bool,
    rules: &[(String, Mark)],
    options: &Options,
) -> Option<Expr> {
    let text = node.as_text().unwrap_or_default();
    if !temporal || text.is_empty() {
        invalid(
            report,
            node.mark,
            text,
            "the condition is no map",
            "write an operator and a number, such as 'gte: 10'",
        );
        return None;
    }
    if !options.drafts {
        let message = "boolean conditions of correlations are a draft";
        report.error(
            node.mark,
            text,
            Problem::new("draft-feature", message, "turn drafts on, or write 'gte:' and a number"),
        );
        return None;
    }
    let names: Vec<Name<'_>> = rules
        .iter()
        .enumerate()
        .map(|(index, (name, mark))| Name { name, mark: *mark, positive: index, negative: index })
        .collect();
    match condition::parse(text, &names) {
        Ok(condition) => Some(condition.expr),
        Err((word, problem)) => {
            report.error(node.mark, &word, problem);
            None
        }
    }
}

fn aliases(report: &mut Report<'_>, node: &Node<'_>) -> BTreeMap<String, BTreeMap<String, Arc<str>>> {
    let mut aliases = BTreeMap::new();
    let Some(given) = node.get("aliases").filter(|n| !n.is_null()) else { return aliases };
    let help = "write 'aliases:' as a map of alias names, each a map of rule names to fields";
    let Some(entries) = given.as_map() else {
        report.warning(given.mark, "", Problem::new("invalid-aliases", "aliases are no map", help));
        return aliases;
    };
    for entry in entries {
        let Some(fields) = entry.value.as_map() else {
            let message = format!("the alias '{}' is no map", entry.key);
            report.warning(entry.value.mark, &entry.key, Problem::new("invalid-aliases", message, help));
            continue;
        };
        let fields = fields.iter().filter_map(|f| Some((f.key.to_string(), Arc::from(f.value.as_text()?)))).collect();
        aliases.insert(entry.key.to_string(), fields);
    }
    aliases
}
