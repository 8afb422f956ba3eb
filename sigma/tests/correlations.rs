//! What users of correlations rely on: counts, windows, groups, order, chains, and what is said of broken ones.

mod support;

use sandsift_sigma::{CorrelationHit, LeftOut, Options, RuleSet};
use serde_json::{Value, json};
use support::{build, event};

const BASES: &str = "
title: Failed login
name: failed
logsource: {category: test}
detection: {sel: {event: fail}, condition: sel}
---
title: Login
name: login
logsource: {category: test}
detection: {sel: {event: ok}, condition: sel}
---
title: Command
name: command
logsource: {category: test}
detection: {sel: {event|contains: cmd}, condition: sel}
";

fn set_of(correlation: &str, drafts: bool) -> (RuleSet, Vec<String>) {
    let text = format!("{BASES}---\ntitle: Correlation\n{correlation}");
    let options = Options { drafts, ..Options::default() };
    let (set, diagnostics) = build(&[("rule.yml".to_owned(), text.into_bytes())], options);
    let codes = diagnostics.iter().map(|d| format!("{} {}:{}", d.code, d.line, d.column)).collect();
    (set, codes)
}

fn set(correlation: &str) -> RuleSet {
    let (set, codes) = set_of(correlation, true);
    assert_eq!(codes, [] as [String; 0]);
    set
}

/// Feeds events at these seconds; the reference of each is its index.
fn run(set: &RuleSet, events: &[(i64, Value)]) -> Vec<CorrelationHit> {
    let (mut scratch, mut correlator) = (set.scratch(), set.correlator());
    for (index, (seconds, json)) in events.iter().enumerate() {
        let mut event = event(json, None, Some("test"), None);
        event.set_time(Some(seconds * 1_000_000_000));
        let mut hits = Vec::new();
        set.matches(&event, &mut scratch, &mut hits);
        correlator.feed(&event, &hits, index as u64);
    }
    correlator.finish()
}

fn fails(list: &[(i64, &str)]) -> Vec<(i64, Value)> {
    list.iter().map(|(time, user)| (*time, json!({"event": "fail", "user": user}))).collect()
}

const COUNT: &str = "
correlation:
  type: event_count
  rules: [failed]
  group-by: [user]
  timespan: 1m
  condition: {gte: 3}
";

#[test]
fn events_are_counted_by_group_in_sliding_windows() {
    let set = set(COUNT);
    let hits = run(&set, &fails(&[(50, "ann"), (55, "bob"), (70, "Ann"), (105, "ann"), (200, "ann")]));
    assert_eq!(hits.len(), 1, "the window crosses a full minute, and case does not separate groups");
    assert_eq!(hits[0].events, [0, 2, 3]);
    assert_eq!(hits[0].group, [("user".into(), "ann".to_owned())]);
    assert_eq!((hits[0].first, hits[0].time), (50_000_000_000, 105_000_000_000));
    assert!(run(&set, &fails(&[(0, "ann"), (30, "bob"), (61, "ann"), (62, "ann")])).is_empty());
}

#[test]
fn the_order_of_feeding_does_not_matter() {
    let set = set(COUNT);
    let hits = run(&set, &fails(&[(105, "ann"), (50, "ann"), (70, "ann")]));
    assert_eq!(hits[0].events, [1, 2, 0]);
}

#[test]
fn overlapping_windows_are_one_hit() {
    let events: Vec<_> = (0..50).map(|i| (i * 10, json!({"event": "fail", "user": "ann"}))).collect();
    let hits = run(&set(COUNT), &events);
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].event_count, hits[0].last), (50, 490_000_000_000));
}

#[test]
fn events_without_a_group_field_or_a_time_take_no_part() {
    let set = set(COUNT);
    let bare: Vec<_> = (0..3).map(|i| (i, json!({"event": "fail"}))).collect();
    assert!(run(&set, &bare).is_empty());
    let mut correlator = set.correlator().with_limit(1);
    let mut hits = Vec::new();
    let mut timed = event(&json!({"event": "fail", "user": "ann"}), None, Some("test"), None);
    set.matches(&timed, &mut set.scratch(), &mut hits);
    correlator.feed(&timed, &hits, 0);
    timed.set_time(Some(0));
    correlator.feed(&timed, &hits, 1);
    correlator.feed(&timed, &hits, 2);
    assert_eq!(correlator.left_out(), LeftOut { untimed: 1, over_limit: 1 });
}

