//! Reports as they come: real ones with SigmaHQ's rules, and broken ones of every kind.

use sandsift_ingest::{Artifact, ArtifactReport, Config, Mappings, Run, RunContext};
use sandsift_sigma::{Builder, Options, RuleSet, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

fn config() -> Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    let load = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/mappings");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the shipped mappings").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".yml") && !name.ends_with(".test.yml") {
                files.push((name, std::fs::read_to_string(entry.path()).expect("a readable file")));
            }
        }
        let (mappings, _) = Mappings::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        Arc::new(Config { mappings: Arc::new(mappings), ..Config::default() })
    };
    Arc::clone(CONFIG.get_or_init(load))
}

/// Reads an artifact; what it came to, and each event's label with its fields.
fn read(bytes: &[u8], mut each: impl FnMut(&sandsift_ingest::Record<'_>)) -> ArtifactReport {
    let artifact = Artifact { index: 0, name: "report", kind: None, bytes };
    Run::new(config(), RunContext::default()).read(&artifact, &mut |record| {
        each(record);
        ControlFlow::Continue(())
    })
}

fn count(bytes: &[u8]) -> (ArtifactReport, usize) {
    let mut events = 0;
    let report = read(bytes, |_| events += 1);
    (report, events)
}

fn skipped(report: &ArtifactReport, code: &str) -> u64 {
    report.skipped.iter().find(|s| s.code == code).map_or(0, |s| s.count)
}

/// A path of the data set beside the project; the test that asks for it is skipped without.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !path.exists() {
        eprintln!("skipped: no ../shared/data beside the project");
        return None;
    }
    Some(path)
}

/// SigmaHQ's rules for Windows.
fn sigmahq() -> Option<&'static RuleSet> {
    static RULES: OnceLock<Option<RuleSet>> = OnceLock::new();
    let load = || {
        let mut builder = Builder::new(Options::default());
        let mut folders = vec![shared("sigmahq/rules/windows")?];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).ok()?.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "yml") {
                    let (file, text) = (path.to_string_lossy().into_owned(), std::fs::read(&path).ok()?);
                    builder.add(&SourceFile { source: "SigmaHQ", file: &file, text: &text });
                }
            }
        }
        Some(builder.build().0)
    };
    RULES.get_or_init(load).as_ref()
}

/// How often each rule fires on an artifact, by its title.
fn titles(rules: &RuleSet, bytes: &[u8]) -> BTreeMap<String, u32> {
    let (mut scratch, mut hits) = (rules.scratch(), Vec::new());
    let mut titles = BTreeMap::new();
    read(bytes, |record| {
        hits.clear();
        rules.matches(record.event, &mut scratch, &mut hits);
        for hit in &hits {
            *titles.entry(rules.rule(hit.rule).metadata.title.clone()).or_insert(0) += 1;
            if std::env::var_os("SHOW_MATCHES").is_some() {
                let fields: Vec<_> = record.event.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let title = &rules.rule(hit.rule).metadata.title;
                eprintln!("  {title} :: {}", fields.join(" ").chars().take(420).collect::<String>());
            }
        }
    });
    titles
}

#[test]
fn the_monitors_view_of_the_system_folder_fires_no_rule_about_masquerading() {
    let (Some(rules), Some(folder)) = (sigmahq(), shared("sandbox/cape-reports")) else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let bytes = std::fs::read(entry.path()).expect("a readable file");
        if !entry.file_name().to_string_lossy().ends_with(".json.gz") {
            continue;
        }
        seen += 1;
        let titles = titles(rules, &bytes);
        eprintln!("{}: {titles:?}", entry.file_name().to_string_lossy());
        for wrong in ["Masquerading", "Sysnative", "Location Anomaly", "Uncommon Svchost", "Suspicious Parent Process"]
        {
            assert!(!titles.keys().any(|title| title.contains(wrong)), "'{wrong}' in {titles:?}");
        }
    }
    assert!(seen > 0, "the data set has reports");
}

#[test]
fn a_cape_report_tells_what_its_own_event_log_tells() {
    let (Some(rules), Some(run)) = (sigmahq(), shared("sandbox/cape-paired/9088f800/Report")) else { return };
    let report = titles(rules, &std::fs::read(run.join("reports/lite.json")).expect("a readable file"));
    let log = titles(rules, &std::fs::read(run.join("evtx/evtx.zip")).expect("a readable file"));
    eprintln!("report {report:?}\nlog {log:?}");
    // The two that this sample is for, and all that Sysmon's list and Sysmon's log share.
    let bitsadmin: BTreeSet<_> = report.keys().filter(|title| title.to_lowercase().contains("bitsadmin")).collect();
    assert!(bitsadmin.len() >= 2, "{report:?}");
    assert!(bitsadmin.iter().all(|title| log.contains_key(*title)), "{log:?}");
}

#[test]
fn drakvufs_log_and_the_file_objects_are_read_to_their_end() {
    let Some(folder) = shared("sandbox") else { return };
    for (path, kind) in [("other", "drakvuf"), ("virustotal", "virustotal-file")] {
        for entry in std::fs::read_dir(folder.join(path)).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.contains(".json") && !name.contains(".log") {
                continue;
            }
            let bytes = std::fs::read(entry.path()).expect("a readable file");
            let mut partial = true;
            let report = read(&bytes, |record| partial &= record.partial);
            eprintln!("{name}: {report:?}");
            assert_eq!(report.kind.as_ref().map(|k| &*k.0), Some(kind), "{name}");
            assert_eq!(skipped(&report, "record-unreadable"), 0, "{name}");
            assert!(kind == "drakvuf" || partial, "contexts of another engine's matches are parts of events");
        }
    }
}

