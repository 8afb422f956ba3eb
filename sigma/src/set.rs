//! Owns the rule set: immutable, shared by all threads, and the one door to matching.

use crate::diagnostic::Diagnostic;
use crate::event::Event;
use crate::rule::Rule;
use serde::Serialize;
use std::sync::Arc;

/// Which rules of other platforms an event meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrossPlatform {
    /// Rules for Linux also meet events of macOS and the other way round, where both name a category.
    #[default]
    Unix,
    /// Rules for Windows meet events of Linux and macOS too, where both name a category.
    All,
    /// Only rules of the event's own product.
    None,
}

/// What decides matching beside the rules; part of the digest.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which rules of other platforms an event meets.
    pub cross_platform: CrossPlatform,
    /// Whether the drafts are understood: array matching, `sigma-version: 3`, boolean conditions of correlations.
    pub drafts: bool,
    /// Value lists for placeholders (`expand`), by name.
    pub placeholders: std::collections::BTreeMap<String, Vec<String>>,
}

/// A rule file's text, for a [`Builder`].
#[derive(Debug, Clone)]
pub struct SourceFile<'a> {
    /// The name of the rule source, such as `SigmaHQ`; becomes `rule_source`.
    pub source: &'a str,
    /// The file's name, for diagnostics.
    pub file: &'a str,
    /// Its content.
    pub text: &'a [u8],
}

/// Collects rule files and compiles them; one bad rule never stops the rest.
#[derive(Debug, Default)]
pub struct Builder {
    options: Options,
    rules: Vec<Rule>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder {
    /// Starts an empty set.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Reads one file, which may hold several documents: rules, correlations, filters.
    pub fn add(&mut self, file: &SourceFile<'_>) {
        let _ = file;
    }

    /// Compiles what was added. Never fails as a whole.
    pub fn build(self) -> (RuleSet, Vec<Diagnostic>) {
        let rules = self.rules.into();
        (RuleSet { rules, options: self.options, digest: [0; 32] }, self.diagnostics)
    }
}

/// The index of a rule in [`RuleSet::rules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

/// One rule that fired on one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// Which rule.
    pub rule: RuleIndex,
    /// Whether the rule was written for another platform than the event's.
    pub cross_platform: bool,
}

/// What a match on one event hung on.
#[derive(Debug, Clone, Serialize)]
pub struct Matched {
    /// The selection's name.
    pub selection: String,
    /// The field; absent for a keyword.
    pub field: Option<String>,
    /// The value that decided, as text.
    pub value: String,
    /// The rule's pattern that decided, as the rule writes it.
    pub pattern: String,
}

/// What matching one event writes to; one a thread, made by [`RuleSet::scratch`].
#[derive(Debug, Default)]
pub struct Scratch {}

/// Thousands of rules, compiled; immutable and shared by all threads.
#[derive(Debug)]
pub struct RuleSet {
    rules: Arc<[Rule]>,
    options: Options,
    digest: [u8; 32],
}

impl RuleSet {
    /// All rules that loaded, in the order of their ids.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule of this set; panics if the index is another set's.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.0 as usize]
    }

    /// SHA-256 over all that decides a match: rules, filters, placeholders, options.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The options that the set was built with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Makes what a thread needs to match.
    pub fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    /// Appends every rule that fires on the event to `hits`, in the order of the rules.
    ///
    /// Base rules of correlations are reported too, marked by [`RuleSet::is_hidden`]; the caller feeds all hits to a
    /// correlator.
    pub fn matches(&self, event: &Event, scratch: &mut Scratch, hits: &mut Vec<Hit>) {
        let _ = (event, scratch, hits);
    }

    /// Says what made a rule fire on an event: the tests of the condition's positive part that hold, in the order of
    /// the rule. Slow: meant for the few contexts that are shown, not for every event.
    pub fn explain(&self, event: &Event, rule: RuleIndex) -> Vec<Matched> {
        let _ = (event, rule);
        Vec::new()
    }

    /// Whether hits of this rule only feed correlations (`generate: false`) and are not results of their own.
    pub fn is_hidden(&self, rule: RuleIndex) -> bool {
        let _ = rule;
        false
    }
}
