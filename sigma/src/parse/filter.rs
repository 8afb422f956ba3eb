//! Owns filter documents: what is to be joined to the conditions of other rules.

use super::detection::Arrays;
use super::report::{Problem, Report};
use super::{Head, metadata, selections};
use crate::rule::{Expr, LogSource, Origin, Selection};
use crate::set::Options;
use crate::yaml::{Kind, Mark, Node};

/// A filter, before it is joined to rules.
#[derive(Debug)]
pub(crate) struct Filter {
    pub title: String,
    pub origin: Origin,
    pub column: u32,
    pub logsource: LogSource,
    pub targets: Targets,
    pub selections: Vec<Selection>,
    pub condition: Expr,
    pub digest: [u8; 32],
}

/// Which rules a filter asks for; its logsource must fit as well.
#[derive(Debug)]
pub(crate) enum Targets {
    Any,
    /// Ids, names, or patterns of names with `*`.
    Named(Vec<String>),
}

/// Reads what is special to a filter; `None` after an error, or where it cannot filter yet.
pub(super) fn filter(
    report: &mut Report<'_>,
    root: &Node<'_>,
    head: Head,
    origin: Origin,
    options: &Options,
    arrays: Arrays,
) -> Option<Filter> {
    let logsource = metadata::logsource(report, root.get("logsource"), root);
    let node = root.get("filter")?;
    let targets = targets(report, node);
    let detection = selections(report, node, options, arrays, &["rules"]);
    let (logsource, targets, detection) = (logsource?, targets?, detection?);
    if detection.met_unknown {
        let message = "the filter is left out: a placeholder of it has no values";
        let help = "configure values for the placeholder";
        report.warning(node.mark, &head.metadata.title, Problem::new("filter-without-values", message, help));
        return None;
    }
    Some(Filter {
        title: head.metadata.name.unwrap_or(head.metadata.title),
        column: root.mark.column,
        origin,
        logsource,
        targets,
        selections: detection.selections,
        condition: detection.condition,
        digest: head.metadata.digest,
    })
}

fn targets(report: &mut Report<'_>, filter: &Node<'_>) -> Option<Targets> {
    let help = "list ids or names of rules under 'filter: rules:', or write 'any'";
    let missing = |report: &mut Report<'_>, mark: Mark| {
        report.error(mark, "", Problem::new("missing-filter-rules", "the filter names no rules", help));
        None
    };
    let Some(node) = filter.get("rules").filter(|node| !node.is_null()) else {
        return missing(report, filter.mark);
    };
    let names: Vec<String> = match &node.kind {
        Kind::List(items) => items.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
        _ => node.as_text().map(str::to_owned).into_iter().collect(),
    };
    if names.is_empty() {
        return missing(report, node.mark);
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case("any")) {
        return Some(Targets::Any);
    }
    Some(Targets::Named(names))
}
