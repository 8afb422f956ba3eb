//! The binary on real data that lies beside the project: SigmaHQ's regression suite and paired runs of CAPE. Skipped,
//! and said so, where the data is absent.

mod kit;

use kit::{Folder, fired, sandsift, shared, sigmahq};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn files(folder: &Path, name: &dyn Fn(&str) -> bool, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, name, found);
        } else if name(&path.file_name().unwrap_or_default().to_string_lossy()) {
            found.push(path);
        }
    }
}

#[test]
fn every_log_of_the_regression_suite_fires_its_own_rule() {
    let (Some(rules), Some(suite)) = (sigmahq(), shared("sigmahq/regression_data")) else { return };
    let mut logs = Vec::new();
    files(&suite, &|name| name.ends_with(".evtx"), &mut logs);
    let arguments =
        ["scan".to_owned()].into_iter().chain(rules).chain(logs.iter().map(|log| log.display().to_string()));
    let analyses = sandsift(arguments).ends_with(0).lines();
    assert_eq!(analyses.len(), logs.len());
    let by_input: BTreeMap<&str, &Value> =
        analyses.iter().map(|analysis| (analysis["run"]["input"].as_str().unwrap(), analysis)).collect();
    let mut missed = Vec::new();
    for log in &logs {
        let analysis = by_input[log.display().to_string().as_str()];
        let rule = log.file_stem().unwrap().to_string_lossy();
        let info = std::fs::read_to_string(log.with_file_name("info.yml")).expect("info.yml");
        let wanted = info.lines().find_map(|line| line.trim().strip_prefix("match_count:")?.trim().parse::<u64>().ok());
        let results = analysis["sigma_analysis_results"].as_array().unwrap();
        let count =
            results.iter().find(|result| result["rule_id"] == *rule).map_or(0, |r| r["count"].as_u64().unwrap());
        if count < wanted.unwrap_or(1) {
            missed.push((log.clone(), count));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn the_regression_suite_passes_by_rules_test_too() {
    let Some(rules) = sigmahq() else { return };
    let arguments = ["rules", "test"].map(str::to_owned).into_iter().chain(rules);
    let run = sandsift(arguments).ends_with(0);
    assert!(run.out().contains(" 0 failed"), "{}", run.out());
}

#[test]
fn every_rule_loads() {
    let Some(rules) = sigmahq() else { return };
    let arguments = ["rules", "check", "--errors"].map(str::to_owned).into_iter().chain(rules);
    sandsift(arguments).ends_with(0);
}

#[test]
fn paired_runs_scan_and_the_downloads_by_bitsadmin_are_not_the_sandbox_s() {
    let (Some(rules), Some(runs)) = (sigmahq(), shared("sandbox/cape-paired")) else { return };
    let mut zips = Vec::new();
    files(&runs, &|name| name == "evtx.zip", &mut zips);
    let arguments =
        ["scan".to_owned()].into_iter().chain(rules).chain(zips.iter().map(|zip| zip.display().to_string()));
    let analyses = sandsift(arguments).ends_with(0).lines();
    assert_eq!(analyses.len(), zips.len());
    for analysis in &analyses {
        assert_eq!(analysis["platform"], "windows");
        assert!(analysis["events"]["total"].as_u64().unwrap() > 100);
        if !analysis["run"]["input"].as_str().unwrap().contains("9088f800") {
            continue;
        }
        for rule in ["d059842b-6b9d-4ed1-b5c3-5b89143c6ede", "5b80a791-ad9b-4b75-bcc1-ad4e1e89c200"] {
            assert!(fired(analysis).contains(&rule), "{:?}", fired(analysis));
            let results = analysis["sigma_analysis_results"].as_array().unwrap();
            let result = results.iter().find(|result| result["rule_id"] == rule).unwrap();
            assert!(result["origins"].get("sandbox").is_none(), "{}", result["origins"]);
            let context = &result["match_context"][0];
            assert_eq!(context["channel"], "Microsoft-Windows-Sysmon/Operational");
            assert!(context["values"]["Image"].as_str().unwrap().to_lowercase().ends_with("\\bitsadmin.exe"));
        }
    }
}

#[test]
fn a_truncated_log_matches_what_is_readable_and_says_what_was_skipped() {
    let (Some(rules), Some(suite)) = (sigmahq(), shared("sigmahq/regression_data")) else { return };
    let mut logs = Vec::new();
    files(&suite, &|name| name.ends_with(".evtx"), &mut logs);
    logs.sort();
    let log = logs.first().expect("a log");
    let bytes = std::fs::read(log).expect("a log");
    let folder = Folder::new();
    // Within the first chunk's records: its header is whole, most of its records are not.
    let cut = folder.write("cut.evtx", &bytes[..6_000]);
    let arguments = ["scan".to_owned()].into_iter().chain(rules).chain([cut]);
    let run = sandsift(arguments).ends_with(0);
    let analysis = &run.lines()[0];
    assert!(!analysis["incomplete"].as_array().unwrap().is_empty(), "{analysis}");
}
