//! What every target of a format asks: small limits hold, and records in are records out and counted reasons.

use sandsift_ingest::{Artifact, Config, Kind, Limits, Run, RunContext};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reads bytes under a kind and holds the report to its promise.
pub fn read(kind: &'static str, bytes: &[u8]) {
    let limits = Limits {
        unpacked_bytes: 16 << 20,
        records: 10_000,
        record_bytes: 1 << 20,
        event_fields: 5_000,
        depth: 64,
        ..Limits::default()
    };
    let mut run = Run::new(Arc::new(Config { limits, ..Config::default() }), RunContext::default());
    let kind = Kind(kind.into());
    let mut events = 0u64;
    let artifact = Artifact { index: 0, name: "fuzz", kind: Some(&kind), bytes };
    let report = run.read(&artifact, &mut |record| {
        assert!(record.event.len() <= 5_000);
        events += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(events, report.events.values().sum::<u64>());
    let left_out: u64 = report.skipped.iter().map(|s| s.count).sum();
    assert!(report.records <= events + left_out, "{report:?}");
    run.finish();
}