#[test]
fn values_are_counted_once() {
    let set = set("
correlation:
  type: value_count
  rules: [failed]
  timespan: 1m
  condition: {field: user, gt: 2}
");
    assert!(run(&set, &fails(&[(0, "a"), (1, "b"), (2, "A"), (3, "b")])).is_empty());
    assert_eq!(run(&set, &fails(&[(0, "a"), (1, "b"), (2, "c")])).len(), 1, "without group-by all are one group");
}

#[test]
fn tuples_of_values_are_counted() {
    let set = set("
correlation:
  type: value_count
  rules: [failed]
  timespan: 1m
  condition: {field: [user, host], gte: 3}
");
    let events = [("a", "x"), ("a", "y"), ("b", "x")].map(|(u, h)| (0, json!({"event": "fail", "user": u, "host": h})));
    assert_eq!(run(&set, &events).len(), 1);
    assert!(run(&set, &events[..2]).is_empty());
}

#[test]
fn numbers_are_summed_averaged_and_ranked_exactly() {
    let measured = |kind: &str, condition: &str, values: &[&str]| {
        let set = set(&format!(
            "correlation: {{type: {kind}, rules: [failed], timespan: 1m, condition: {{field: n, {condition}}}}}\n"
        ));
        let events: Vec<_> = values.iter().map(|n| (0, json!({"event": "fail", "n": n}))).collect();
        !run(&set, &events).is_empty()
    };
    assert!(measured("value_sum", "gt: 0.29", &["0.1", "0.2"]));
    assert!(measured("value_sum", "eq: 0.3", &["0.1", "0.2"]), "no binary fractions");
    assert!(!measured("value_sum", "gt: 0.3", &["0.1", "0.2", "word"]));
    assert!(measured("value_avg", "lt: 2", &["1", "2"]));
    assert!(!measured("value_avg", "lt: 1.5", &["1", "2"]));
    assert!(measured("value_median", "eq: 2", &["1", "2", "90"]));
    assert!(measured("value_percentile", "percentile: 90, gte: 90", &["0", "100"]));
    assert!(!measured("value_percentile", "percentile: 50, gte: 51", &["0", "100"]));
}

#[test]
fn ranges_and_upper_bounds() {
    let counted = |condition: &str, n: i64| {
        let set = set(&format!(
            "correlation: {{type: event_count, rules: [failed], timespan: 1m, condition: {{{condition}}}}}\n"
        ));
        let events: Vec<_> = (0..n).map(|i| (i, json!({"event": "fail"}))).collect();
        !run(&set, &events).is_empty()
    };
    assert!(counted("gt: 2, lte: 4", 4) && !counted("gt: 2, lte: 4", 5) && !counted("gt: 2, lte: 4", 2));
    assert!(counted("eq: 3", 3) && !counted("eq: 3", 4));
    assert!(counted("neq: 3", 4) && !counted("neq: 3", 3));
    assert!(counted("lt: 3", 2) && !counted("lt: 3", 9));
}

fn temporal(kind: &str, condition: &str) -> String {
    format!(
        "correlation: {{type: {kind}, rules: [failed, login, command], timespan: 1m, group-by: [user]{condition}}}\n"
    )
}

fn story(list: &[(i64, &str)]) -> Vec<(i64, Value)> {
    list.iter().map(|(time, event)| (*time, json!({"event": event, "user": "ann"}))).collect()
}

#[test]
fn temporal_asks_for_every_rule_and_ordered_for_their_order() {
    let (any, ordered) = (set(&temporal("temporal", "")), set(&temporal("temporal_ordered", "")));
    let forward = story(&[(0, "fail"), (10, "ok"), (20, "cmd")]);
    let backward = story(&[(0, "cmd"), (10, "ok"), (20, "fail")]);
    assert_eq!((run(&any, &forward).len(), run(&ordered, &forward).len()), (1, 1));
    assert_eq!((run(&any, &backward).len(), run(&ordered, &backward).len()), (1, 0));
    let together = story(&[(5, "cmd"), (5, "ok"), (5, "fail")]);
    assert_eq!(run(&ordered, &together).len(), 1, "equal times count as ordered");
    let late = story(&[(0, "fail"), (10, "ok"), (61, "cmd")]);
    assert!(run(&any, &late).is_empty());
    let two = set(&temporal("temporal", ", condition: {gte: 2}"));
    assert_eq!(run(&two, &story(&[(0, "fail"), (10, "ok")])).len(), 1);
}

#[test]
fn one_event_counts_once_for_each_rule_it_matches() {
    let set = set("correlation: {type: temporal, rules: [login, command], timespan: 1m}\n");
    assert!(run(&set, &story(&[(0, "cmd")])).is_empty());
    let both = [(0, json!({"event": ["ok", "cmd"]}))];
    let hits = run(&set, &both);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].events, [0], "an event stands once in a hit");
}

