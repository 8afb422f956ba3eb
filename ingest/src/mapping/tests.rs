//! Holds the shipped mappings to their cases.

use super::Mappings;
use crate::{Artifact, ArtifactReport, Config, Platform, Run, RunContext};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn files(suffix: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/mappings");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the shipped mappings").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(suffix) && (suffix != ".yml" || !name.ends_with(".test.yml")) {
            files.push((name, std::fs::read_to_string(entry.path()).expect("a readable file")));
        }
    }
    files.sort();
    files
}

fn pairs(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
}

fn shipped() -> Mappings {
    let files = files(".yml");
    let (mappings, findings) = Mappings::load(pairs(&files));
    for finding in &findings {
        eprintln!("{}:{}: {}: {} ({})", finding.file, finding.line, finding.code, finding.message, finding.help);
    }
    assert!(findings.is_empty(), "the shipped mappings compile without a finding");
    mappings
}

#[test]
fn the_shipped_mappings_pass_their_cases() {
    let tests = files(".test.yml");
    let report = shipped().test(pairs(&tests));
    let mut failed = 0;
    for case in report.cases.iter().filter(|case| !case.failures.is_empty()) {
        failed += 1;
        eprintln!("{}: {}\n  {}", case.file, case.name, case.failures.join("\n  "));
    }
    assert_eq!(failed, 0, "of {} cases", report.cases.len());
}

/// Mappings of sandboxes' reports, whose cases lead along every path.
const REPORTS: &[&str] = &["cape", "cuckoo", "drakvuf", "virustotal"];

#[test]
fn every_shipped_mapping_has_cases_and_every_path_of_a_report_leads_somewhere_in_one() {
    let (mappings, tests) = (shipped(), files(".test.yml"));
    for mapping in mappings.iter() {
        let cases = mapping.file().replace(".yml", ".test.yml");
        assert!(tests.iter().any(|(name, _)| *name == cases), "rules/mappings/{cases} is missing");
    }
    let report = mappings.test(pairs(&tests));
    let of_reports = |never: &&super::NeverMatched| REPORTS.iter().any(|name| never.file.starts_with(name));
    let never: Vec<_> = report.never.iter().filter(of_reports).collect();
    for never in &never {
        eprintln!("{}:{}: '{}' led nowhere in any case", never.file, never.line, never.path);
    }
    assert!(never.is_empty(), "{} paths", never.len());
}

/// Reads one artifact through the whole run; what it came to and every event as text.
fn read(bytes: &[u8], platform: Option<Platform>) -> (ArtifactReport, Vec<String>) {
    let config = Arc::new(Config { mappings: Arc::new(shipped()), ..Config::default() });
    let mut run = Run::new(config, RunContext { platform, ..RunContext::default() });
    let mut events = Vec::new();
    let artifact = Artifact { index: 0, name: "report.json", kind: None, bytes };
    let report = run.read(&artifact, &mut |record| {
        let fields: Vec<_> = record.event.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        events.push(format!("{} {}", record.event.source().label(), fields.join(" ")));
        ControlFlow::Continue(())
    });
    (report, events)
}

/// Files of the data set beside the project that end with a name; none where it is absent.
fn shared(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sandbox").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        eprintln!("skipped: no ../shared/data/sandbox/{folder} beside the project");
    }
    found
}

/// Nothing is lost silently: each record is an event or is counted.
fn conserved(report: &ArtifactReport) -> bool {
    let skipped: u64 = report.skipped.iter().map(|s| s.count).sum();
    skipped <= report.records && report.skipped.iter().all(|s| !s.detail.is_empty())
}

#[test]
fn real_cape_reports_become_events_of_every_kind_they_hold() {
    let files = [shared("cape-reports", ".json.gz"), shared("cape-paired", "lite.json")].concat();
    for path in files {
        let bytes = std::fs::read(&path).expect("a readable file");
        let started = std::time::Instant::now();
        let (report, events) = read(&bytes, None);
        eprintln!("{} {:?} {:?}", path.display(), started.elapsed(), report);
        assert_eq!(report.kind.as_ref().map(|k| &*k.0), Some("cape"));
        assert_eq!(report.platform, Some(Platform::Windows));
        assert!(conserved(&report));
        let sysnative =
            |event: &&String| event.to_lowercase().contains("image=str(\"c:\\\\\\\\windows\\\\\\\\sysnative");
        assert_eq!(events.iter().find(sysnative), None, "the monitor's view of the system folder is undone");
        if std::env::var_os("SHOW_EVENTS").is_some() {
            let mut kinds = std::collections::HashMap::<String, u32>::new();
            for event in &events {
                let count = kinds.entry(event.split(' ').next().unwrap_or("").to_owned()).or_default();
                *count += 1;
                if *count <= 6 {
                    eprintln!("  {}", event.chars().take(600).collect::<String>());
                }
            }
        }
    }
}
