//! Owns `mappings check|test`: for those who add a sandbox by a file.

use crate::args::{Format, Global};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::term;
use clap::{Args, Subcommand};
use sandsift_ingest::Mappings;
use sandsift_sigma::{Diagnostic, Severity, diagnostic};
use sandsift_worker::shipped::{self, Class};
use sandsift_worker::sources::walk;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check mapping files: what is wrong, where, and what to do
    #[command(
        after_help = "Examples:\n  sandsift mappings check\n  sandsift mappings check my-sandbox.yml --format sarif"
    )]
    Check(Paths),
    /// Run the cases beside mapping files (NAME.test.yml)
    #[command(after_help = "Examples:\n  sandsift mappings test\n  sandsift mappings test my-sandbox.yml")]
    Test(Paths),
}

#[derive(Debug, Args)]
pub struct Paths {
    /// Mapping files, or folders of them [default: those that ship and the configured ones]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Files with their names: mappings and the cases beside them.
#[derive(Default)]
struct Files {
    mappings: Vec<(String, String)>,
    cases: Vec<(String, String)>,
    findings: Vec<Diagnostic>,
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let (Command::Check(paths) | Command::Test(paths)) = command;
    let config = config::load(global.config.as_deref())?;
    let mut files = Files::default();
    if paths.paths.is_empty() {
        for file in shipped::FILES.iter().filter(|file| file.path.starts_with("mappings/")) {
            let text = String::from_utf8_lossy(file.bytes).into_owned();
            files.add(format!("shipped:{}", file.path), text, shipped::class_of(file.path) == Class::Test);
        }
        files.read(&config.rules.mappings);
    } else {
        files.read(&paths.paths);
    }
    let (mappings, findings) = Mappings::load(files.mappings.iter().map(|(name, text)| (&**name, &**text)));
    files.findings.extend(findings);
    match command {
        Command::Check(_) => check(global, &mappings, &files.findings),
        Command::Test(_) => test(global, &mappings, &files),
    }
}

impl Files {
    fn add(&mut self, name: String, text: String, is_case: bool) {
        if is_case { self.cases.push((name, text)) } else { self.mappings.push((name, text)) }
    }

    fn read(&mut self, paths: &[PathBuf]) {
        for path in paths {
            let (mut found, findings) = walk(path);
            self.findings.extend(findings);
            // A mapping that was named alone brings the cases beside it.
            let beside = path.with_extension("test.yml");
            if path.is_file() && beside.is_file() {
                found.extend(walk(&beside).0);
            }
            for file in found {
                let name = file.path.display().to_string();
                match std::fs::read(&file.path) {
                    Ok(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.add(name, text, shipped::is_test(&file.relative));
                    }
                    Err(error) => {
                        let message = format!("cannot be read: {error}");
                        let help = "check that the file may be read";
                        self.findings.push(Diagnostic::of_file(
                            "file-unreadable",
                            Severity::Error,
                            name,
                            message,
                            help,
                        ));
                    }
                }
            }
        }
    }
}

fn print_findings(global: &Global, findings: &[Diagnostic]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match global.format {
        Some(Format::Json | Format::Ndjson) => writeln!(out, "{}", serde_json::to_string_pretty(findings)?)?,
        Some(Format::Sarif) => {
            let report = diagnostic::sarif(findings, env!("CARGO_PKG_VERSION"));
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        }
        _ => out.write_all(diagnostic::text(findings, term::stdout_colored()).as_bytes())?,
    }
    Ok(())
}

fn check(global: &Global, mappings: &Mappings, findings: &[Diagnostic]) -> Result<Exit, Failure> {
    print_findings(global, findings)?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    term::note(format!("{} mappings, {errors} errors, {} findings", mappings.iter().len(), findings.len()));
    Ok(Exit::problems_if(errors > 0))
}

fn test(global: &Global, mappings: &Mappings, files: &Files) -> Result<Exit, Failure> {
    let errors = files.findings.iter().any(|finding| finding.severity == Severity::Error);
    if errors {
        print_findings(global, &files.findings)?;
    }
    let report = mappings.test(files.cases.iter().map(|(name, text)| (&**name, &**text)));
    let mut out = std::io::stdout().lock();
    if matches!(global.format, Some(Format::Json | Format::Ndjson)) {
        writeln!(out, "{}", json!(report))?;
    } else {
        let colored = term::stdout_colored();
        for case in report.cases.iter().filter(|case| !case.failures.is_empty()) {
            let place = format!("{}: {}", case.file, case.name);
            writeln!(out, "{} {}", term::paint("FAIL", term::Style::Bad, colored), term::escape(&place))?;
            for failure in &case.failures {
                for line in failure.lines() {
                    writeln!(out, "     {}", term::escape(line))?;
                }
            }
        }
        for never in &report.never {
            let place = format!("{}:{}: no case has {}", never.file, never.line, never.path);
            writeln!(out, "{} {}", term::paint("note", term::Style::Medium, colored), term::escape(&place))?;
        }
        let failed = report.cases.iter().filter(|case| !case.failures.is_empty()).count();
        writeln!(out, "{} cases: {} passed, {failed} failed", report.cases.len(), report.cases.len() - failed)?;
    }
    if report.cases.is_empty() {
        return Err(Failure::problem("no test case found; cases stand in NAME.test.yml beside NAME.yml"));
    }
    Ok(Exit::problems_if(errors || !report.passed()))
}
