//! Owns the making of an engine: rules from sources, mappings and origins from what ships and from files, settings.

use super::{Source, load, walk};
use crate::execute::{Engine, Settings};
use crate::shipped::{self, Class};
use sandsift_ingest::origin::OriginRules;
use sandsift_ingest::{Limits, Mappings};
use sandsift_sigma::{Diagnostic, Options, Severity};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;

/// What an engine is made from.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    /// The sources of rules.
    pub sources: Vec<Source>,
    /// Whether the rules that ship are part of the set.
    pub shipped: bool,
    /// What decides matching beside the rules.
    pub options: Options,
    /// Files or folders with mappings, beside those that ship.
    pub mappings: Vec<PathBuf>,
    /// Files or folders that describe a sandbox's tooling, beside those that ship.
    pub origins: Vec<PathBuf>,
    /// The bounds on reading.
    pub limits: Limits,
    /// What a result holds.
    pub settings: Settings,
}

/// An engine and all that was said while it was made.
#[derive(Debug)]
pub struct Assembled {
    /// Ready to run jobs.
    pub engine: Arc<Engine>,
    /// Findings by file and line; an error means that a rule or a file was left out.
    pub diagnostics: Vec<Diagnostic>,
}

impl Assembled {
    /// The findings of severity error.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|finding| finding.severity == Severity::Error)
    }
}

/// A mapping or origin file with its name.
struct Content {
    name: String,
    text: String,
}

impl Assembly {
    /// Reads all of it. Never fails as a whole: what cannot be read is left out with a finding.
    pub fn assemble(&self) -> Assembled {
        let loaded = load(&self.sources, self.shipped, self.options.clone());
        let mut diagnostics = loaded.diagnostics;
        let mappings = contents(Class::Mapping, &self.mappings, &mut diagnostics);
        let origins = contents(Class::Origin, &self.origins, &mut diagnostics);
        let mut hash = Sha256::new();
        for content in mappings.iter().chain(&origins) {
            hash.update((content.text.len() as u64).to_le_bytes());
            hash.update(&content.text);
        }
        let ingest = ingest_config(&self.limits, &mappings, &origins, &mut diagnostics);
        let engine = Engine::new(loaded.rules, Arc::new(ingest), hash.finalize().into(), self.settings.clone());
        Assembled { engine: Arc::new(engine), diagnostics }
    }

    /// What reads artifacts, without rules.
    pub fn assemble_ingest(&self) -> Arc<sandsift_ingest::Config> {
        let mut findings = Vec::new();
        let mappings = contents(Class::Mapping, &self.mappings, &mut findings);
        let origins = contents(Class::Origin, &self.origins, &mut findings);
        Arc::new(ingest_config(&self.limits, &mappings, &origins, &mut findings))
    }

    /// Everything on disk that the engine hangs on, to watch for changes.
    pub fn paths(&self) -> Vec<PathBuf> {
        let sources = self.sources.iter().filter(|source| source.enabled).map(|source| &source.path);
        sources.chain(&self.mappings).chain(&self.origins).cloned().collect()
    }
}

/// What ships of a class, then what stands in files, by name.
fn contents(class: Class, paths: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> Vec<Content> {
    let mut all: Vec<Content> = shipped::files(class)
        .map(|file| Content {
            name: format!("shipped:{}", file.path),
            text: String::from_utf8_lossy(file.bytes).into_owned(),
        })
        .collect();
    for path in paths {
        let (files, findings) = walk(path);
        diagnostics.extend(findings);
        for file in files.iter().filter(|file| !shipped::is_test(&file.relative)) {
            match super::read(&file.path) {
                Ok(bytes) => all.push(Content {
                    name: file.path.display().to_string(),
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                }),
                Err(finding) => diagnostics.push(*finding),
            }
        }
    }
    all
}

/// Compiles mappings and origins; a file with an error is left out.
fn ingest_config(
    limits: &Limits,
    mappings: &[Content],
    origins: &[Content],
    diagnostics: &mut Vec<Diagnostic>,
) -> sandsift_ingest::Config {
    let (mappings, findings) = Mappings::load(mappings.iter().map(|content| (&*content.name, &*content.text)));
    diagnostics.extend(findings);
    let mut rules = OriginRules::default();
    for content in origins {
        if let Err(error) = rules.add(&content.name, &content.text) {
            let help = "docs/origin.md describes the form";
            let file = content.name.as_str();
            diagnostics.push(Diagnostic::of_file("origin-invalid", Severity::Error, file, error.to_string(), help));
        }
    }
    sandsift_ingest::Config { limits: limits.clone(), origins: Arc::new(rules), mappings: Arc::new(mappings) }
}
