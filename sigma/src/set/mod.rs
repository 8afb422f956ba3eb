//! Owns the rule set: immutable, shared by all threads, and the one door to matching.

mod builder;
mod correlations;
mod explain;
mod filters;
mod routing;

pub use builder::Builder;
pub use explain::{Explanation, Matched};
pub use routing::{CrossPlatform, Route, route};

use crate::certain;
use crate::correlate::{CorrelationIndex, Correlator, Watch};
use crate::event::Event;
use crate::matcher::{self, Matcher};
use crate::reference;
use crate::rule::{Correlation, Rule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What decides matching beside the rules; part of the digest.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which rules of other platforms an event meets.
    pub cross_platform: CrossPlatform,
    /// Whether the drafts are understood: array matching, `sigma-version: 3`, boolean conditions of correlations.
    pub drafts: bool,
    /// Value lists for placeholders (`expand`), by name; values may hold wildcards.
    pub placeholders: BTreeMap<String, Vec<String>>,
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

/// What matching one event writes to; one a thread, made by [`RuleSet::scratch`].
#[derive(Debug, Default)]
pub struct Scratch(matcher::Scratch);

/// Thousands of rules, compiled; immutable and shared by all threads.
#[derive(Debug)]
pub struct RuleSet {
    rules: Arc<[Rule]>,
    correlations: Vec<Correlation>,
    /// By rule: whether it only feeds correlations.
    hidden: Vec<bool>,
    watch: Watch,
    /// Rules that ask about members of arrays, which the plain evaluator answers.
    by_members: Vec<u32>,
    options: Options,
    digest: [u8; 32],
    matcher: Matcher,
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
        let before = hits.len();
        self.matcher.matches(event, &mut scratch.0, hits);
        if !self.by_members.is_empty() {
            self.match_members(event, hits, before);
        }
    }

    /// Puts the plain evaluator's answers in place of the matcher's for rules that ask about members of arrays.
    fn match_members(&self, event: &Event, hits: &mut Vec<Hit>, before: usize) {
        let mut own = hits.split_off(before);
        own.retain(|hit| !self.by_members.contains(&hit.rule.0));
        own.extend(self.by_members.iter().filter_map(|&rule| self.match_plainly(rule, event)));
        own.sort_unstable();
        hits.append(&mut own);
    }

    /// Does what [`RuleSet::matches`] does by asking every rule in turn with the plain evaluator: the oracle for tests.
    pub fn matches_plainly(&self, event: &Event, hits: &mut Vec<Hit>) {
        hits.extend((0..self.rules.len() as u32).filter_map(|rule| self.match_plainly(rule, event)));
    }

    fn match_plainly(&self, index: u32, event: &Event) -> Option<Hit> {
        let rule = self.rule(RuleIndex(index));
        let route = route(&rule.logsource, event.source(), self.options.cross_platform)?;
        let hit = Hit { rule: RuleIndex(index), cross_platform: route == Route::CrossPlatform };
        reference::fires(rule, event).then_some(hit)
    }

    /// Whether a rule fires on an event whatever the fields were that the event's source cannot have
    /// ([`EventSource::absent`](crate::EventSource)): a rule that excludes by such a field fires for want of it alone. Slow,
    /// as [`explain`](Self::explain) is.
    pub fn is_certain(&self, event: &Event, rule: RuleIndex) -> bool {
        certain::fires(self.rule(rule), event)
    }

    /// Says what made a rule fire on an event: the tests of the condition's positive part that hold, in the order of
    /// the rule. Slow: meant for the few contexts that are shown, not for every event.
    pub fn explain(&self, event: &Event, rule: RuleIndex) -> Vec<Matched> {
        explain::matched(self.rule(rule), event)
    }

    /// Says of every part of a rule whether it holds for an event and what it was asked of: the answer to "why not".
    /// The logsource is not asked about; see [`route`].
    pub fn explain_all(&self, event: &Event, rule: RuleIndex) -> Explanation {
        explain::tree(self.rule(rule), event)
    }

    /// Whether hits of this rule only feed correlations (`generate: false`) and are not results of their own.
    pub fn is_hidden(&self, rule: RuleIndex) -> bool {
        self.hidden[rule.0 as usize]
    }

    /// All correlations; what one refers to stands before it.
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// A correlation of this set; panics if the index is another set's.
    pub fn correlation(&self, index: CorrelationIndex) -> &Correlation {
        &self.correlations[index.0 as usize]
    }

    /// Makes what collects the hits of one completion for the correlations.
    pub fn correlator(&self) -> Correlator<'_> {
        Correlator::new(self)
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }
}
