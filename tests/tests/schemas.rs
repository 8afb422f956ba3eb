//! What travels is what `docs/schemas` say: completions that are sent and read, analyses and matches of real runs.

use sandsift_bus::message::Completion;
use sandsift_bus::message::MatchEvent;
use sandsift_bus::message::envelope::{COMPLETION, CloudEvent};
use sandsift_tests::runs::{analyse_samples, pack_samples};
use serde_json::{Value, json};
use std::path::Path;

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// A validator of a schema; an event's reference to the schema of its data is followed.
fn validator(name: &str) -> jsonschema::Validator {
    let mut schema = self::schema(name);
    if let Some(reference) = schema.pointer("/properties/data/$ref").and_then(Value::as_str).map(str::to_owned) {
        schema["properties"]["data"] = self::schema(&reference);
    }
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn assert_valid(name: &str, value: &Value) {
    let validator = validator(name);
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

fn packed() -> Vec<Completion> {
    let folder = tempfile::tempdir().expect("a folder");
    pack_samples(folder.path()).expect("completions")
}

#[test]
fn completions_that_are_sent_are_valid_bare_and_as_events() {
    for completion in packed() {
        let bare = serde_json::to_value(&completion).expect("JSON");
        assert_valid("completion.json", &bare);
        let event = CloudEvent::new(COMPLETION, &completion.id, "/test", &completion.sample.sha256, &completion);
        assert_valid(
            "completion.event.json",
            &serde_json::from_slice(&event.to_bytes().expect("bytes")).expect("JSON"),
        );
    }
}

/// What the schema refuses the reader refuses, and what it takes the reader takes.
#[test]
fn schema_and_reader_agree_on_completions() {
    let validator = validator("completion.json");
    let good = serde_json::to_value(&packed()[0]).expect("JSON");
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        changed.pointer_mut(parent).expect("a parent")[name] = value;
        changed
    };
    let claim = |key: &str| json!([{"store": "fleet", "key": key, "sha256": "ab".repeat(32), "bytes": 1}]);
    let cases = [
        (good.clone(), true),
        (with("/unknown", json!("a newer producer")), true),
        (with("/id", json!("")), false),
        (with("/id", json!("x".repeat(201))), false),
        (with("/id", json!("a\u{1b}b")), false),
        (with("/platform", json!("solaris")), false),
        (with("/sample/sha256", json!("abc")), false),
        (with("/sample/sha256", json!("AB".repeat(32))), true),
        (with("/sample/md5", json!("zz")), false),
        (with("/sandbox", json!({})), false),
        (with("/artifacts", json!({})), false),
        (with("/artifacts", json!([])), true),
        (with("/artifacts", json!([{"kind": "evtx"}])), false),
        (with("/artifacts", json!([{"inline": null}])), false),
        (with("/artifacts", json!([{"inline": {"a": 1}, "key": "a"}])), false),
        (with("/artifacts", claim("a/b-c_d.e")), true),
        (with("/artifacts", claim("../etc/passwd")), false),
        (with("/artifacts", claim("/etc/passwd")), false),
        (with("/artifacts", claim("a//b")), false),
        (with("/artifacts", claim("a/./b")), false),
        (with("/artifacts", claim("a b")), false),
    ];
    for (completion, valid) in cases {
        let read = Completion::from_body(completion.to_string().as_bytes());
        assert_eq!(read.is_ok(), valid, "the reader: {completion}");
        assert_eq!(validator.is_valid(&completion), valid, "the schema: {completion}");
    }
}

#[test]
fn the_document_names_every_schema_and_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asyncapi.yml");
    let text = std::fs::read_to_string(path).expect("docs/asyncapi.yml");
    let document: Value = serde_yaml::from_str(&text).expect("YAML");
    assert_eq!(document["asyncapi"], "3.0.0");
    let names = sandsift_bus::Names::default();
    for (channel, exchange) in
        [("completions", &names.completions), ("analyses", &names.results), ("matches", &names.results)]
    {
        assert_eq!(document["channels"][channel]["bindings"]["amqp"]["exchange"]["name"], **exchange);
    }
    for message in ["completion", "analysis", "match"] {
        let payload = &document["components"]["messages"][message]["payload"]["schema"]["$ref"];
        let file = payload.as_str().and_then(|file| file.strip_prefix("./schemas/")).expect("a schema");
        assert!(schema(file)["properties"]["data"]["$ref"].is_string(), "{file}");
    }
}

#[test]
fn analyses_and_matches_of_the_samples_are_valid() {
    for analysis in analyse_samples().expect("analyses") {
        assert_valid("analysis.json", &serde_json::to_value(&analysis).expect("JSON"));
        for result in &analysis.sigma_analysis_results {
            let event = MatchEvent {
                id: sandsift_bus::id::matched(&analysis.completion.id, &analysis.ruleset.digest, &result.rule_id)
                    .to_string(),
                analysis: analysis.id.clone(),
                completion: analysis.completion.clone(),
                sample: analysis.sample.clone(),
                platform: analysis.platform.clone(),
                sandbox: analysis.sandbox.clone(),
                ruleset: analysis.ruleset.clone(),
                result: result.clone(),
            };
            assert_valid("match.json", &serde_json::to_value(&event).expect("JSON"));
        }
    }
}
