//! Real Windows logs against the rules that were written for them: SigmaHQ's regression data and CAPE's paired runs, where
//! they lie beside the project. Without them the tests say that they were skipped.

use sandsift_ingest::{Artifact, ArtifactReport, Config, Kind, Run, RunContext};
use sandsift_sigma::{Builder, Hit, Options, RuleSet, SourceFile, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !found.exists() {
        eprintln!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}

fn files(root: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn rules(root: &Path) -> RuleSet {
    let mut found = Vec::new();
    for folder in ["rules", "rules-emerging-threats", "rules-threat-hunting"] {
        files(&root.join(folder), "yml", &mut found);
    }
    let mut builder = Builder::new(Options::default());
    for path in &found {
        let text = std::fs::read(path).unwrap();
        builder.add(&SourceFile { source: "SigmaHQ", file: &path.to_string_lossy(), text: &text });
    }
    builder.build().0
}

/// Hits by rule id, and what reading came to.
fn scan(rules: &RuleSet, bytes: &[u8]) -> (BTreeMap<String, u64>, ArtifactReport) {
    let mut run = Run::new(Arc::new(Config::default()), RunContext::default());
    let (mut scratch, mut hits): (_, Vec<Hit>) = (rules.scratch(), Vec::new());
    let mut counts = BTreeMap::new();
    let report = run.read(&Artifact { index: 0, name: "log", kind: None, bytes }, &mut |record| {
        hits.clear();
        rules.matches(record.event, &mut scratch, &mut hits);
        for hit in &hits {
            *counts.entry(rules.rule(hit.rule).id.to_string()).or_insert(0) += 1;
        }
        ControlFlow::Continue(())
    });
    (counts, report)
}

fn match_count(info: &str) -> u64 {
    let count = info.lines().find_map(|l| l.trim().strip_prefix("match_count:"));
    count.and_then(|c| c.trim().parse().ok()).unwrap_or(1)
}

#[test]
fn every_log_of_the_regression_data_fires_its_own_rule() {
    let Some(root) = shared("sigmahq") else { return };
    let rules = rules(&root);
    for extension in ["evtx", "json"] {
        let mut logs = Vec::new();
        files(&root.join("regression_data"), extension, &mut logs);
        let mut missed = Vec::new();
        for log in &logs {
            let id = log.file_stem().unwrap().to_string_lossy().into_owned();
            let info = std::fs::read_to_string(log.with_file_name("info.yml")).unwrap();
            let (counts, report) = scan(&rules, &std::fs::read(log).unwrap());
            let left_out: u64 = report.skipped.iter().map(|s| s.count).sum();
            let (found, wanted) = (counts.get(&id).copied().unwrap_or(0), match_count(&info));
            if found < wanted || left_out > 0 {
                missed.push(format!("{}: {found} of {wanted}, skipped {:?}", log.display(), report.skipped));
            }
        }
        assert!(missed.is_empty(), "{} of {} logs:\n{}", missed.len(), logs.len(), missed.join("\n"));
    }
}

/// An event's fields as text, to compare what two formats say of one record; xmltodict, which makes CAPE's list, strips
/// white space around texts.
fn as_text(record: &sandsift_ingest::Record<'_>) -> BTreeSet<(String, String)> {
    let text = |value: Value<'_>| match value {
        Value::Null | Value::Empty => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Number(t) | Value::Str(t) => t.to_owned(),
    };
    record.event.iter().map(|(name, value)| (name.to_owned(), text(value).trim().to_owned())).collect()
}

#[test]
fn real_logs_say_the_same_as_through_another_reader() {
    let Some(root) = shared("") else { return };
    let mut logs = Vec::new();
    files(&root.join("sigmahq/regression_data"), "evtx", &mut logs);
    let mut contents: Vec<Vec<u8>> = logs.iter().map(|log| std::fs::read(log).unwrap()).collect();
    for run in ["9088f800", "491f359c", "6c5e685f"] {
        let zip = std::fs::File::open(root.join("sandbox/cape-paired").join(run).join("Report/evtx/evtx.zip")).unwrap();
        let mut zip = zip::ZipArchive::new(zip).unwrap();
        for index in 0..zip.len() {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut zip.by_index(index).unwrap(), &mut content).unwrap();
            contents.push(content);
        }
    }
    let mut compared = 0;
    for content in contents {
        let mut parser = evtx::EvtxParser::from_buffer(content.clone()).unwrap();
        let xml: String = parser.records().map(|record| record.unwrap().data).collect();
        let (ours, theirs) = (events(&content), events(xml.as_bytes()));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
        compared += ours.len();
    }
    assert!(compared > 8000, "{compared}");
}

