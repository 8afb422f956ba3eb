//! Owns the way from rule files to a rule set: every file is read on its own, then all are put together.

use super::{Options, RuleSet, SourceFile, correlations, filters};
use crate::correlate::Watch;
use crate::diagnostic::{Diagnostic, Severity};
use crate::matcher::Matcher;
use crate::parse::{self, Draft, Filter, Parsed};
use crate::rule::{Correlation, Rule};
use sha2::{Digest, Sha256};
use std::sync::Arc;

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

    fn drop_repeats(&mut self) {
        let mut kept: Vec<Rule> = Vec::with_capacity(self.rules.len());
        for rule in self.rules.drain(..) {
            match kept.last() {
                Some(first) if first.id == rule.id => self.diagnostics.push(repeat(first, &rule)),
                _ => kept.push(rule),
            }
        }
        self.rules = kept;
    }
}

/// The rules that only the plain evaluator can answer.
fn rules_by_members(rules: &[Rule]) -> Vec<u32> {
    let by_members = |rule: &Rule| {
        rule.condition.has_elements() || rule.selections.iter().any(|selection| selection.body.has_elements())
    };
    (0..rules.len() as u32).filter(|&index| by_members(&rules[index as usize])).collect()
}

/// The same rule twice is harmless; two rules with one id could not be told apart in results.
fn repeat(first: &Rule, rule: &Rule) -> Diagnostic {
    let same = first.metadata.digest == rule.metadata.digest;
    let place = format!("{}:{}", first.origin.file, first.origin.line);
    Diagnostic {
        code: if same { "duplicate-rule" } else { "duplicate-id" },
        severity: if same { Severity::Note } else { Severity::Error },
        file: Arc::clone(&rule.origin.file),
        line: rule.origin.line,
        column: 0,
        text: rule.id.to_string(),
        source_line: String::new(),
        message: if same {
            format!("the same rule is in {place}; this one is left out")
        } else {
            format!("another rule has this id, in {place}; this one is left out")
        },
        help: if same { "remove one of the files" } else { "give one of the rules an id of its own" }.to_owned(),
        rule: Some(rule.metadata.title.clone()),
    }
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
