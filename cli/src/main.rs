//! The binary `sandsift`: parses the command line, calls one part, and turns what came of it into an exit code.

mod args;
mod config;
mod failure;
mod logging;
mod rules;
mod scan;
mod term;

use args::{Cli, Command};
use clap::Parser as _;
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Usage errors and `--help` are printed by clap itself, which ends with 2 and 0.
    let cli = Cli::parse();
    term::choose(cli.global.color);
    logging::start(&cli.global);
    match run(cli) {
        Ok(exit) => exit.into(),
        // Whoever reads our output has seen enough.
        Err(failure) if failure.is_broken_pipe() => Exit::Done.into(),
        Err(failure) => {
            term::error(&failure);
            failure.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Scan(args) => scan::run(&global, &args),
        Command::Rules(command) => rules::run(&global, &command),
        Command::Config(command) => config::command::run(&global, &command),
        Command::Completions { shell } => {
            args::completions(shell);
            Ok(Exit::Done)
        }
    }
}
