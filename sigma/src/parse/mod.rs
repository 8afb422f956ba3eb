//! Owns the way from a rule file's text to what its documents mean, with a finding for everything that is wrong.

mod condition;
mod detection;
mod metadata;
mod modifier;
mod nearest;
mod report;
mod text;

use crate::diagnostic::Diagnostic;
use crate::rule::{Expr, Origin, Rule, Selection};
use crate::set::{Options, SourceFile};
use crate::yaml::{self, Document, Kind, Mark, Node};
use condition::Name;
use detection::Context;
use report::{Problem, Report};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// The namespace of ids that are made of a rule's content.
const CONTENT_IDS: Uuid = Uuid::from_u128(0x6f2b_0b1c_5a0e_5d0b_9d3c_0d6a_3f61_7c55);

/// What a document is.
#[derive(Debug)]
pub(crate) enum Parsed {
    Rule(Rule),
}

/// Reads a file: what loads, and what is to be said about the rest.
pub(crate) fn parse(file: &SourceFile<'_>, options: &Options) -> (Vec<Parsed>, Vec<Diagnostic>) {
    let name: Arc<str> = file.file.into();
    let bytes = file.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.text);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= yaml::MAX_BYTES => text,
        Ok(_) => {
            let message = format!("the file is larger than {} bytes", yaml::MAX_BYTES);
            return (Vec::new(), refused(name, Mark::default(), Problem::new("file-too-large", message, "split it")));
        }
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = memchr::memchr_iter(b'\n', before).count() + 1;
            let problem = Problem::new("not-utf8", "the file is not UTF-8", "save it as UTF-8");
            return (Vec::new(), refused(name, Mark { line: line as u32, column: 0 }, problem));
        }
    };
    let mut report = Report::new(name, text);
    let source: Arc<str> = file.source.into();
    let (documents, failure) = yaml::read(text);
    let mut parsed = Vec::with_capacity(documents.len());
    for document in &documents {
        report.rule = None;
        parsed.extend(self::document(&mut report, document, &source, options));
    }
    report.rule = None;
    if let Some(failure) = failure {
        report.error(failure.mark, "", Problem::new(failure.code, failure.message, failure.help));
    }
    (parsed, report.diagnostics)
}

fn refused(file: Arc<str>, mark: Mark, problem: Problem) -> Vec<Diagnostic> {
    let mut report = Report::new(file, "");
    report.error(mark, "", problem);
    report.diagnostics
}

fn document(report: &mut Report<'_>, document: &Document<'_>, source: &Arc<str>, options: &Options) -> Option<Parsed> {
    let root = &document.root;
    let Kind::Map(entries) = &root.kind else {
        if !root.is_null() {
            let message = format!("the document is {}, not a rule", root.describe());
            report.error(
                root.mark,
                "",
                Problem::new("not-a-rule", message, "a rule is a map with title, logsource, detection"),
            );
        }
        return None;
    };
    report.rule = root.get("title").or(root.get("id")).and_then(Node::as_text).map(str::to_owned);
    let head = metadata::head(report, entries, &["logsource", "detection"]);
    let mut metadata = head.metadata;
    let mut good = true;
    if metadata.title.is_empty() {
        report.error(root.mark, "", Problem::new("missing-title", "the rule has no title", "add 'title:'"));
        good = false;
    }
    let logsource = metadata::logsource(report, root.get("logsource"), root);
    let detection = detection(report, root, options);
    let (logsource, (selections, condition)) = (logsource?, detection?);
    if !good {
        return None;
    }
    let text = report.lines(document.lines.0, document.lines.1);
    metadata.digest = Sha256::digest(text).into();
    let id = head.id.unwrap_or_else(|| Uuid::new_v5(&CONTENT_IDS, &metadata.digest));
    let origin = Origin { source: Arc::clone(source), file: Arc::clone(report.file()), line: root.mark.line };
    Some(Parsed::Rule(Rule { id, metadata, logsource, selections, condition, origin }))
}

/// Keys of a detection that are no selections.
const RESERVED: [&str; 2] = ["condition", "timeframe"];

fn detection(report: &mut Report<'_>, root: &Node<'_>, options: &Options) -> Option<(Vec<Selection>, Expr)> {
    let help = "add 'detection:' with selections and a condition";
    let Some(node) = root.get("detection") else {
        report.error(root.mark, "", Problem::new("missing-detection", "the rule has no detection", help));
        return None;
    };
    let Some(entries) = node.as_map() else {
        let message = format!("the detection is {}, not a map", node.describe());
        report.error(node.mark, "", Problem::new("invalid-detection", message, help));
        return None;
    };
    let mut selections = Vec::new();
    let mut twins = Vec::new();
    let mut names = Vec::new();
    let mut good = true;
    for entry in entries.iter().filter(|e| !RESERVED.contains(&&*e.key)) {
        let mut context =
            Context { report, placeholders: &options.placeholders, unknown: false, met_unknown: false, quiet: false };
        let Some(body) = detection::selection(&mut context, &entry.value) else {
            good = false;
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
    for (name, twin) in twins {
        names[name].negative = selections.len();
        selections.push(twin);
    }
    let condition = conditions(report, node, &names)?;
    good.then_some((selections, condition))
}

/// A condition, or a list of which any holds.
fn conditions(report: &mut Report<'_>, detection: &Node<'_>, names: &[Name<'_>]) -> Option<Expr> {
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
