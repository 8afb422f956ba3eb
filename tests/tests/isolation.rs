//! What a completion does to its decoder costs that completion alone.

use sandsift_bus::message::{Artifact, Completion, Sample, Sandbox};
use sandsift_worker::execute::{Executor, Job};
use sandsift_worker::isolate::{Children, Limits, Program};
use std::time::{Duration, Instant};

fn children() -> Children {
    let limits = Limits {
        memory_bytes: 256 << 20,
        cpu: Duration::from_secs(2),
        wall: Duration::from_secs(6),
        start: Duration::from_secs(60),
    };
    let program = Program { path: env!("CARGO_BIN_EXE_isolated").into(), arguments: Vec::new() };
    Children::start(program, limits).expect("a child starts")
}

fn job(what: &str) -> Job {
    Job {
        completion: Completion {
            id: format!("job-{what}"),
            sample: Sample { sha256: "0".repeat(64), name: Some(what.into()), ..Sample::default() },
            platform: "linux".into(),
            sandbox: Sandbox::default(),
            started: None,
            finished: None,
            root_uid: None,
            parent_uid: None,
            artifacts: Vec::<Artifact>::new(),
        },
        artifacts: vec![vec![7; 1 << 20], Vec::new()],
        attempt: 1,
        logsource: None,
        worker: "test".into(),
        input: String::new(),
    }
}

/// What the child told, and its process.
fn told(children: &Children, what: &str) -> (String, u64) {
    let analysis = children.execute(job(what)).unwrap_or_else(|error| panic!("{what}: {error}"));
    (analysis.events["told"].as_str().unwrap().to_owned(), analysis.events["pid"].as_u64().unwrap())
}

#[test]
fn a_child_serves_one_job_after_another() {
    let children = children();
    assert_eq!(children.ruleset().digest, "hostile");
    let (first, pid) = told(&children, "good");
    assert_eq!(first, "1048576 bytes");
    assert_eq!(told(&children, "good").1, pid, "the same process");
    assert_eq!(children.started(), 1);
}

#[test]
fn what_kills_a_child_fails_its_own_job_with_its_own_code() {
    let children = children();
    for (what, code) in [
        ("panic", "executor-failed"),
        ("exit", "executor-failed"),
        ("abort", "executor-signal"),
        ("stack", "executor-signal"),
        ("memory", "executor-memory"),
        ("hang", "executor-timeout"),
        ("spin", "executor-timeout"),
    ] {
        let started = Instant::now();
        let error = children.execute(job(what)).unwrap_err();
        assert_eq!(error.code, code, "{what}: {error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{what} took {:?}", started.elapsed());
        assert_eq!(told(&children, "good").0, "1048576 bytes", "the next job is served after {what}");
    }
}

#[test]
fn neighbours_are_served_while_one_hangs() {
    let children = children();
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| children.execute(job("hang")));
        let started = Instant::now();
        for _ in 0..20 {
            told(&children, "good");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert!(hanging.join().unwrap().is_err());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_taken_over_decoder_reaches_nothing() {
    let children = children();
    for what in ["files", "write", "network", "process", "thread"] {
        assert_eq!(told(&children, what).0, "PermissionDenied", "{what}");
    }
    assert_eq!(children.started(), 1, "being refused kills no child");
}

#[test]
fn a_reload_serves_by_new_children_only() {
    let children = children();
    let (_, before) = told(&children, "good");
    children.reload().unwrap();
    let (_, after) = told(&children, "good");
    assert_ne!(before, after);
}
