//! Owns what is kept of a completion's hits while it is read: exact counts by rule and process, and the first few
//! contexts of each rule. Who caused what is known only at the end, so counts stand by process until then.

use super::correlate::{self, Correlations};
use super::values::shown;
use super::{Settings, card, context};
use sandsift_bus::message::{Incomplete, MatchContext, RuleResult};
use sandsift_ingest::{Actor, Origin, Origins, Record};
use sandsift_sigma::{Hit, RuleSet};
use std::collections::{BTreeMap, HashMap};

/// Takes hits record by record.
pub(super) struct Collector<'s> {
    settings: &'s Settings,
    found: HashMap<u32, Found>,
    /// The event that the next hits belong to, from 1, to order contexts by.
    order: u64,
    record: Option<RecordKey>,
    kept_bytes: usize,
    dropped_contexts: u64,
    cut_values: u64,
    tallies: usize,
    merged_tallies: u64,
    correlations: Correlations<'s>,
}

/// Tells the events of one record from those of the next.
#[derive(PartialEq, Eq)]
struct RecordKey {
    artifact: u32,
    channel: Option<Box<str>>,
    id: u64,
}

#[derive(Default)]
struct Found {
    cross_platform: bool,
    /// The `order` of the record that the rule fired on last, since a record counts once for a rule.
    last: u64,
    contexts: usize,
    by_actor: BTreeMap<Option<Actor>, Tally>,
}

#[derive(Default)]
struct Tally {
    count: u64,
    contexts: Vec<Kept>,
}

struct Kept {
    order: u64,
    context: MatchContext,
}

/// What came of all hits once it is known who caused what.
pub(super) struct Outcome {
    /// By level from the highest, then by rule id.
    pub results: Vec<RuleResult>,
    pub incomplete: Vec<Incomplete>,
}

impl<'s> Collector<'s> {
    pub fn new(settings: &'s Settings, rules: &'s RuleSet) -> Self {
        Self {
            settings,
            found: HashMap::new(),
            order: 0,
            record: None,
            kept_bytes: 0,
            dropped_contexts: 0,
            cut_values: 0,
            tallies: 0,
            merged_tallies: 0,
            correlations: Correlations::new(rules, settings),
        }
    }

    /// Takes the hits of one event.
    pub fn take(&mut self, record: &Record<'_>, hits: &[Hit], rules: &RuleSet) {
        if !self.same_record(record) {
            self.order += 1;
        }
        self.correlations.take(record, hits, self.order);
        for hit in hits {
            if rules.is_hidden(hit.rule) {
                continue;
            }
            self.count(record, *hit, rules);
        }
    }

    /// Whether the event comes from the same record as the last one that was taken. Only the numbers of logs name a
    /// record; two objects on one line of JSON are two.
    fn same_record(&mut self, record: &Record<'_>) -> bool {
        let (Some(id), Some(_)) = (record.id, record.channel) else {
            self.record = None;
            return false;
        };
        let same = self.record.as_ref().is_some_and(|last| {
            last.artifact == record.artifact && last.id == id && last.channel.as_deref() == record.channel
        });
        if !same {
            self.record = Some(RecordKey { artifact: record.artifact, channel: record.channel.map(Into::into), id });
        }
        same
    }

    fn count(&mut self, record: &Record<'_>, hit: Hit, rules: &RuleSet) {
        let found = self.found.entry(hit.rule.0).or_default();
        if found.last == self.order {
            return;
        }
        found.last = self.order;
        found.cross_platform |= hit.cross_platform;
        let actor = if self.tallies >= self.settings.tallies && !found.by_actor.contains_key(&record.actor) {
            self.merged_tallies += 1;
            None
        } else {
            record.actor
        };
        let tally = found.by_actor.entry(actor).or_insert_with(|| {
            self.tallies += 1;
            Tally::default()
        });
        tally.count += 1;

        // Where an origin is hidden, a process's contexts may all go at the end, so that each keeps its own.
        let kept = if self.settings.hidden_origins.is_empty() { found.contexts } else { tally.contexts.len() };
        if kept >= self.settings.contexts_a_rule() {
            return;
        }
        if self.kept_bytes >= self.settings.contexts_bytes {
            self.dropped_contexts += 1;
            return;
        }
        let rule = rules.rule(hit.rule);
        let matched = rules.explain(record.event, hit.rule);
        let values = shown(record.event, record.context, Some(rule), &matched);
        let (context, weight, cuts) =
            context::make(record, rule.logsource.category.as_deref(), values, matched, self.settings);
        self.kept_bytes += weight;
        self.cut_values += cuts;
        found.contexts += 1;
        tally.contexts.push(Kept { order: self.order, context });
    }

