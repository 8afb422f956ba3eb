//! Any bytes as a mapping file: compiled or refused, and what compiles reads a report, never a crash or a hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandsift_ingest::{Artifact, Config, Kind, Mappings, Run, RunContext};
use std::ops::ControlFlow;
use std::sync::Arc;

const REPORT: &[u8] = br#"{"runs":[{"pid":1,"exe":"C:\\a.exe","args":["a","b"],"files":[{"path":"/tmp/x","op":"write"}]}]}"#;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (mappings, _) = Mappings::load([("fuzz.yml", &*text)]);
    let kinds: Vec<String> = mappings.iter().flat_map(|m| m.kinds().map(str::to_owned)).take(4).collect();
    let config = Arc::new(Config { mappings: Arc::new(mappings), ..Config::default() });
    for kind in kinds {
        let kind = Kind(kind.into());
        let artifact = Artifact { index: 0, name: "fuzz", kind: Some(&kind), bytes: REPORT };
        Run::new(Arc::clone(&config), RunContext::default()).read(&artifact, &mut |_| ControlFlow::Continue(()));
    }
});
