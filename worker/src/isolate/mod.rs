//! Owns the executor in child processes: what a completion does to its decoder costs that completion alone.
//!
//! Children are the same binary under a hidden subcommand. Each reads its rules, confines itself, and then takes one job
//! after another over pipes: no network, no files, bounded memory, processor time and wall time. A child that fails in
//! any other way than by an answer is killed and replaced, and its job fails with what killed it.

mod child;
#[cfg(target_os = "linux")]
mod confine;
mod frame;

pub use child::serve;

use crate::error::Code;
use crate::execute::{ExecuteError, Executor, Job};
use sandsift_bus::message::{Analysis, RuleSetRef};
use sandsift_bus::units;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of a child's last words that are kept.
const LAST_WORDS: usize = 4 << 10;

/// The bounds on one child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of address space beyond what its rules take.
    #[serde(with = "units::size")]
    pub memory_bytes: u64,
    /// Processor time for one job.
    #[serde(with = "units::duration")]
    pub cpu: Duration,
    /// Time for one job by the clock.
    #[serde(with = "units::duration")]
    pub wall: Duration,
    /// Time for a child to read its rules.
    #[serde(with = "units::duration")]
    pub start: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(300),
            wall: Duration::from_secs(300),
            start: Duration::from_secs(120),
        }
    }
}

/// How to start a child: a program and its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program; this binary.
    pub path: std::path::PathBuf,
    /// The hidden subcommand and what tells it its rules.
    pub arguments: Vec<std::ffi::OsString>,
}

/// Runs each job in a child process of its own at a time.
#[derive(Debug)]
pub struct Children {
    program: Program,
    limits: Limits,
    state: Mutex<State>,
    started: AtomicU64,
}

#[derive(Debug)]
struct State {
    idle: Vec<Process>,
    /// Children of an older generation read older rules: they finish their job and are not used again.
    generation: u64,
    ruleset: RuleSetRef,
}

impl Children {
    /// Starts the first child, which tells the rule set.
    pub fn start(program: Program, limits: Limits) -> Result<Self, ExecuteError> {
        let (process, ruleset) = Process::start(&program, &limits, 0)?;
        Ok(Self {
            program,
            limits,
            state: Mutex::new(State { idle: vec![process], generation: 0, ruleset }),
            started: AtomicU64::new(1),
        })
    }

    /// Takes up changed rules: a new child must read them first, and the old ones serve until it has.
    pub fn reload(&self) -> Result<RuleSetRef, ExecuteError> {
        let generation = self.lock().generation + 1;
        let (process, ruleset) = Process::start(&self.program, &self.limits, generation)?;
        self.started.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.generation = generation;
        state.ruleset = ruleset.clone();
        state.idle = vec![process];
        Ok(ruleset)
    }

    /// How many children were started so far.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Process, ExecuteError> {
        let (idle, generation) = {
            let mut state = self.lock();
            (state.idle.pop(), state.generation)
        };
        match idle {
            Some(process) => Ok(process),
            None => {
                let (process, _) = Process::start(&self.program, &self.limits, generation)?;
                self.started.fetch_add(1, Ordering::Relaxed);
                Ok(process)
            }
        }
    }

    fn give(&self, process: Process) {
        let mut state = self.lock();
        if process.generation == state.generation {
            state.idle.push(process);
        }
    }
}

impl Executor for Children {
    fn execute(&self, job: Job) -> Result<Analysis, ExecuteError> {
        let mut process = self.take()?;
        let answer = process.run(job, self.limits.wall);
        if process.usable {
            self.give(process);
        }
        answer
    }

    fn ruleset(&self) -> RuleSetRef {
        self.lock().ruleset.clone()
    }
}

/// One child, and the thread that speaks with it: a pipe that a hostile child leaves full or silent must not hold the
/// caller beyond its deadline.
#[derive(Debug)]
struct Process {
    child: Child,
    jobs: Sender<Job>,
    answers: Receiver<std::io::Result<frame::Answer>>,
    last_words: Arc<Mutex<Vec<u8>>>,
    generation: u64,
    usable: bool,
}

impl Process {
    fn start(program: &Program, limits: &Limits, generation: u64) -> Result<(Self, RuleSetRef), ExecuteError> {
        let unavailable = |detail: String| ExecuteError::new(Code::ExecutorUnavailable.as_str(), detail);
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unavailable(format!("cannot start '{}': {error}", program.path.display())))?;
        let (Some(input), Some(output), Some(words)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unavailable("a child came without its pipes".into()));
        };
        let last_words = Arc::new(Mutex::new(Vec::new()));
        listen(words, Arc::clone(&last_words));
        let (jobs, to_run) = channel::<Job>();
        let (answer, answers) = channel();
        let limits_of_child = limits.clone();
        std::thread::spawn(move || frame::converse(input, output, &limits_of_child, &to_run, &answer));
        let mut process = Self { child, jobs, answers, last_words, generation, usable: true };
        match process.wait_for_answer(limits.start) {
            Ok(frame::Answer::Ready(ruleset)) => Ok((process, ruleset)),
            Ok(frame::Answer::Done(_)) => Err(unavailable("a child answered before it was asked".into())),
            Err(error) => Err(unavailable(format!("a child did not become ready: {}", error.detail))),
        }
    }

    fn run(&mut self, job: Job, wall: Duration) -> Result<Analysis, ExecuteError> {
        // A thread that is gone shows in the missing answer.
        let _ = self.jobs.send(job);
        match self.wait_for_answer(wall)? {
            frame::Answer::Done(answer) => *answer,
            frame::Answer::Ready(_) => {
                self.kill();
                Err(ExecuteError::new(Code::ExecutorFailed.as_str(), "a child answered out of turn"))
            }
        }
    }

    fn wait_for_answer(&mut self, deadline: Duration) -> Result<frame::Answer, ExecuteError> {
        match self.answers.recv_timeout(deadline) {
            Ok(Ok(answer)) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                let detail = format!("no answer within {}; the child was killed", units::format_duration(deadline));
                Err(ExecuteError::new(Code::ExecutorTimeout.as_str(), detail))
            }
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(self.death()),
        }
    }

    fn kill(&mut self) -> Option<ExitStatus> {
        self.usable = false;
        // It may be dead already; either way it is waited for, so that no zombie stays.
        let _ = self.child.kill();
        self.child.wait().ok()
    }

    /// What a child died of.
    fn death(&mut self) -> ExecuteError {
        // A child that closed its pipes is dead or dying; it gets a moment to do so by itself, so that it can tell why.
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.kill();
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no last words").to_owned();
        let code = if words.contains("memory allocation of") || words.contains("capacity overflow") {
            Code::ExecutorMemory
        } else {
            match signal_of(status) {
                Some(CPU_SIGNAL) => Code::ExecutorTimeout,
                Some(_) => Code::ExecutorSignal,
                None => Code::ExecutorFailed,
            }
        };
        let status = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
        ExecuteError::new(code.as_str(), format!("the child died ({status}): {last}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// SIGXCPU on Linux and macOS.
const CPU_SIGNAL: i32 = 24;

#[cfg(unix)]
fn signal_of(status: Option<ExitStatus>) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status?)
}

#[cfg(not(unix))]
fn signal_of(_: Option<ExitStatus>) -> Option<i32> {
    None
}

/// Keeps the end of what a child writes to its standard error, however much it writes.
fn listen(mut words: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 1024];
        while let Ok(read) = words.read(&mut chunk) {
            if read == 0 {
                break;
            }
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&chunk[..read]);
            let excess = kept.len().saturating_sub(LAST_WORDS);
            kept.drain(..excess);
        }
    });
}
