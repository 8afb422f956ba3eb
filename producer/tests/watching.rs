//! What a user relies on when a folder is watched: what is finished goes out once, what is not waits, a restart changes
//! nothing.

use sandsift_bus::memory::Broker;
use sandsift_bus::message::Completion;
use sandsift_bus::{Backoff, Names, Supervisor, Topology, Transport};
use sandsift_producer::watch::{Event, Options, watch};
use sandsift_producer::{FileStore, Packer, samples};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::channel;

struct Bench {
    folder: tempfile::TempDir,
    broker: Broker,
}

impl Bench {
    fn new() -> Self {
        let broker = Broker::new();
        broker.declare(&Topology::new(&Names::default())).expect("a topology");
        let bench = Self { folder: tempfile::tempdir().expect("a folder"), broker };
        std::fs::create_dir(bench.root()).expect("a folder");
        bench
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("analyses")
    }

    /// Watches until `enough` events were told or a second passed; gives what was sent and skipped, by unit.
    async fn watch(&self, enough: usize) -> Vec<(String, bool)> {
        let options = Options {
            root: self.root(),
            journal: self.folder.path().join("state/journal.ndjson"),
            settle: Duration::from_millis(50),
            poll: Duration::from_millis(20),
        };
        let packer = Packer {
            store: Some(FileStore::new("fleet", self.folder.path().join("store"))),
            platform: Some("windows".to_owned()),
            ..Packer::default()
        };
        let backoff = Backoff { first: Duration::from_millis(1), cap: Duration::from_millis(5) };
        let mut supervisor = Supervisor::new(Arc::new(self.broker.clone()), backoff);
        let (stop, stopped) = channel(false);
        let mut seen = Vec::new();
        let publishing = sandsift_producer::Options::default();
        let mut tell = |event: Event| {
            match event {
                Event::Sent { unit, .. } => seen.push((unit, true)),
                Event::Skipped { unit, .. } => seen.push((unit, false)),
                other => panic!("{other:?}"),
            }
            if seen.len() >= enough {
                stop.send_replace(true);
            }
        };
        let watching = watch(&options, &packer, &mut supervisor, &publishing, stopped, &mut tell);
        // Nothing more may come when enough came; nothing at all is expected of some folders.
        if let Ok(outcome) = tokio::time::timeout(Duration::from_secs(1), watching).await {
            outcome.expect("a journal");
        }
        seen.sort();
        seen
    }

    async fn queued(&self) -> Vec<Completion> {
        let session = self.broker.connect().await.expect("a session");
        let mut completions = Vec::new();
        for platform in ["windows", "linux", "macos"] {
            while let Some(delivery) = session.get(&Names::default().queue(platform)).await.expect("a queue") {
                completions.push(Completion::from_body(&delivery.body).expect("a completion"));
                delivery.settle.ack().await.expect("an acknowledgement");
            }
        }
        completions
    }

    /// Copies a sample's event log into a folder of CAPE's layout.
    fn analysis(&self, name: &str) -> PathBuf {
        let unpacked = tempfile::tempdir().expect("a folder");
        samples::extract(unpacked.path()).expect("samples");
        let analysis = self.root().join(name);
        std::fs::create_dir_all(analysis.join("evtx")).expect("a folder");
        std::fs::create_dir_all(analysis.join("reports")).expect("a folder");
        std::fs::write(analysis.join("analysis.log"), "started").expect("a log");
        let from = unpacked.path().join("windows/service-implant/Security.evtx");
        std::fs::copy(from, analysis.join("evtx/Security.evtx")).expect("an artifact");
        analysis
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

#[tokio::test]
async fn an_analysis_of_cape_goes_out_when_its_report_is_there_and_only_once() {
    let bench = Bench::new();
    let analysis = bench.analysis("17");
    assert!(bench.watch(1).await.is_empty(), "there is no report yet");
    write(&analysis.join("reports/report.json"), r#"{"info": {"id": 17}}"#);
    assert_eq!(bench.watch(1).await, [("17".to_owned(), true)]);
    let queued = bench.queued().await;
    assert_eq!(queued.len(), 1);
    assert!(queued[0].artifacts.iter().any(|artifact| artifact.store.as_deref() == Some("fleet")), "{queued:?}");

    assert!(bench.watch(1).await.is_empty(), "a restart sends nothing again");
    write(&analysis.join("analysis.log"), "started, cleaned up");
    assert!(bench.watch(1).await.is_empty(), "a log is no artifact");
    assert!(bench.queued().await.is_empty());
}

#[tokio::test]
async fn files_that_are_being_written_wait_and_what_is_no_artifact_is_told_once() {
    let bench = Bench::new();
    write(&bench.root().join("run.evtx.part"), "half");
    write(&bench.root().join(".hidden"), "x");
    write(&bench.root().join("notes.bin"), "\u{1}\u{2}");
    assert_eq!(bench.watch(2).await, [("notes.bin".to_owned(), false)]);
    assert!(bench.queued().await.is_empty());
}

#[tokio::test]
async fn what_finished_while_the_watch_was_down_is_not_lost() {
    let bench = Bench::new();
    samples::extract(&bench.root()).expect("samples");
    // The samples' folders are those of platforms; their parts are the units.
    for platform in ["windows", "linux", "macos"] {
        for entry in std::fs::read_dir(bench.root().join(platform)).expect("a folder") {
            let entry = entry.expect("an entry");
            std::fs::rename(entry.path(), bench.root().join(entry.file_name())).expect("a move");
        }
        std::fs::remove_dir(bench.root().join(platform)).expect("an empty folder");
    }
    let all = samples::names().len();
    assert_eq!(bench.watch(2).await.iter().filter(|(_, sent)| *sent).count(), all);
    assert!(bench.watch(1).await.is_empty());
    let ids: std::collections::BTreeSet<String> = bench.queued().await.into_iter().map(|c| c.id).collect();
    assert_eq!(ids.len(), all);
}
