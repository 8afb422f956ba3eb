//! Rules and events with the answer that the specification gives, from the data beside the project.

mod support;

use sandsift_sigma::{RuleIndex, Severity};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

/// Every case derived from the specification's text.
#[test]
fn edge_cases() {
    let Some(path) = support::data("vectors/edge_cases.ndjson") else { return };
    let mut wrong = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let (set, diagnostics) = support::rules(case["rule"].as_str().unwrap());
        let event = support::event(&case["event"], None, Some("test"), None);
        let fires = !support::fired(&set, &event).is_empty();
        if set.rules().len() != 1 || Some(fires) != case["expect"].as_bool() {
            wrong.push(format!("{}: fires {fires}, {diagnostics:?}", case["source"]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Events made to fire a rule of SigmaHQ, or just not to.
///
/// The answers are those of a reference that reads `windash` as `-` and `/` alone; rules where the specification's
/// five characters decide are listed in `docs/sigma.md`.
#[test]
fn sigmahq_witnesses() {
    let Some(path) = support::data("vectors/sigmahq_witness.ndjson.gz") else { return };
    let Some(files) = support::sigmahq() else { return };
    let (set, _) = support::build(&files, sandsift_sigma::Options::default());
    let by_id: HashMap<String, u32> =
        set.rules().iter().enumerate().map(|(i, rule)| (rule.id.to_string(), i as u32)).collect();
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut absent = BTreeSet::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = case["rule_id"].as_str().unwrap();
        let Some(&index) = by_id.get(id) else {
            absent.insert(id.to_owned());
            continue;
        };
        let rule = set.rule(RuleIndex(index));
        let source = &rule.logsource;
        let event = support::event(
            &case["event"],
            source.product.as_deref(),
            source.category.as_deref(),
            source.service.as_deref(),
        );
        let fires = sandsift_sigma::reference::fires(rule, &event);
        if Some(fires) != case["expect"].as_bool() {
            wrong.entry(id.to_owned()).or_default().push(format!("{} fires {fires}: {}", case["case"], case["event"]));
        }
    }
    eprintln!("rules that are not among the files: {absent:?}");
    let shown: Vec<String> = wrong.iter().map(|(id, cases)| format!("{id}\n  {}", cases.join("\n  "))).collect();
    assert!(wrong.is_empty(), "{} rules differ:\n{}", wrong.len(), shown.join("\n"));
}

/// Every rule of SigmaHQ loads.
#[test]
fn sigmahq_loads() {
    let Some(files) = support::sigmahq() else { return };
    let (set, diagnostics) = support::build(&files, sandsift_sigma::Options::default());
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(set.rules().len(), files.len());
    let mut by_code: BTreeMap<_, usize> = BTreeMap::new();
    for diagnostic in &diagnostics {
        *by_code.entry((diagnostic.severity, diagnostic.code)).or_default() += 1;
    }
    eprintln!("{by_code:#?}");
}