/// An event by its record's id and its fields as text.
type Told = (Option<u64>, Vec<(String, String)>);

/// Every event of an artifact, sorted: readers may go through chunks in another order.
fn events(bytes: &[u8]) -> Vec<Told> {
    let mut run = Run::new(Arc::new(Config::default()), RunContext::default());
    let mut events = Vec::new();
    let report = run.read(&Artifact { index: 0, name: "log", kind: None, bytes }, &mut |record| {
        events.push((record.id, as_text(record).into_iter().collect()));
        ControlFlow::Continue(())
    });
    assert_eq!(report.skipped, []);
    events.sort();
    events
}

#[test]
fn paired_runs_say_the_same_in_evtx_and_in_the_reports_list_and_each_record_counts_once() {
    let Some(root) = shared("sandbox/cape-paired") else { return };
    for run_name in ["9088f800", "491f359c", "6c5e685f"] {
        let zip = std::fs::read(root.join(run_name).join("Report/evtx/evtx.zip")).unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(root.join(run_name).join("Report/reports/lite.json")).unwrap())
                .unwrap();
        let list = serde_json::to_vec(&report["sysmon"]).unwrap();
        let listed = report["sysmon"].as_array().unwrap().len() as u64;

        let collect = |run: &mut Run, name: &str, bytes: &[u8]| {
            let mut events = BTreeMap::new();
            let report = run.read(&Artifact { index: 0, name, kind: None, bytes }, &mut |record| {
                if record.channel == Some("Microsoft-Windows-Sysmon/Operational") {
                    events.insert(record.id.unwrap(), as_text(record));
                }
                ControlFlow::Continue(())
            });
            (events, report)
        };
        let config = Arc::new(Config::default());
        let mut alone = Run::new(Arc::clone(&config), RunContext::default());
        let (from_list, list_report) = collect(&mut alone, "sysmon list", &list);
        assert_eq!(list_report.records, listed, "{run_name}");

        let mut run = Run::new(config, RunContext::default());
        let (from_zip, report) = collect(&mut run, "evtx.zip", &zip);
        assert_eq!(report.kind, Some(Kind("evtx.zip".into())));
        assert_eq!((report.skipped.len(), report.notes.len()), (0, 0), "{:?}", report);
        assert!(from_zip.len() > 100, "{run_name}");
        for (id, event) in &from_zip {
            let other = from_list.get(id).unwrap_or_else(|| panic!("{run_name}: record {id} is in the log alone"));
            assert_eq!(event, other, "{run_name}: record {id}");
        }
        let (again, report) = collect(&mut run, "sysmon list", &list);
        assert_eq!(again.len() + from_zip.len(), from_list.len());
        let repeated = report.skipped.iter().find(|s| s.code == "duplicate-record").unwrap();
        assert_eq!(repeated.count, from_zip.len() as u64);
    }
}

#[test]
fn the_paired_run_with_bitsadmin_fires_its_two_rules() {
    let (Some(root), Some(run)) = (shared("sigmahq"), shared("sandbox/cape-paired/9088f800")) else { return };
    let rules = rules(&root);
    let (counts, _) = scan(&rules, &std::fs::read(run.join("Report/evtx/evtx.zip")).unwrap());
    let fired: Vec<&str> =
        rules.rules().iter().filter(|r| counts.contains_key(&r.id.to_string())).map(|r| &*r.metadata.title).collect();
    let bitsadmin = fired.iter().filter(|t| t.to_lowercase().contains("bitsadmin")).count();
    assert!(bitsadmin >= 2, "{fired:?}");
}