    /// Ends the collection; `origins` tells who caused what.
    pub fn finish(self, rules: &RuleSet, origins: &Origins) -> Outcome {
        let settings = self.settings;
        let mut hidden = BTreeMap::<Origin, u64>::new();
        let mut results: Vec<RuleResult> = self
            .found
            .into_iter()
            .filter_map(|(index, found)| {
                let rule = rules.rule(sandsift_sigma::RuleIndex(index));
                let mut by_origin = BTreeMap::<Origin, u64>::new();
                let mut contexts = Vec::new();
                for (actor, tally) in found.by_actor {
                    let origin = origins.of(actor);
                    if settings.hides(origin) {
                        *hidden.entry(origin).or_default() += tally.count;
                        continue;
                    }
                    *by_origin.entry(origin).or_default() += tally.count;
                    contexts.extend(tally.contexts.into_iter().map(|kept| (kept, origin)));
                }
                if by_origin.is_empty() {
                    return None;
                }
                contexts.sort_by_key(|(kept, _)| kept.order);
                contexts.truncate(settings.contexts_a_rule());
                Some(RuleResult {
                    rule_id: rule.id.to_string(),
                    rule_title: rule.metadata.title.clone(),
                    rule_level: card::level_name(rule.metadata.level).to_owned(),
                    rule_source: rule.origin.source.to_string(),
                    rule_description: rule.metadata.description.clone().unwrap_or_default(),
                    rule_author: rule.metadata.author.clone().unwrap_or_default(),
                    count: by_origin.values().sum(),
                    origins: by_origin
                        .iter()
                        .map(|(origin, count)| (origin_name(*origin).to_owned(), *count))
                        .collect(),
                    cross_platform: found.cross_platform,
                    rule: card::card(&rule.metadata, &rule.logsource),
                    match_context: contexts
                        .into_iter()
                        .map(|(kept, origin)| MatchContext { origin: origin_name(origin).to_owned(), ..kept.context })
                        .collect(),
                })
            })
            .collect();
        let forgotten = self.correlations.forgotten;
        let held = self.correlations.finish(origins);
        for (origin, count) in held.hidden {
            *hidden.entry(origin).or_default() += count;
        }
        results.extend(held.results);
        correlate::sort(&mut results);

        let mut incomplete = Vec::new();
        let mut note = |code: &str, count: u64, detail: String| {
            if count > 0 {
                incomplete.push(Incomplete { artifact: None, code: code.to_owned(), count, detail });
            }
        };
        for (origin, count) in hidden {
            let origin = origin_name(origin);
            note("origin-hidden", count, format!("matches of origin '{origin}' left out, as the settings ask"));
        }
        note(
            "contexts-limit",
            self.dropped_contexts + forgotten,
            format!(
                "contexts left out over {} bytes (limits.contexts_bytes); counts are exact",
                settings.contexts_bytes
            ),
        );
        note(
            "value-truncated",
            self.cut_values,
            format!("values cut to {} bytes (limits.value_bytes)", settings.value_bytes),
        );
        note(
            "origin-limit",
            self.merged_tallies,
            format!(
                "matches counted as origin 'unknown': more than {} (limits.tallies) pairs of rule and process",
                settings.tallies
            ),
        );
        note(
            "correlation-untimed",
            held.untimed,
            "hits took no part in correlations, since their events have no time".to_owned(),
        );
        note(
            "correlation-limit",
            held.over_limit,
            format!("hits took no part in correlations over {} of them", sandsift_sigma::MAX_OCCURRENCES),
        );
        Outcome { results, incomplete }
    }
}

/// The name of an origin in messages.
pub(super) fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Sample => "sample",
        Origin::Sandbox => "sandbox",
        Origin::Background => "background",
        Origin::Unknown => "unknown",
    }
}

/// The rank of a level's name, the highest for `critical`.
pub(super) fn level_rank(level: &str) -> u8 {
    match level {
        "critical" => 4,
        "high" => 3,
        "medium" => 2,
        "low" => 1,
        _ => 0,
    }
}
