//! Owns `rules …`: what those who write rules need. What rules mean is the rule language's.

mod check;
mod coverage;
mod explain;
mod list;
mod sync;
mod test;

use crate::args::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::term;
use clap::{Args, Subcommand};
use sandsift_sigma::{Diagnostic, Severity};
use sandsift_worker::sources::Source;

/// The levels, from the highest.
pub const LEVELS: [&str; 5] = ["critical", "high", "medium", "low", "informational"];

/// The rank of a level, the highest for `critical`; 0 for what is none.
pub fn level_rank(level: &str) -> usize {
    LEVELS.iter().rev().position(|name| *name == level).map_or(0, |at| at + 1)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Check(check::Check),
    List(list::List),
    Test(test::Test),
    Explain(explain::Explain),
    Coverage(coverage::Coverage),
    Sync(sync::Sync),
}

/// The rules that a command works on, named without a flag.
#[derive(Debug, Clone, Default, Args)]
pub struct Paths {
    /// Rules: files or folders, as PATH or NAME=PATH [default: the configured ones, else those that ship]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    selection: Selection,
}

impl Paths {
    /// Lays the choice over the configuration.
    pub fn apply(&self, config: &mut Config) {
        let rules = self.paths.iter().chain(&self.selection.rules).cloned().collect();
        Selection { rules }.apply(config);
    }
}

/// Which rules a command works on.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Rules: a file or folder, as PATH or NAME=PATH (may be repeated) [default: the configured ones, else those that ship]
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<String>,
}

impl Selection {
    /// Lays the choice over the configuration.
    pub fn apply(&self, config: &mut Config) {
        if !self.rules.is_empty() {
            config.rules.sources = self.rules.iter().map(|argument| Source::from_argument(argument)).collect();
            config.rules.shipped = false;
        }
    }
}

/// Says on stderr which rules were left out and why; tells how many findings there were.
pub fn report_errors(diagnostics: &[Diagnostic]) -> usize {
    let errors = || diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    const SHOWN: usize = 20;
    for finding in errors().take(SHOWN) {
        term::warn(format!(
            "{}:{}:{}: {}: {}; {}",
            finding.file, finding.line, finding.column, finding.code, finding.message, finding.help
        ));
    }
    let count = errors().count();
    if count > SHOWN {
        term::warn(format!("and {} more; 'sandsift rules check' shows all", count - SHOWN));
    }
    count
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check::run(global, args),
        Command::List(args) => list::run(global, args),
        Command::Test(args) => test::run(global, args),
        Command::Explain(args) => explain::run(global, args),
        Command::Coverage(args) => coverage::run(global, args),
        Command::Sync(args) => sync::run(global, args),
    }
}
