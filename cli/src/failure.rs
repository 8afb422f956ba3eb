//! Owns how a command ends: the exit codes, and the one error that every command may end with.

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All was done and all was well.
    Done = 0,
    /// It ran and found problems: a rule failed its check, an input could not be read.
    Problems = 1,
    /// Bad usage or configuration; nothing was done.
    Usage = 2,
    /// `scan --fail-on`: a match of that level or above was found.
    Match = 3,
}

impl Exit {
    /// `Problems` where there were any.
    pub fn problems_if(any: bool) -> Self {
        if any { Self::Problems } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not go on.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    broken_pipe: bool,
}

impl Failure {
    /// Bad usage or configuration: ends with 2.
    pub fn usage(message: impl Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string(), broken_pipe: false }
    }

    /// Something that was asked for cannot be done: ends with 1.
    pub fn problem(message: impl Display) -> Self {
        Self { exit: Exit::Problems, message: message.to_string(), broken_pipe: false }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether output went nowhere, which is no error.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { exit: Exit::Problems, message: format!("output: {error}"), broken_pipe }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => io::Error::from(kind).into(),
            None => Self::problem(error),
        }
    }
}
