//! The outside shapes of a match, held to golden documents; `tests/interop/exports.sh` holds these to the published
//! schemas of OCSF and ECS.

use sandsift_bus::message::MatchEvent;
use sandsift_worker::export::{ecs, ocsf};
use serde_json::Value;
use std::path::PathBuf;

/// Set to write the golden documents anew after a change that was meant.
const BLESS: &str = "SANDSIFT_BLESS";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn sample() -> MatchEvent {
    let text = std::fs::read_to_string(golden("match.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn compare(name: &str, shown: &Value) {
    let path = golden(name);
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(shown).unwrap() + "\n").unwrap();
    }
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(shown, &expected, "{name} differs; {BLESS}=1 writes it anew");
}

#[test]
fn a_match_is_an_ocsf_detection_finding() {
    let finding = ocsf(&sample());
    compare("ocsf.json", &finding);
    assert_eq!(finding["type_uid"], 200_401);
    assert_eq!(finding["start_time"], 1_772_359_262_500_i64);
    assert_eq!(finding["evidences"].as_array().unwrap().len(), 2);
}

#[test]
fn a_match_is_an_ecs_document() {
    let document = ecs(&sample());
    compare("ecs.json", &document);
    assert_eq!(document["process"]["parent"]["name"], "cmd.exe");
    assert_eq!(document["threat"]["tactic"]["id"], serde_json::json!(["TA0011", "TA0005"]));
}

#[test]
fn a_match_without_contexts_or_times_still_has_a_valid_shape() {
    let mut event = sample();
    event.result.match_context.clear();
    event.completion.finished = None;
    event.completion.started = None;
    event.result.rule = serde_json::json!({});
    assert_eq!(ocsf(&event)["time"], 0);
    assert!(ecs(&event).get("threat").is_none());
    assert!(ecs(&event).get("process").is_none());
}