#[test]
fn aliases_name_other_fields_of_other_rules() {
    let set = set("
correlation:
  type: temporal
  rules: [failed, login]
  group-by: [ip]
  timespan: 1m
  aliases:
    ip: {failed: source, login: destination}
");
    let events = |other: &str| {
        [(0, json!({"event": "fail", "source": "1.1.1.1"})), (1, json!({"event": "ok", "destination": other}))]
    };
    assert_eq!(run(&set, &events("1.1.1.1")).len(), 1);
    assert!(run(&set, &events("2.2.2.2")).is_empty());
}

#[test]
fn correlations_chain_and_inner_ones_are_hidden() {
    let set = set("
name: outer
correlation:
  type: temporal_ordered
  rules: [many, login]
  group-by: [user]
  timespan: 1m
---
title: Many
name: many
correlation:
  type: event_count
  rules: [failed]
  group-by: [host]
  timespan: 1m
  condition: {gte: 3}
");
    let mut events: Vec<_> = (0..30).map(|i| (i * 10, json!({"event": "fail", "user": "ann", "host": "pc"}))).collect();
    events.push((300, json!({"event": "ok", "user": "ann"})));
    let shown = |hits: &[CorrelationHit]| {
        hits.iter().filter(|h| !set.correlation(h.correlation).hidden).map(|h| h.last).collect::<Vec<_>>()
    };
    assert_eq!(shown(&run(&set, &events)), [300_000_000_000], "the inner hit lasts until shortly before");
    events.truncate(2);
    events.push((21, json!({"event": "ok", "user": "ann"})));
    assert!(shown(&run(&set, &events)).is_empty());
    events.push((15, json!({"event": "fail", "user": "ann", "host": "pc"})));
    assert_eq!(shown(&run(&set, &events)).len(), 1);
}

#[test]
fn what_is_watched_is_hidden_unless_generated() {
    let index = |set: &RuleSet| set.rules().iter().position(|r| r.metadata.name.as_deref() == Some("failed")).unwrap();
    let hidden = |set: &RuleSet| set.is_hidden(sandsift_sigma::RuleIndex(index(set) as u32));
    assert!(hidden(&set(COUNT)));
    assert!(!hidden(&set(&format!("{COUNT}  generate: true\n"))));
    assert!(!hidden(&set(&format!("generate: true{COUNT}"))));
}

#[test]
fn boolean_conditions_are_a_draft() {
    let text = temporal("temporal", ", condition: failed and login and not command");
    assert_eq!(set_of(&text, false).1, ["draft-feature 18:107"]);
    let set = set(&text);
    assert_eq!(run(&set, &story(&[(0, "fail"), (1, "ok")])).len(), 1);
    assert!(run(&set, &story(&[(0, "fail"), (1, "ok"), (2, "cmd")])).is_empty());
}

#[test]
fn broken_correlations_are_named_and_the_rest_loads() {
    for (text, expected) in [
        ("correlation: {type: event_cout, rules: [failed], timespan: 1m, condition: {gte: 1}}", "invalid-correlation"),
        (
            "correlation: {type: event_count, rules: [fialed], timespan: 1m, condition: {gte: 1}}",
            "unknown-rule-reference",
        ),
        (
            "correlation: {type: event_count, rules: [failed], timespan: 1 m, condition: {gte: 1}}",
            "invalid-correlation",
        ),
        ("correlation: {type: event_count, rules: [failed], timespan: 1m}", "invalid-correlation"),
        ("correlation: {type: event_count, rules: [failed], timespan: 1m, condition: {gte: x}}", "invalid-correlation"),
        ("correlation: {type: value_count, rules: [failed], timespan: 1m, condition: {gte: 1}}", "invalid-correlation"),
        (
            "name: me\ncorrelation: {type: event_count, rules: [me], timespan: 1m, condition: {gte: 1}}",
            "correlation-cycle",
        ),
    ] {
        let (set, codes) = set_of(text, false);
        assert!(codes.len() == 1 && codes[0].starts_with(expected), "{text}: {codes:?}");
        assert_eq!((set.rules().len(), set.correlations().len()), (3, 0));
    }
}
