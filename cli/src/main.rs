//! The binary `sandsift`: parses the command line, calls one part, and turns what came of it into an exit code.

mod args;
mod broker;
mod config;
mod dead;
mod demo;
mod failure;
mod health;
mod logging;
mod mappings;
mod produce;
mod rules;
mod scan;
mod tail;
mod term;
mod topology;
mod worker;

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
        Command::Worker(args) => worker::run(&global, &args),
        Command::Produce(args) => produce::run(&global, &args),
        Command::Demo(args) => demo::run(&global, &args),
        Command::Health(args) => health::run(&args),
        Command::Tail(args) => tail::run(&global, &args),
        Command::Dead(command) => dead::run(&global, &command),
        Command::Topology(command) => topology::run(&global, &command),
        Command::Mappings(command) => mappings::run(&global, &command),
        Command::Rules(command) => rules::run(&global, &command),
        Command::Config(command) => config::command::run(&global, &command),
        Command::Completions { shell } => {
            args::completions(shell);
            Ok(Exit::Done)
        }
    }
}
