//! Any bytes as a report, through every shipped mapping: the first byte picks which, so that each is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandsift_ingest::{Artifact, Config, Kind, Limits, Mappings, Run, RunContext};
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/mappings");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the shipped mappings").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") && !name.ends_with(".test.yml") {
            files.push((name, std::fs::read_to_string(entry.path()).expect("a readable file")));
        }
    }
    files.sort();
    let (mappings, findings) = Mappings::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    assert!(findings.is_empty(), "{findings:?}");
    let limits = Limits { record_bytes: 1 << 16, records: 10_000, ..Limits::default() };
    Arc::new(Config { mappings: Arc::new(mappings), limits, ..Config::default() })
});

fuzz_target!(|data: &[u8]| {
    let Some((pick, bytes)) = data.split_first() else { return };
    // What is past the last mapping is left to recognition by content.
    let kind = CONFIG.mappings.iter().nth(usize::from(*pick)).and_then(|m| m.kinds().next().map(str::to_owned));
    let kind = kind.map(|kind| Kind(kind.into()));
    let artifact = Artifact { index: 0, name: "fuzz", kind: kind.as_ref(), bytes };
    let report = Run::new(Arc::clone(&CONFIG), RunContext::default()).read(&artifact, &mut |_| ControlFlow::Continue(()));
    let skipped: u64 = report.skipped.iter().map(|s| s.count).sum();
    assert!(skipped <= report.records, "{report:?}");
});
