//! Owns the evaluation of all correlations over one completion's hits, chains included.

use super::measure::{Numbers, Tuples};
use super::window::{self, Item, Span};
use super::{CorrelationHit, CorrelationIndex, Correlator, MAX_REFERENCES, Occurrence};
use crate::fold::fold;
use crate::rule::{Correlation, Measure, Target, scaled};
use crate::set::RuleSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far back in a chained hit's events a value is looked for.
const LOOK_BACK: usize = 64;

/// What a correlation watches has happened: an event, or a hit of another correlation.
#[derive(Debug, Clone, Copy)]
enum Source {
    Event(usize),
    Point { correlation: usize, point: usize },
}

/// The events of one group of a correlation, in the order of time.
#[derive(Debug, Default)]
struct Group {
    shown: Vec<String>,
    items: Vec<Item>,
    sources: Vec<Source>,
}

/// A window of a group in which the condition holds.
#[derive(Debug, Clone, Copy)]
struct Point {
    group: usize,
    span: Span,
}

/// A correlation with all its groups and the windows in which it holds.
#[derive(Debug, Default)]
struct Evaluated {
    groups: Vec<Group>,
    points: Vec<Point>,
}

struct Evaluation<'e> {
    set: &'e RuleSet,
    occurrences: &'e [Occurrence],
    done: Vec<Evaluated>,
}

pub(super) fn evaluate(set: &RuleSet, occurrences: &[Occurrence]) -> Vec<CorrelationHit> {
    let mut evaluation = Evaluation { set, occurrences, done: Vec::new() };
    let mut hits = Vec::new();
    for (index, correlation) in set.correlations().iter().enumerate() {
        let mut evaluated = Evaluated { groups: evaluation.groups(correlation), points: Vec::new() };
        for (number, group) in evaluated.groups.iter_mut().enumerate() {
            let spans = evaluation.spans(correlation, group);
            evaluated.points.extend(spans.into_iter().map(|span| Point { group: number, span }));
        }
        evaluation.done.push(evaluated);
        evaluation.report(index, correlation, &mut hits);
    }
    hits
}

