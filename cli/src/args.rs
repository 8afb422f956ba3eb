//! Owns the command line: which commands there are and what they take. What they do is theirs.

use crate::{config, dead, demo, health, mappings, produce, rules, scan, tail, topology, worker};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Matches what sandboxes recorded against Sigma rules.
#[derive(Debug, Parser)]
#[command(
    name = "sandsift",
    version,
    about = "Matches what sandboxes recorded against Sigma rules",
    long_about = "Matches what sandboxes recorded (EVTX, Sysmon XML, behaviour reports, audit logs, NDJSON) against Sigma \
                  rules: on files with 'scan', as a fleet on a message broker with 'worker'.",
    after_help = "Examples:\n  \
        sandsift demo                                  a whole cluster in one process, on sample completions\n  \
        sandsift scan evtx.zip                         match an archive of event logs against the rules that ship\n  \
        sandsift scan --rules sigma/rules logs/        ... every file of a folder against SigmaHQ's rules\n  \
        sandsift rules check my-rules/                 check rules as a compiler would\n\n\
        Exit codes: 0 done, 1 found problems, 2 bad usage or configuration, 3 'scan --fail-on' found a match.",
    arg_required_else_help = true,
    max_term_width = 120
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file (TOML or YAML)
    #[arg(
        long,
        short = 'c',
        global = true,
        value_name = "FILE",
        env = "SANDSIFT_CONFIG",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// How data is printed [default: table on a terminal]
    #[arg(long, global = true, value_enum, help_heading = "Global options")]
    pub format: Option<Format>,
    /// When to use colour; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub color: Color,
    /// What to log to stderr: error, warn, info, debug, trace, or a tracing filter
    #[arg(
        long,
        global = true,
        default_value = "warn",
        value_name = "LEVEL",
        env = "SANDSIFT_LOG",
        help_heading = "Global options"
    )]
    pub log: String,
    /// Log as JSON lines
    #[arg(long, global = true, help_heading = "Global options")]
    pub log_json: bool,
}

/// How data is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON document
    Json,
    /// One JSON document a line
    Ndjson,
    /// For people
    Table,
    /// For people, where a command prints findings
    #[value(hide = true)]
    Text,
    /// Static analysis results (OASIS SARIF 2.1.0), of 'check' commands
    #[value(hide = true)]
    Sarif,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Match files against Sigma rules, without a broker
    Scan(Box<scan::Arguments>),
    /// Run a worker: take completions, match them, publish results
    Worker(worker::Arguments),
    /// Publish completions for files and folders
    Produce(produce::Arguments),
    /// Subscribe to results and print them as they come
    Tail(tail::Arguments),
    /// Look after dead letters
    #[command(subcommand)]
    Dead(dead::Command),
    /// Check, list, test, explain and fetch rules
    #[command(subcommand)]
    Rules(rules::Command),
    /// Check and test mappings of sandboxes' formats
    #[command(subcommand)]
    Mappings(mappings::Command),
    /// Declare or show exchanges and queues
    #[command(subcommand)]
    Topology(topology::Command),
    /// Show and check the configuration
    #[command(subcommand)]
    Config(config::command::Command),
    /// Run a whole cluster in one process on sample completions
    Demo(demo::Arguments),
    /// Ask a worker whether it is ready
    Health(health::Arguments),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  sandsift completions bash > /etc/bash_completion.d/sandsift")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Prints the completions of a shell.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "sandsift", &mut std::io::stdout());
}
