//! Owns mappings: data files that say how a sandbox's report becomes events, so that a new sandbox needs a file, not
//! code. `docs/mappings.md` is the reference. Knows nothing of Sigma rules, and of no sandbox by name.
//!
//! A mapping file is compiled once by [`Mappings::load`], is immutable then, and is shared by all threads. A report is
//! read as a stream: one record at a time is in memory, whatever the size of the document.

mod check;
mod compile;
mod decode;
mod expr;
mod fill;
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

use crate::decode::{Decoder, Emitter, Head, Input};
use crate::{Config, Kind};
use path::Path;
use sandsift_sigma::{Diagnostic, Severity};
use std::sync::Arc;
use walk::Tree;

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

    /// The mapping by its own artifact kind.
    pub fn by_kind(&self, kind: &str) -> Option<&Arc<Mapping>> {
        self.mappings.iter().find(|mapping| mapping.kinds.first().is_some_and(|own| **own == *kind))
    }

    fn answers(&self, kind: &str) -> impl Iterator<Item = &Arc<Mapping>> {
        self.mappings.iter().filter(move |mapping| mapping.kinds().any(|known| known == kind))
    }
}

/// Reads what a mapping file describes.
pub(crate) struct Mapped;

impl Decoder for Mapped {
    fn recognise(&self, head: &Head<'_>, config: &Config) -> Option<Kind> {
        let mapping = config.mappings.recognise(head.bytes(), &config.limits)?;
        Some(Kind(mapping.kinds().next()?.to_owned().into()))
    }

    fn accepts(&self, kind: &str, config: &Config) -> bool {
        config.mappings.answers(kind).next().is_some()
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let mappings = &out.config().mappings;
        // A kind may stand for a family, as `behaviour` does: then the content says which of it.
        let mapping = mappings.by_kind(&input.kind.0).or_else(|| {
            let content = mappings.recognise(input.bytes, out.limits());
            content
                .filter(|m| m.kinds().any(|kind| *kind == *input.kind.0))
                .or_else(|| mappings.answers(&input.kind.0).next())
        });
        let Some(mapping) = mapping else {
            out.lost("unrecognised", || format!("'{}' is of no kind that a mapping reads", input.name));
            return;
        };
        decode::read(mapping, input.bytes, out);
    }
}