const REPORT: &str = r#"{"processes_created":["/bin/a","/bin/b"],"files_written":["/tmp/x"]}"#;

#[test]
fn a_report_cut_anywhere_gives_what_stands_before_the_cut() {
    let whole = count(REPORT.as_bytes()).1;
    assert_eq!(whole, 3);
    for cut in 0..REPORT.len() {
        let (report, events) = count(&REPORT.as_bytes()[..cut]);
        assert!(events <= whole, "at {cut}");
        let counted: u64 = report.skipped.iter().map(|s| s.count).sum();
        assert!(cut == 0 || counted > 0 || !report.notes.is_empty(), "the cut at {cut} is told: {report:?}");
    }
    let (report, events) = count(&REPORT.as_bytes()[..REPORT.len() - 3]);
    assert_eq!((events, skipped(&report, "document-truncated")), (2, 1), "{report:?}");
}

#[test]
fn marks_encodings_comments_and_pythons_notation_are_read_through() {
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(REPORT.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let python = REPORT.replace('"', "'");
    let cases: [(&str, Vec<u8>); 6] = [
        ("a mark of UTF-8", [b"\xEF\xBB\xBF", REPORT.as_bytes()].concat()),
        ("UTF-16", utf16),
        ("comments before", format!("# exported by hand\n// twice\n{REPORT}").into_bytes()),
        ("Python's notation", python.into_bytes()),
        ("Latin-1 in a path", REPORT.replace("/tmp/x", "/tmp/\u{1}").replace('\u{1}', "x").into_bytes()),
        ("a lone surrogate", REPORT.replace("/tmp/x", "/tmp/\\udc80").into_bytes()),
    ];
    for (what, bytes) in cases {
        let (report, events) = count(&bytes);
        assert_eq!(events, 3, "{what}: {report:?}");
    }
    let mut latin = REPORT.replace("/tmp/x", "/tmp/?").into_bytes();
    let at = latin.iter().position(|b| *b == b'?').expect("the mark");
    latin[at] = 0xE9;
    let (report, events) = count(&latin);
    assert_eq!(events, 3);
    assert_eq!(report.notes.iter().find(|n| n.code == "text-repaired").map(|n| n.count), Some(1));
}

#[test]
fn reports_behind_each_other_are_read_and_a_broken_one_costs_itself() {
    let (report, events) = count(format!("{REPORT}\n{REPORT}{REPORT}\n").as_bytes());
    assert_eq!(events, 9, "{report:?}");
    let (report, events) = count(format!("{REPORT}\n{{\"processes_created\":[\"/bin/\n{REPORT}\n").as_bytes());
    assert_eq!((events, skipped(&report, "record-unreadable")), (6, 1), "{report:?}");
}

#[test]
fn bombs_cost_little_and_what_stands_beside_them_is_read() {
    let nest = format!(r#"{{"x":{}{},"files_written":["/tmp/x"]}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(count(nest.as_bytes()).1, 1);
    let deep = format!(
        r#"{{"files_dropped":[{}1{}],"files_written":["/tmp/x"]}}"#,
        r#"{"path":"#.repeat(100),
        "}".repeat(100)
    );
    let (report, events) = count(deep.as_bytes());
    assert_eq!(events, 1, "{report:?}");
    let long = format!(r#"{{"files_written":["/tmp/{}","/tmp/x"]}}"#, "a".repeat(20 << 20));
    let (report, events) = count(long.as_bytes());
    assert!(events >= 1, "{report:?}");
}

#[test]
fn cycles_and_pids_used_twice_end() {
    let text = r#"{"processes_list":[{"process_id":"1","parent_process_id":"2","name":"/bin/a"},
        {"process_id":"2","parent_process_id":"1","name":"/bin/b"},{"process_id":"2","parent_process_id":"2","name":"/bin/c"}]}"#;
    assert_eq!(count(text.as_bytes()).1, 3);
}

#[test]
fn flipped_cut_and_doubled_bytes_are_survived_and_accounted_for() {
    let seeds: [&[u8]; 4] = [
        REPORT.as_bytes(),
        br#"{"info":{"version":"2.4-CAPE"},"behavior":{"processes":[{"process_id":1,"parent_id":0,"module_path":"C:\\a.exe","calls":[{"api":"NtOpenFile","status":true,"arguments":[{"name":"FileName","value":"C:\\x"}]}]}],"summary":{"write_files":["C:\\y"]}}}"#,
        br#"{"Plugin":"regmon","TimeStamp":"1716999135.1","PID":1,"PPID":2,"ProcessName":"\\Device\\HarddiskVolume2\\a.exe","Method":"NtSetValueKey","Key":"\\REGISTRY\\MACHINE\\x","ValueName":"v","Value":"d"}"#,
        br#"{"data":[{"type":"file","attributes":{"sigma_analysis_results":[{"match_context":[{"values":{"EventID":"1","Image":"C:\\a.exe"}}]}]}}]}"#,
    ];
    // A fixed generator, so that a failure can be seen again.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..4_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] ^= 1 << next(8),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.extend_from_within(at..),
                _ => bytes[at] = b"{}[]\",:\\0\n'"[next(11)],
            }
        }
        let (report, _) = count(&bytes);
        let skipped: u64 = report.skipped.iter().map(|s| s.count).sum();
        assert!(skipped <= report.records, "round {round}: {report:?}");
    }
}
