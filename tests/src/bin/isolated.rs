//! A child executor that misbehaves as its job asks, for the tests of isolation: once confined it tries what a decoder
//! that an attacker has taken over would try, and tells how far it got.

use sandsift_bus::message::{Analysis, CompletionRef, RuleSetRef, RunInfo, Stats};
use sandsift_worker::execute::{ExecuteError, Executor, Job};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

struct Hostile;

impl Executor for Hostile {
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError> {
        let what = job.completion.sample.name.clone().unwrap_or_default();
        let told = match what.as_str() {
            "panic" => panic!("as asked"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            "hang" => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            "spin" => loop {
                std::hint::spin_loop();
            },
            "memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 16 << 20]);
                }
            }
            "stack" => format!("{}", recurse(1)),
            "files" => tried(std::fs::read("/etc/hostname").map(drop)),
            "write" => tried(std::fs::write("/tmp/sandsift-escaped", b"x")),
            "network" => tried(std::net::TcpStream::connect(("127.0.0.1", 9)).map(drop)),
            "process" => tried(std::process::Command::new("/bin/true").status().map(drop)),
            "thread" => tried(std::thread::Builder::new().spawn(|| {}).map(drop)),
            _ => format!("{} bytes", job.artifacts.iter().map(Vec::len).sum::<usize>()),
        };
        Ok(analysis(&job, told))
    }

    fn ruleset(&self) -> RuleSetRef {
        RuleSetRef { digest: "hostile".into(), rules: 1 }
    }
}

fn tried(outcome: std::io::Result<()>) -> String {
    match outcome {
        Ok(()) => "succeeded".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = [depth; 1024];
    std::hint::black_box(&frame);
    recurse(depth + 1) + frame[usize::try_from(depth % 1024).unwrap_or(0)]
}

fn analysis(job: &Job, told: String) -> Analysis {
    let completion = &job.completion;
    Analysis {
        id: completion.id.clone(),
        completion: CompletionRef { id: completion.id.clone(), ..CompletionRef::default() },
        sample: completion.sample.clone(),
        platform: completion.platform.clone(),
        sandbox: completion.sandbox.clone(),
        sigma_analysis_results: Vec::new(),
        sigma_analysis_stats: Stats::default(),
        sigma_analysis_summary: BTreeMap::new(),
        informational: 0,
        stats_by_origin: BTreeMap::new(),
        events: json!({ "told": told, "pid": std::process::id() }),
        incomplete: Vec::new(),
        artifacts: Vec::new(),
        ruleset: self::Executor::ruleset(&Hostile),
        behaviour: None,
        run: RunInfo::default(),
    }
}

fn main() -> ExitCode {
    match sandsift_worker::isolate::serve(&Hostile) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
