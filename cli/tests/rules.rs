//! `rules` and `mappings` on the real binary.

mod kit;

use kit::{CRONTAB, Folder, sandsift};
use serde_json::Value;

#[test]
fn check_names_file_line_code_and_remedy() {
    let folder = Folder::new();
    let good = folder.write("good.yml", CRONTAB);
    sandsift(["rules", "check", "--errors", &good]).ends_with(0);
    let bad = folder.write("bad.yml", CRONTAB.replace("|endswith", "|endswiht"));
    let run = sandsift(["rules", "check", &bad]).ends_with(1);
    assert!(run.out().contains("unknown-modifier") && run.out().contains("endswith"), "{}", run.out());
    let run = sandsift(["rules", "check", "--format", "json", &bad]).ends_with(1);
    let findings: Value = serde_json::from_str(&run.out()).unwrap();
    let finding = findings.as_array().unwrap().iter().find(|finding| finding["code"] == "unknown-modifier").unwrap();
    assert_eq!((&finding["severity"], &finding["line"]), (&"error".into(), &12.into()));
    let run = sandsift(["rules", "check", "--format", "sarif", &bad]).ends_with(1);
    let sarif: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn what_ships_passes_its_checks_and_its_cases() {
    sandsift(["rules", "check", "--errors"]).ends_with(0);
    let run = sandsift(["rules", "test"]).ends_with(0);
    assert!(run.out().contains(" 0 failed"), "{}", run.out());
    sandsift(["mappings", "check"]).ends_with(0);
    sandsift(["mappings", "test"]).ends_with(0);
}

#[test]
fn list_filters() {
    let all = sandsift(["rules", "list", "--format", "ndjson"]).ends_with(0).lines();
    assert!(all.len() >= 40);
    let linux = sandsift(["rules", "list", "--format", "ndjson", "--logsource", "product=linux", "--level", "high"]);
    let linux = linux.ends_with(0).lines();
    assert!(!linux.is_empty() && linux.len() < all.len());
    for rule in &linux {
        assert_eq!(rule["logsource"]["product"], "linux");
        assert!(["high", "critical"].contains(&rule["level"].as_str().unwrap()));
        assert_eq!(rule["licence"], "Apache-2.0");
    }
}

#[test]
fn cases_beside_a_rule_are_run_and_a_failure_is_explained() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let cases = "- name: lists\n  match: true\n  event: {Image: /usr/bin/crontab, CommandLine: crontab -l}\n\
                 - name: wrong\n  match: true\n  event: {Image: /usr/bin/crontab, CommandLine: crontab -r}\n";
    folder.write("rule.test.yml", cases);
    let report = folder.path().join("junit.xml");
    let run = sandsift(["rules", "test", &rule, "--junit", &report.display().to_string()]).ends_with(1);
    assert!(run.out().contains("FAIL") && run.out().contains("wrong"), "{}", run.out());
    assert!(run.out().contains("2 cases: 1 passed, 1 failed"), "{}", run.out());
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"1\""), "{report}");
}

#[test]
fn explain_says_what_decided() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let yes = r#"{"Image": "/usr/bin/crontab", "CommandLine": "crontab -l"}"#;
    let run = sandsift(["rules", "explain", &rule, yes]).ends_with(0);
    assert!(run.out().contains("matches") && run.out().contains("Image"), "{}", run.out());
    let no = r#"{"Image": "/usr/bin/crontab", "CommandLine": "crontab -r"}"#;
    let run = sandsift(["rules", "explain", &rule, no]).ends_with(1);
    assert!(run.out().contains("does not match"), "{}", run.out());
    sandsift(["rules", "explain", "no such rule", yes]).ends_with(2);
}

#[test]
fn coverage_counts_and_writes_a_layer() {
    let folder = Folder::new();
    let layer = folder.path().join("layer.json").display().to_string();
    let run = sandsift(["rules", "coverage", "--format", "json", "--navigator", &layer]).ends_with(0);
    let report: Value = serde_json::from_str(&run.out()).unwrap();
    assert!(report["fed"].as_u64().unwrap() > 0 && report["fed"].as_u64() <= report["rules"].as_u64());
    let layer: Value = serde_json::from_slice(&std::fs::read(layer).unwrap()).unwrap();
    assert_eq!(layer["domain"], "enterprise-attack");
    assert!(!layer["techniques"].as_array().unwrap().is_empty());
}
