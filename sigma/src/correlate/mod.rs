//! Owns the running of correlations: hits of one completion go in, correlation hits come out.
//!
//! The scope is one completion, so that nothing outlives it and workers stay stateless. Hits may come in any order:
//! they are kept, within a limit, and evaluated in event time at the end, so the answer does not hang on the order of
//! artifacts. Windows slide; they have no fixed boundaries.

mod evaluate;
mod measure;
mod window;

use crate::event::Event;
use crate::reference;
use crate::rule::{Correlation, Measure, Target};
use crate::set::{Hit, RuleSet};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How many hits of watched rules a correlator keeps by default.
pub const MAX_OCCURRENCES: usize = 200_000;
/// How many event references one correlation hit carries.
pub const MAX_REFERENCES: usize = 1_000;

/// The index of a correlation in [`RuleSet::correlations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationIndex(pub u32);

/// A correlation that holds for a group of events.
///
/// Windows that overlap are one hit: it lasts as long as its condition holds without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationHit {
    /// Which correlation.
    pub correlation: CorrelationIndex,
    /// The values that the events share, by the names of `group-by`.
    pub group: Vec<(Arc<str>, String)>,
    /// The time of the first event, in nanoseconds since 1970-01-01 UTC.
    pub first: i64,
    /// The time at which the condition first held.
    pub time: i64,
    /// The time of the last event.
    pub last: i64,
    /// The caller's references of the events, in the order of their times, each once; at most [`MAX_REFERENCES`].
    pub events: Vec<u64>,
    /// How many different events there are, whether or not `events` has room for them.
    pub event_count: usize,
}

/// What took no part in correlations, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Hits on events without a time.
    pub untimed: u64,
    /// Hits beyond the limit.
    pub over_limit: u64,
}

/// What rules are watched and which of their fields are kept; part of the rule set.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// By rule.
    fields: HashMap<u32, Vec<Arc<str>>>,
}

impl Watch {
    /// Finds what every watched rule's events must be remembered for, through chains of correlations.
    pub fn new(correlations: &[Correlation]) -> Self {
        let mut of_rules: HashMap<u32, BTreeSet<Arc<str>>> = HashMap::new();
        let mut of_correlations: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); correlations.len()];
        // What refers stands behind what it refers to, so the last one is asked by nobody.
        for (index, correlation) in correlations.iter().enumerate().rev() {
            let mut fields = std::mem::take(&mut of_correlations[index]);
            match &correlation.measure {
                Measure::ValueCount(names) => fields.extend(names.iter().cloned()),
                Measure::ValueSum(name) | Measure::ValueAvg(name) | Measure::ValuePercentile(name, _) => {
                    fields.insert(Arc::clone(name));
                }
                Measure::EventCount | Measure::Temporal | Measure::TemporalOrdered => {}
            }
            for base in &correlation.bases {
                let wanted = fields.iter().chain(&base.group_fields).cloned();
                match base.target {
                    Target::Rule(rule) => of_rules.entry(rule).or_default().extend(wanted),
                    Target::Correlation(inner) => of_correlations[inner as usize].extend(wanted),
                }
            }
        }
        Self { fields: of_rules.into_iter().map(|(rule, fields)| (rule, fields.into_iter().collect())).collect() }
    }
}

/// One hit of a watched rule.
#[derive(Debug)]
struct Occurrence {
    time: i64,
    reference: u64,
    rule: u32,
    /// The values of the watched fields of the rule, in their order.
    values: Box<[Option<Box<str>>]>,
}

/// Collects the hits of one completion and says which correlations hold.
///
/// ```
/// # use sandsift_sigma::{Builder, Event, Options};
/// let (set, _) = Builder::new(Options::default()).build();
/// let (mut scratch, mut hits) = (set.scratch(), Vec::new());
/// let mut correlator = set.correlator();
/// for (reference, event) in [Event::new()].iter().enumerate() {
///     hits.clear();
///     set.matches(event, &mut scratch, &mut hits);
///     correlator.feed(event, &hits, reference as u64);
/// }
/// assert!(correlator.finish().is_empty());
/// ```
#[derive(Debug)]
pub struct Correlator<'s> {
    set: &'s RuleSet,
    occurrences: Vec<Occurrence>,
    limit: usize,
    left_out: LeftOut,
}

impl<'s> Correlator<'s> {
    pub(crate) fn new(set: &'s RuleSet) -> Self {
        Self { set, occurrences: Vec::new(), limit: MAX_OCCURRENCES, left_out: LeftOut::default() }
    }

    /// Keeps at most this many hits of watched rules; those that come later are counted as left out.
    pub fn with_limit(mut self, occurrences: usize) -> Self {
        self.limit = occurrences;
        self
    }

    /// Takes the hits of one event; `reference` is the caller's, and comes back in correlation hits.
    pub fn feed(&mut self, event: &Event, hits: &[Hit], reference: u64) {
        for hit in hits {
            let Some(fields) = self.set.watch().fields.get(&hit.rule.0) else { continue };
            let Some(time) = event.time() else {
                self.left_out.untimed += 1;
                continue;
            };
            if self.occurrences.len() >= self.limit {
                self.left_out.over_limit += 1;
                continue;
            }
            let value = |name: &Arc<str>| {
                event.get_all(name).find_map(reference::text).map(|text| text.into_owned().into_boxed_str())
            };
            let values = fields.iter().map(value).collect();
            self.occurrences.push(Occurrence { time, reference, rule: hit.rule.0, values });
        }
    }

    /// What took no part, so far.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Evaluates every correlation, those that only feed others too (see [`Correlation::hidden`]); ordered by
    /// correlation, group and time. The order in which events were fed does not matter.
    pub fn finish(mut self) -> Vec<CorrelationHit> {
        if self.occurrences.is_empty() {
            return Vec::new();
        }
        self.occurrences.sort_by_key(|o| (o.time, o.reference, o.rule));
        evaluate::evaluate(self.set, &self.occurrences)
    }

    pub(crate) fn field_index(set: &RuleSet, rule: u32, field: &str) -> Option<usize> {
        set.watch().fields.get(&rule)?.iter().position(|name| &**name == field)
    }
}
