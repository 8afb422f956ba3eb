//! A client in another language, on the wire alone: `pika` publishes a completion and reads what comes of it.

use sandsift_bus::id;
use sandsift_tests::fleet::{Fleet, get};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn pika_publishes_a_completion_and_reads_its_results() {
    let python = std::env::var("SANDSIFT_PYTHON").unwrap_or_else(|_| "python3".into());
    let pika = Command::new(&python).args(["-c", "import pika"]).output();
    if !pika.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: pika is not there (pip install pika, and name its interpreter in SANDSIFT_PYTHON)");
        return;
    }
    let Some(fleet) = Fleet::start("pika_publishes_a_completion", env!("CARGO_BIN_EXE_fleet-worker")).await else {
        return;
    };
    let uri = fleet.broker.uri();
    let worker = fleet.worker(&uri, &[]);
    while get(worker.admin, "/readyz").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let sample = folder.join("../producer/samples/linux/cron-miner");
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(sample.join(name)).unwrap()).unwrap() };
    let mut completion = read("completion.json");
    completion["artifacts"] = json!([{"kind": "behaviour", "inline": read("behaviour.json")}]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), completion.to_string()).unwrap();
    let output = Command::new(&python)
        .arg(folder.join("interop/consumer.py"))
        .arg(&uri)
        .arg(file.path())
        .arg("match.linux.#")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (analysis, matches) = events.split_last().expect("an analysis at the end");
    let data = &analysis["event"]["data"];
    assert_eq!(analysis["event"]["type"], "sandsift.analysis.v1");
    assert_eq!(data["completion"]["id"], completion["id"]);
    let results = data["sigma_analysis_results"].as_array().unwrap();
    assert!(!results.is_empty() && results.len() == matches.len(), "one match event a result: {}", matches.len());
    let digest = data["ruleset"]["digest"].as_str().unwrap();
    for event in matches {
        assert!(event["key"].as_str().unwrap().starts_with("match.linux."));
        let rule = event["event"]["data"]["rule_id"].as_str().unwrap();
        let wanted = id::matched(completion["id"].as_str().unwrap(), digest, rule).to_string();
        assert_eq!(event["id"], json!(wanted), "the id is the documented one");
    }
}
