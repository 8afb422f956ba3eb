//! Owns mappings: data files that say how a sandbox's report becomes events, so that a new sandbox needs a file, not
//! code. `docs/mappings.md` is the reference. Knows nothing of Sigma rules, and of no sandbox by name.
//!
//! A mapping file is compiled once by [`Mappings::load`], is immutable then, and is shared by all threads. A report is
//! read as a stream: one record at a time is in memory, whatever the size of the document.

mod check;
mod compile;
mod decode;
mod expr;
mod model;
mod node;
mod path;
mod process;
mod python;
mod recognise;
#[cfg(test)]
mod tests;
mod text;
mod transform;
mod walk;
mod yaml;

pub use check::{CaseResult, NeverMatched, TestReport};
pub use model::Mapping;

// The run reads through these once its seam for decoders lands.
#[allow(unused_imports)]
pub(crate) use decode::{Emitted, Reader, Reading};

use path::Path;
use sandsift_sigma::{Diagnostic, Severity};
use std::sync::Arc;
use walk::Tree;

/// Decodes a Windows event log record in JSON, for the sections that ask for it.
pub(crate) fn windows_event(record: &node::Node<'_>, event: &mut sandsift_sigma::Event) -> bool {
    let _ = (record, event);
    false
}

/// Every mapping that a run can use.
#[derive(Debug, Default)]
pub struct Mappings {
    mappings: Vec<Arc<Mapping>>,
    /// Every path by which a document is recognised, and the tree of them.
    facts: Vec<Path>,
    shape: Tree,
}

impl Mappings {
    /// Compiles mapping files, each given by name and text.
    ///
    /// Never fails as a whole: a file with an error is left out and its findings name file, line and remedy.
    pub fn load<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> (Mappings, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let mut mappings: Vec<Arc<Mapping>> = Vec::new();
        for (file, text) in files {
            let Some(mapping) = compile::compile(file, text, &mut findings) else { continue };
            if let Some(other) = mappings.iter().find(|other| other.name == mapping.name) {
                let message = format!("the name '{}' is that of {} too", mapping.name, other.file);
                let help = "give each mapping a name of its own";
                let file = Arc::clone(&mapping.file);
                findings.push(Diagnostic::of_file("repeated-mapping", Severity::Error, file, message, help));
                continue;
            }
            mappings.push(Arc::new(mapping));
        }
        mappings.sort_by(|a, b| a.name.cmp(&b.name));
        let (facts, shape) = recognise::shape(&mappings);
        (Mappings { mappings, facts, shape }, findings)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Mapping>> {
        self.mappings.iter()
    }

    /// The mapping that answers to an artifact kind.
    pub fn by_kind(&self, kind: &str) -> Option<&Arc<Mapping>> {
        let same = |mapping: &&Arc<Mapping>, first: bool| {
            let mut kinds = mapping.kinds.iter();
            if first { kinds.next().is_some_and(|k| **k == *kind) } else { kinds.any(|k| **k == *kind) }
        };
        self.mappings.iter().find(|m| same(m, true)).or_else(|| self.mappings.iter().find(|m| same(m, false)))
    }
}
