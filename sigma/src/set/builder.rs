//! Owns the way from rule files to a rule set: every file is read on its own, then all are put together.

use super::{Options, RuleSet, SourceFile, correlations, filters};
use crate::correlate::Watch;
use crate::diagnostic::{Diagnostic, Severity};
use crate::matcher::Matcher;
use crate::parse::{self, Draft, Filter, Parsed};
use crate::rule::{Correlation, Metadata, Origin, Rule};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use uuid::Uuid;

/// Collects rule files and compiles them; one bad rule never stops the rest.
#[derive(Debug, Default)]
pub struct Builder {
    options: Options,
    rules: Vec<Rule>,
    filters: Vec<Filter>,
    correlations: Vec<Draft>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder {
    /// Starts an empty set.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Reads one file, which may hold several documents: rules, correlations, filters.
    ///
    /// Of two rules with the same id the first one added stays.
    pub fn add(&mut self, file: &SourceFile<'_>) {
        self.add_if(file, |_| true);
    }

    /// Reads one file as [`Builder::add`] does and takes those of its rules that `keep` takes.
    pub fn add_if(&mut self, file: &SourceFile<'_>, mut keep: impl FnMut(&Rule) -> bool) {
        let (parsed, diagnostics) = parse::parse(file, &self.options);
        self.diagnostics.extend(diagnostics);
        for document in parsed {
            match document {
                Parsed::Rule(rule) if keep(&rule) => self.rules.push(rule),
                Parsed::Rule(_) => {}
                Parsed::Filter(filter) => self.filters.push(filter),
                Parsed::Correlation(correlation) => self.correlations.push(correlation),
            }
        }
    }

    /// Compiles what was added. Never fails as a whole.
    pub fn build(mut self) -> (RuleSet, Vec<Diagnostic>) {
        self.rules.sort_by_key(|rule| rule.id);
        self.drop_repeats();
        filters::join(&self.filters, &mut self.rules, &mut self.diagnostics);
        let (correlations, hidden) = correlations::link(self.correlations, &self.rules, &mut self.diagnostics);
        let digest = digest(&self.rules, &correlations, &self.options);
        let watch = Watch::new(&correlations);
        let by_members = rules_by_members(&self.rules);
        let matcher = Matcher::new(&self.rules, self.options.cross_platform);
        let rules = self.rules.into();
        (
            RuleSet { rules, correlations, hidden, watch, by_members, options: self.options, digest, matcher },
            self.diagnostics,
        )
    }

    /// Leaves out what has an id that is taken: by another rule of the same kind, or by a rule for a correlation.
    fn drop_repeats(&mut self) {
        let mut taken: HashMap<Uuid, Known> = HashMap::new();
        let found = &mut self.diagnostics;
        self.rules.retain(|rule| keep(&mut taken, found, rule.id, &rule.metadata, &rule.origin));
        self.correlations.retain(|draft| keep(&mut taken, found, draft.id, &draft.metadata, &draft.origin));
        let mut names: HashMap<&str, &Origin> = HashMap::new();
        let rules = self.rules.iter().map(|rule| (&rule.metadata, &rule.origin));
        let correlations = self.correlations.iter().map(|draft| (&draft.metadata, &draft.origin));
        for (metadata, origin) in rules.chain(correlations) {
            let Some(name) = &metadata.name else { continue };
            match names.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(origin);
                }
                Entry::Occupied(first) => found.push(same_name(name, metadata, origin, first.get())),
            }
        }
    }
}

/// What has an id, so far.
struct Known {
    digest: [u8; 32],
    origin: Origin,
}

fn keep(
    taken: &mut HashMap<Uuid, Known>,
    found: &mut Vec<Diagnostic>,
    id: Uuid,
    metadata: &Metadata,
    origin: &Origin,
) -> bool {
    match taken.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert(Known { digest: metadata.digest, origin: origin.clone() });
            true
        }
        Entry::Occupied(first) => {
            found.push(repeat(first.get(), id, metadata, origin));
            false
        }
    }
}

/// The same rule twice is harmless; two rules with one id could not be told apart in results.
fn repeat(first: &Known, id: Uuid, metadata: &Metadata, origin: &Origin) -> Diagnostic {
    let place = format!("{}:{}", first.origin.file, first.origin.line);
    let mut finding = if first.digest == metadata.digest {
        let message = format!("the same rule is in {place}; this one is left out");
        Diagnostic::of_file("duplicate-rule", Severity::Note, &*origin.file, message, "remove one of the files")
    } else {
        let message = format!("another rule has this id, in {place}; this one is left out");
        let help = "give one of the rules an id of its own";
        Diagnostic::of_file("duplicate-id", Severity::Error, &*origin.file, message, help)
    };
    finding.line = origin.line;
    finding.text = id.to_string();
    finding.rule = Some(metadata.title.clone());
    finding
}

fn same_name(name: &str, metadata: &Metadata, origin: &Origin, first: &Origin) -> Diagnostic {
    let message = format!("another rule is named '{name}', in {}:{}", first.file, first.line);
    let help = "rename one: correlations that name it mean only one of the two";
    let mut finding = Diagnostic::of_file("duplicate-name", Severity::Warning, &*origin.file, message, help);
    finding.line = origin.line;
    finding.text = name.to_owned();
    finding.rule = Some(metadata.title.clone());
    finding
}

/// The rules that only the plain evaluator can answer.
fn rules_by_members(rules: &[Rule]) -> Vec<u32> {
    let by_members = |rule: &Rule| {
        rule.condition.has_elements() || rule.selections.iter().any(|selection| selection.body.has_elements())
    };
    (0..rules.len() as u32).filter(|&index| by_members(&rules[index as usize])).collect()
}

/// SHA-256 over all that decides a match. Every part is preceded by its length, so that no two sets look the same.
fn digest(rules: &[Rule], correlations: &[Correlation], options: &Options) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(b"sandsift rule set 1");
    part(format!("{:?} {}", options.cross_platform, options.drafts).as_bytes());
    for (name, values) in &options.placeholders {
        part(name.as_bytes());
        part(&(values.len() as u64).to_le_bytes());
        for value in values {
            part(value.as_bytes());
        }
    }
    for rule in rules {
        part(rule.id.as_bytes());
        part(rule.origin.source.as_bytes());
        part(&rule.metadata.digest);
    }
    part(b"correlations");
    for correlation in correlations {
        part(correlation.id.as_bytes());
        part(correlation.origin.source.as_bytes());
        part(&correlation.metadata.digest);
    }
    hash.finalize().into()
}
