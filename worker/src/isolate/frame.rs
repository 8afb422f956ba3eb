//! Owns what goes over the pipes: a length, then bytes. Jobs carry their artifacts raw behind a JSON head.

use super::Limits;
use crate::execute::{ExecuteError, Job};
use sandsift_bus::message::{Analysis, RuleSetRef};
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender};

/// Bytes that one frame of a child may have: what it sends is not trusted.
const ANSWER_BYTES: u64 = 1 << 30;

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Its rules are read and it is confined.
    Ready(RuleSetRef),
    /// A job has come to its end.
    Done(Box<Result<Analysis, ExecuteError>>),
}

/// A job without the bytes of its artifacts.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    job: Job,
    artifacts: Vec<u64>,
}

/// The parent's side: tells the limits, passes on what the child says, and sends it one job at a time.
pub(super) fn converse(
    input: ChildStdin,
    output: ChildStdout,
    limits: &Limits,
    jobs: &Receiver<Job>,
    answers: &Sender<io::Result<Answer>>,
) {
    let (mut input, mut output) = (BufWriter::new(input), BufReader::new(output));
    let mut first = write_json(&mut input, limits).and_then(|()| input.flush()).and_then(|()| read_json(&mut output));
    loop {
        let failed = first.is_err();
        if answers.send(first).is_err() || failed {
            return;
        }
        let Ok(job) = jobs.recv() else { return };
        first = write_job(&mut input, job).and_then(|()| read_json(&mut output));
    }
}

fn write_job(output: &mut impl Write, mut job: Job) -> io::Result<()> {
    let artifacts = std::mem::take(&mut job.artifacts);
    let sizes = artifacts.iter().map(|artifact| artifact.len() as u64).collect();
    write_json(output, &Head { job, artifacts: sizes })?;
    for artifact in &artifacts {
        output.write_all(artifact)?;
    }
    output.flush()
}

/// The child's side of [`write_job`]; `None` when the parent has no more.
pub(super) fn read_job(input: &mut impl Read) -> io::Result<Option<Job>> {
    let mut head = match read_json::<Head>(input) {
        Ok(head) => head,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    for size in head.artifacts {
        // Grows as bytes come, so that a size alone costs nothing.
        let mut artifact = Vec::new();
        input.by_ref().take(size).read_to_end(&mut artifact)?;
        if artifact.len() as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.job.artifacts.push(artifact);
    }
    Ok(Some(head.job))
}

pub(super) fn write_json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    output.write_all(&(bytes.len() as u64).to_be_bytes())?;
    output.write_all(&bytes)
}

pub(super) fn read_json<T: for<'de> Deserialize<'de>>(input: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_be_bytes(length);
    if length > ANSWER_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut bytes = Vec::new();
    input.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}