impl Evaluation<'_> {
    /// Sorts what the bases saw into groups; what lacks a field of `group-by` belongs to none.
    fn groups(&self, correlation: &Correlation) -> Vec<Group> {
        let mut happened: Vec<(i64, usize, Source)> = Vec::new();
        for (number, base) in correlation.bases.iter().enumerate() {
            match base.target {
                Target::Rule(rule) => {
                    let own = self.occurrences.iter().enumerate().filter(|(_, o)| o.rule == rule);
                    happened.extend(own.map(|(index, o)| (o.time, number, Source::Event(index))));
                }
                Target::Correlation(inner) => {
                    let inner = inner as usize;
                    let evaluated = &self.done[inner];
                    happened.extend(evaluated.points.iter().enumerate().map(|(point, p)| {
                        let time = evaluated.groups[p.group].items[p.span.end].time;
                        (time, number, Source::Point { correlation: inner, point })
                    }));
                }
            }
        }
        happened.sort_by_key(|(time, base, source)| (*time, *base, self.first_reference(*source)));
        let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
        for (time, base, source) in happened {
            let fields = &correlation.bases[base].group_fields;
            let Some(shown) = fields.iter().map(|f| self.value(source, f)).collect::<Option<Vec<&str>>>() else {
                continue;
            };
            let key = shown.iter().map(|value| value.chars().map(fold).collect()).collect();
            let group = groups.entry(key).or_insert_with(|| Group {
                shown: shown.iter().map(|value| (*value).to_owned()).collect(),
                ..Group::default()
            });
            group.items.push(Item { time, base });
            group.sources.push(source);
        }
        groups.into_values().collect()
    }

    fn first_reference(&self, source: Source) -> u64 {
        match source {
            Source::Event(index) => self.occurrences[index].reference,
            Source::Point { point, .. } => point as u64,
        }
    }

    /// A field's value; for a hit of another correlation that of its latest event that has one.
    fn value(&self, source: Source, field: &str) -> Option<&str> {
        match source {
            Source::Event(index) => {
                let occurrence = &self.occurrences[index];
                let at = Correlator::field_index(self.set, occurrence.rule, field)?;
                occurrence.values[at].as_deref()
            }
            Source::Point { correlation, point } => {
                let evaluated = &self.done[correlation];
                let Point { group, span } = evaluated.points[point];
                let sources = &evaluated.groups[group].sources[span.start..=span.end];
                sources.iter().rev().take(LOOK_BACK).find_map(|source| self.value(*source, field))
            }
        }
    }

    /// The windows of a group in which the condition holds. What lacks the value that is measured leaves the group.
    fn spans(&self, correlation: &Correlation, group: &mut Group) -> Vec<Span> {
        let bases = correlation.bases.len();
        let find = |items: &[Item], measure: &mut dyn window::Window| {
            window::spans(items, correlation.timespan, &correlation.condition, measure)
        };
        match &correlation.measure {
            Measure::EventCount => find(&group.items, &mut super::measure::Count::default()),
            Measure::Temporal => find(&group.items, &mut super::measure::Rules::new(bases)),
            Measure::TemporalOrdered => {
                window::ordered_spans(&group.items, correlation.timespan, &correlation.condition, bases)
            }
            Measure::ValueCount(fields) => {
                let tuples = self.keep(group, |source| {
                    let values = fields.iter().map(|f| self.value(source, f)).collect::<Option<Vec<_>>>()?;
                    Some(values.iter().map(|v| v.chars().map(fold).collect()).collect::<Vec<String>>())
                });
                find(&group.items, &mut Tuples::new(&tuples))
            }
            Measure::ValueSum(field) => {
                let numbers = self.numbers(group, field);
                find(&group.items, &mut Numbers::sum(&numbers))
            }
            Measure::ValueAvg(field) => {
                let numbers = self.numbers(group, field);
                find(&group.items, &mut Numbers::average(&numbers))
            }
            Measure::ValuePercentile(field, percentile) => {
                let numbers = self.numbers(group, field);
                find(&group.items, &mut super::measure::Percentile::new(&numbers, *percentile))
            }
        }
    }

    fn numbers(&self, group: &mut Group, field: &Arc<str>) -> Vec<i128> {
        self.keep(group, |source| scaled(self.value(source, field)?.trim()))
    }

    fn keep<T>(&self, group: &mut Group, of: impl Fn(Source) -> Option<T>) -> Vec<T> {
        let mut kept = Vec::with_capacity(group.items.len());
        let (mut items, mut sources) = (Vec::new(), Vec::new());
        for (item, source) in group.items.iter().zip(&group.sources) {
            if let Some(value) = of(*source) {
                kept.push(value);
                items.push(*item);
                sources.push(*source);
            }
        }
        (group.items, group.sources) = (items, sources);
        kept
    }

    /// Joins overlapping windows to hits.
    fn report(&self, index: usize, correlation: &Correlation, hits: &mut Vec<CorrelationHit>) {
        let evaluated = &self.done[index];
        let mut points = evaluated.points.iter().peekable();
        while let Some(first) = points.next() {
            let mut span = first.span;
            while let Some(next) = points.next_if(|p| p.group == first.group && p.span.start <= span.end) {
                span.end = span.end.max(next.span.end);
            }
            let group = &evaluated.groups[first.group];
            let (events, event_count) = self.references(&group.sources[span.start..=span.end]);
            hits.push(CorrelationHit {
                correlation: CorrelationIndex(index as u32),
                group: correlation.group_by.iter().cloned().zip(group.shown.iter().cloned()).collect(),
                first: group.items[span.start].time,
                time: group.items[first.span.end].time,
                last: group.items[span.end].time,
                events,
                event_count,
            });
        }
    }

    /// The events behind these sources, by time, each once.
    fn references(&self, sources: &[Source]) -> (Vec<u64>, usize) {
        let mut events = Vec::new();
        let mut pending: Vec<Source> = sources.to_vec();
        let mut seen_points = std::collections::HashSet::new();
        while let Some(source) = pending.pop() {
            match source {
                Source::Event(index) => events.push((self.occurrences[index].time, self.occurrences[index].reference)),
                Source::Point { correlation, point } => {
                    if seen_points.insert((correlation, point)) {
                        let evaluated = &self.done[correlation];
                        let Point { group, span } = evaluated.points[point];
                        pending.extend(&evaluated.groups[group].sources[span.start..=span.end]);
                    }
                }
            }
            // Windows overlap, so the same event comes many times; what is kept stays within the events there are.
            if events.len() > 4 * self.occurrences.len() + MAX_REFERENCES {
                events.sort_unstable();
                events.dedup();
            }
        }
        events.sort_unstable();
        events.dedup();
        let count = events.len();
        (events.into_iter().map(|(_, reference)| reference).take(MAX_REFERENCES).collect(), count)
    }
}
