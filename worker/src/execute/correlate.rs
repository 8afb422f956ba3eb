//! Owns the correlations of one completion: remembers the events of the rules that they watch, and turns what held at
//! the end into results.

use super::collect::{level_rank, origin_name};
use super::values::shown;
use super::{Settings, card, context};
use sandsift_bus::message::{MatchContext, RuleResult};
use sandsift_ingest::{Actor, Origin, Origins, Record};
use sandsift_sigma::rule::{LogSource, Target};
use sandsift_sigma::{CorrelationHit, Correlator, Hit, RuleSet};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Collects for all correlations of a set; costs nothing where there are none.
pub(super) struct Correlations<'s> {
    rules: &'s RuleSet,
    settings: &'s Settings,
    correlator: Option<Correlator<'s>>,
    watched: HashSet<u32>,
    /// By the event's order.
    events: HashMap<u64, Remembered>,
    bytes: usize,
    /// Events that had no room; correlations count them all the same.
    pub forgotten: u64,
}

struct Remembered {
    actor: Option<Actor>,
    cross_platform: bool,
    context: MatchContext,
}

/// What came of them.
pub(super) struct Held {
    pub results: Vec<RuleResult>,
    /// Hits left out by origin.
    pub hidden: BTreeMap<Origin, u64>,
    /// Hits of watched rules on events without a time.
    pub untimed: u64,
    /// Hits of watched rules over the correlator's limit.
    pub over_limit: u64,
}

impl<'s> Correlations<'s> {
    pub fn new(rules: &'s RuleSet, settings: &'s Settings) -> Self {
        let bases = rules.correlations().iter().flat_map(|correlation| &correlation.bases);
        let watched: HashSet<u32> = bases
            .filter_map(|base| match base.target {
                Target::Rule(rule) => Some(rule),
                Target::Correlation(_) => None,
            })
            .collect();
        let correlator = (!watched.is_empty()).then(|| rules.correlator());
        Self { rules, settings, correlator, watched, events: HashMap::new(), bytes: 0, forgotten: 0 }
    }

    /// Takes the hits of one event, the `order`th of the completion.
    pub fn take(&mut self, record: &Record<'_>, hits: &[Hit], order: u64) {
        let Some(correlator) = &mut self.correlator else { return };
        let Some(hit) = hits.iter().find(|hit| self.watched.contains(&hit.rule.0)) else { return };
        correlator.feed(record.event, hits, order);
        if self.bytes >= self.settings.contexts_bytes {
            self.forgotten += 1;
            return;
        }
        let rule = self.rules.rule(hit.rule);
        let matched = self.rules.explain(record.event, hit.rule);
        let values = shown(record.event, record.context, Some(rule), &matched);
        let category = rule.logsource.category.as_deref();
        let (context, weight, _) = context::make(record, category, values, matched, self.settings);
        self.bytes += weight;
        let cross_platform = hit.cross_platform;
        self.events.insert(order, Remembered { actor: record.actor, cross_platform, context });
    }

    /// Says which correlations held.
    pub fn finish(self, origins: &Origins) -> Held {
        let Some(correlator) = self.correlator else {
            return Held { results: Vec::new(), hidden: BTreeMap::new(), untimed: 0, over_limit: 0 };
        };
        let left_out = correlator.left_out();
        let mut by_correlation = BTreeMap::<u32, Vec<CorrelationHit>>::new();
        for hit in correlator.finish() {
            if !self.rules.correlation(hit.correlation).hidden {
                by_correlation.entry(hit.correlation.0).or_default().push(hit);
            }
        }
        let mut hidden = BTreeMap::new();
        let found = Found { rules: self.rules, settings: self.settings, events: &self.events, origins };
        let results = by_correlation.values().filter_map(|hits| found.result(hits, &mut hidden)).collect();
        Held { results, hidden, untimed: left_out.untimed, over_limit: left_out.over_limit }
    }
}

/// What turns hits into results.
struct Found<'a> {
    rules: &'a RuleSet,
    settings: &'a Settings,
    events: &'a HashMap<u64, Remembered>,
    origins: &'a Origins,
}

impl Found<'_> {
    /// The result of one correlation; `None` where every hit is of a hidden origin.
    fn result(&self, hits: &[CorrelationHit], hidden: &mut BTreeMap<Origin, u64>) -> Option<RuleResult> {
        let correlation = self.rules.correlation(hits.first()?.correlation);
        let mut by_origin = BTreeMap::<Origin, u64>::new();
        let mut contexts: Vec<(u64, MatchContext)> = Vec::new();
        let mut cross_platform = false;
        for hit in hits {
            let origin = self.origin(hit);
            if self.settings.hides(origin) {
                *hidden.entry(origin).or_default() += 1;
                continue;
            }
            *by_origin.entry(origin).or_default() += 1;
            for order in &hit.events {
                let Some(event) = self.events.get(order) else { continue };
                cross_platform |= event.cross_platform;
                if contexts.len() < self.settings.contexts_a_rule() && contexts.iter().all(|(have, _)| have != order) {
                    contexts.push((*order, self.context(event, hit)));
                }
            }
        }
        if by_origin.is_empty() {
            return None;
        }
        contexts.sort_by_key(|(order, _)| *order);
        let metadata = &correlation.metadata;
        Some(RuleResult {
            rule_id: correlation.id.to_string(),
            rule_title: metadata.title.clone(),
            rule_level: card::level_name(metadata.level).to_owned(),
            rule_source: correlation.origin.source.to_string(),
            rule_description: metadata.description.clone().unwrap_or_default(),
            rule_author: metadata.author.clone().unwrap_or_default(),
            count: by_origin.values().sum(),
            origins: by_origin.iter().map(|(origin, count)| (origin_name(*origin).to_owned(), *count)).collect(),
            cross_platform,
            rule: card::card(metadata, &LogSource::default()),
            match_context: contexts.into_iter().map(|(_, context)| context).collect(),
        })
    }

    /// Who caused a correlation: the sample if it caused any of its events, then who is not known, then the others.
    fn origin(&self, hit: &CorrelationHit) -> Origin {
        let rank = |origin: &Origin| match origin {
            Origin::Sample => 0,
            Origin::Unknown => 1,
            Origin::Sandbox => 2,
            Origin::Background => 3,
        };
        let events = hit.events.iter().filter_map(|order| self.events.get(order));
        events.map(|event| self.origins.of(event.actor)).min_by_key(rank).unwrap_or(Origin::Unknown)
    }

    /// An event's context with what it shares with the others of its group.
    fn context(&self, event: &Remembered, hit: &CorrelationHit) -> MatchContext {
        let mut context = event.context.clone();
        context.origin = origin_name(self.origins.of(event.actor)).to_owned();
        for (field, value) in &hit.group {
            context.matched.push(json!({"selection": "group-by", "field": field, "value": value, "pattern": "*"}));
        }
        context
    }
}

/// Orders results: by level from the highest, then by rule id.
pub(super) fn sort(results: &mut [RuleResult]) {
    results.sort_by(|a, b| {
        level_rank(&b.rule_level).cmp(&level_rank(&a.rule_level)).then_with(|| a.rule_id.cmp(&b.rule_id))
    });
}
