//! Owns the way from a rule file's text to what its documents mean, with a finding for everything that is wrong.

mod arrays;
mod condition;
mod correlation;
mod detection;
mod filter;
mod metadata;
mod modifier;
mod nearest;
mod report;
mod selections;
mod text;

pub(crate) use condition::glob;
pub(crate) use correlation::Draft;
pub(crate) use filter::{Filter, Targets};
pub(crate) use nearest::nearest;
pub(crate) use report::{Problem, Report};

use crate::diagnostic::Diagnostic;
use crate::rule::{Origin, Rule};
use crate::set::{Options, SourceFile};
use crate::yaml::{self, Document, Mark, Node};
use detection::Arrays;
use metadata::Head;
use selections::selections;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// The namespace of ids that are made of a rule's content.
const CONTENT_IDS: Uuid = Uuid::from_u128(0x6f2b_0b1c_5a0e_5d0b_9d3c_0d6a_3f61_7c55);

/// What a document is.
#[derive(Debug)]
pub(crate) enum Parsed {
    Rule(Rule),
    Filter(Filter),
    Correlation(Draft),
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
    if failure.is_none() && documents.iter().all(|document| document.root.is_null()) {
        let problem = Problem::new("empty-file", "the file holds no rule", "remove it, or write a rule into it");
        report.note(Mark::default(), "", problem);
    }
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
    let Some(entries) = root.as_map() else {
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
    if let Some(action) =
        root.get("action").filter(|node| matches!(node.as_text(), Some("global" | "reset" | "repeat")))
    {
        let message = "collections with 'action' are of Sigma 1 and not part of Sigma 2";
        let help = "write every rule out as a document of its own";
        report.error(action.mark, "action", Problem::new("legacy-collection", message, help));
        return None;
    }
    report.rule = root.get("title").or(root.get("id")).and_then(Node::as_text).map(str::to_owned);
    let kind = Kind::of(root);
    let mut head = metadata::head(report, entries, kind.keys());
    if head.metadata.title.is_empty() {
        report.error(root.mark, "", Problem::new("missing-title", "the rule has no title", "add 'title:'"));
    }
    // The same rule is the same wherever it stands, so the separator above it is not part of it.
    let text = report.lines(document.lines.0, document.lines.1);
    let text = text.strip_prefix("---").map_or(text, |rest| rest.trim_start_matches([' ', '\r', '\n']));
    head.metadata.digest = Sha256::digest(text).into();
    let arrays = version(report, root, options)?;
    let titled = !head.metadata.title.is_empty();
    let id = head.id.unwrap_or_else(|| Uuid::new_v5(&CONTENT_IDS, &head.metadata.digest));
    let origin = Origin { source: Arc::clone(source), file: Arc::clone(report.file()), line: root.mark.line };
    let parsed = match kind {
        Kind::Rule => rule(report, root, head, id, origin, options, arrays).map(Parsed::Rule),
        Kind::Filter => filter::filter(report, root, head, origin, options, arrays).map(Parsed::Filter),
        Kind::Correlation => correlation::correlation(report, root, head, id, origin, options).map(Parsed::Correlation),
    };
    parsed.filter(|_| titled)
}

/// The kinds of documents, told apart by the key that only one of them has.
#[derive(Clone, Copy)]
enum Kind {
    Rule,
    Filter,
    Correlation,
}

impl Kind {
    fn of(root: &Node<'_>) -> Self {
        if root.get("correlation").is_some() {
            Kind::Correlation
        } else if root.get("filter").is_some() {
            Kind::Filter
        } else {
            Kind::Rule
        }
    }

    /// The keys at the top that this kind reads itself.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Rule => &["logsource", "detection", "sigma-version"],
            Kind::Filter => &["logsource", "filter", "sigma-version"],
            Kind::Correlation => &["correlation", "generate", "sigma-version"],
        }
    }
}

/// Reads the version of the specification that the document asks for (draft, SEP 213): whether brackets in field names
/// are selectors. `None` after an error.
fn version(report: &mut Report<'_>, root: &Node<'_>, options: &Options) -> Option<Arrays> {
    let Some(node) = root.get("sigma-version") else { return Some(Arrays::Literal) };
    let text = node.as_text().unwrap_or_default();
    let major = text.split('.').next().unwrap_or_default();
    let problem = match major {
        "1" | "2" => return Some(Arrays::Literal),
        "3" if options.drafts => return Some(Arrays::Selectors),
        "3" => Problem::new("draft-feature", "version 3 of the specification is a draft", "turn drafts on"),
        _ => {
            let help = "write 2, or 3 with drafts turned on";
            Problem::new("unsupported-version", format!("version '{text}' of the specification is not known"), help)
        }
    };
    report.error(node.mark, text, problem);
    None
}

fn rule(
    report: &mut Report<'_>,
    root: &Node<'_>,
    head: Head,
    id: Uuid,
    origin: Origin,
    options: &Options,
    arrays: Arrays,
) -> Option<Rule> {
    let logsource = metadata::logsource(report, root.get("logsource"), root);
    let Some(node) = root.get("detection") else {
        let help = "add 'detection:' with selections and a condition";
        report.error(root.mark, "", Problem::new("missing-detection", "the rule has no detection", help));
        return None;
    };
    let detection = selections(report, node, options, arrays, &[]);
    let (logsource, detection) = (logsource?, detection?);
    let (selections, condition) = (detection.selections, detection.condition);
    Some(Rule { id, metadata: head.metadata, logsource, selections, condition, origin })
}
