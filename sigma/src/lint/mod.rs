//! Owns what is said of rules that load: what the specification, its schema and SigmaHQ's conventions ask for beyond
//! that, and rules that cannot do what their authors meant. Nothing here changes what a rule matches.
//!
//! Loading does not lint, so that a worker is not told of a missing author; `rules check` does.

mod detection;
mod logic;
mod metadata;
mod set;
mod tags;

pub use set::{duplicates, unreachable};

use crate::diagnostic::Diagnostic;
use crate::parse::Report;
use crate::set::SourceFile;
use crate::yaml;

/// Lints one rule file by itself; what stops its rules from loading is said by [`crate::Builder`].
pub fn file(file: &SourceFile<'_>) -> Vec<Diagnostic> {
    let bytes = file.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.text);
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    if bytes.len() > yaml::MAX_BYTES {
        return Vec::new();
    }
    let mut report = Report::new(file.file.into(), text);
    let (documents, _) = yaml::read(text);
    for document in &documents {
        let Some(entries) = document.root.as_map() else { continue };
        report.rule = document.root.get("title").and_then(yaml::Node::as_text).map(str::to_owned);
        metadata::lint(&mut report, &document.root, entries);
        tags::lint(&mut report, &document.root);
        if let Some(detection) = document.root.get("detection").or(document.root.get("filter")) {
            detection::lint(&mut report, detection);
        }
    }
    metadata::file_name(&mut report, file.file);
    report.diagnostics
}

/// Lints what rules mean, after a set was built: see [`duplicates`], [`unreachable`] and the tests of conditions.
pub fn rules(set: &crate::RuleSet) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = set.rules().iter().flat_map(logic::lint).collect();
    found.extend(duplicates(set));
    found
}
