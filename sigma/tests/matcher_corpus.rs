//! The compiled matcher against the plain evaluator on thousands of real rules, on events made to fire them and on the
//! values that the rules themselves ask for. Data of `../shared`; skipped where it is absent.

mod support;

use sandsift_sigma::testing::event_from_json;
use sandsift_sigma::{Event, EventSource, Options, RuleSet};
use std::io::Read as _;
use std::sync::Arc;

fn corpus() -> Option<(RuleSet, Vec<serde_json::Value>)> {
    let rules = support::build(&support::sigmahq()?, Options::default()).0;
    Some((rules, witnesses(&support::data("vectors/sigmahq_witness.ndjson.gz")?)))
}

fn witnesses(path: &std::path::Path) -> Vec<serde_json::Value> {
    let packed = std::fs::File::open(path).expect("the vectors can be read");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the vectors unpack");
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

#[test]
fn equals_the_plain_evaluator_on_events_made_for_the_rules() {
    let Some((rules, witnesses)) = corpus() else { return };
    let sources: std::collections::HashMap<String, Arc<EventSource>> = rules
        .rules()
        .iter()
        .map(|rule| {
            let source = &rule.logsource;
            let source =
                EventSource::new(source.product.as_deref(), source.category.as_deref(), source.service.as_deref());
            (rule.id.to_string(), source)
        })
        .collect();
    let mut scratch = rules.scratch();
    let (mut fast, mut plain) = (Vec::new(), Vec::new());
    let mut events = 0u32;
    let mut total = 0;
    for (index, witness) in witnesses.iter().enumerate() {
        let Some(source) = witness["rule_id"].as_str().and_then(|id| sources.get(id)) else { continue };
        let mut event = event_from_json(&witness["event"]);
        event.set_source(source);
        fast.clear();
        rules.matches(&event, &mut scratch, &mut fast);
        total += fast.len();
        events += 1;
        // The plain evaluator asks thousands of rules: in this profile a part of the events has to do.
        if index % 7 == 0 {
            plain.clear();
            rules.matches_plainly(&event, &mut plain);
            assert_eq!(fast, plain, "{witness}");
        }
    }
    assert!(events > 1000 && total > 1000, "{total} matches on {events} events");
}

/// Events that hold what the rules ask for, in other fields and other company than the rules expect.
#[test]
fn equals_the_plain_evaluator_on_events_of_mixed_values() {
    let Some((rules, witnesses)) = corpus() else { return };
    let sources = [
        EventSource::new(Some("windows"), ["process_creation"], ["sysmon"]),
        EventSource::new(Some("windows"), ["registry_event", "registry_set"], ["sysmon"]),
        EventSource::new(Some("linux"), ["process_creation"], []),
        EventSource::new(Some("macos"), ["process_creation", "file_event"], []),
        EventSource::new(None, ["webserver"], []),
        EventSource::new(None, [], []),
    ];
    let mut scratch = rules.scratch();
    let (mut fast, mut plain) = (Vec::new(), Vec::new());
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..400 {
        let mut event = Event::new();
        for _ in 0..1 + next(6) {
            let witness = event_from_json(&witnesses[next(witnesses.len())]["event"]);
            let swap = next(4) == 0;
            for (name, value) in witness.iter() {
                event.push(if swap { "CommandLine" } else { name }, value);
            }
        }
        event.set_source(&sources[next(sources.len())]);
        fast.clear();
        plain.clear();
        rules.matches(&event, &mut scratch, &mut fast);
        rules.matches_plainly(&event, &mut plain);
        assert_eq!(fast, plain, "{event:?}");
    }
}
