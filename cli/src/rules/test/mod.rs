//! Owns `rules test`: runs the cases that stand beside rules, ours (`NAME.test.yml`) and SigmaHQ's (`info.yml` with logs),
//! and says which did not come out as written.

mod junit;
mod ours;
mod sigmahq;

use super::{Paths, report_errors};
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::term::{self, Style, paint};
use crate::{config, scan::grouped};
use clap::Args;
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// Run the test cases beside rules: NAME.test.yml, and SigmaHQ's info.yml with its logs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift rules test                                       the rules that ship\n  \
    sandsift rules test my-rules/ --junit report.xml\n  \
    sandsift rules test sigma/rules sigma/regression_data     SigmaHQ's own regression suite\n\n\
    A rule's regression_tests_path is looked for upwards from the rule; folders with info.yml may be named, too.")]
pub struct Test {
    #[command(flatten)]
    paths: Paths,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Name every case, those that passed or were skipped too
    #[arg(long, short)]
    verbose: bool,
}

/// A case and what came of it.
#[derive(Debug, Serialize)]
pub struct Case {
    /// The file that the case stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// The rule that it is about: its id, else its file.
    pub rule: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Case {
    /// Runs a case and notes how long it took.
    pub fn run(file: &str, name: &str, rule: &str, test: impl FnOnce() -> Result<(), String>) -> Self {
        let started = Instant::now();
        let failure = test().err();
        let seconds = started.elapsed().as_secs_f64();
        Self { file: file.to_owned(), name: name.to_owned(), rule: rule.to_owned(), failure, skipped: None, seconds }
    }

    /// A case that cannot be run.
    pub fn skip(file: &str, name: &str, rule: &str, why: String) -> Self {
        let (file, name, rule) = (file.to_owned(), name.to_owned(), rule.to_owned());
        Self { file, name, rule, failure: None, skipped: Some(why), seconds: 0.0 }
    }
}

pub fn run(global: &Global, args: &Test) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.paths.apply(&mut config);
    // A case is about all of its events, whoever caused them.
    config.results = config::Results { max_contexts: 1, ..config::Results::default() };
    let assembled = config.assembly().assemble();
    let rule_errors = report_errors(&assembled.diagnostics);
    let mut cases = ours::run(&config, assembled.engine.rules());
    cases.extend(sigmahq::run(&config, &assembled.engine));
    cases.sort_by(|a, b| (&a.file, &a.name, &a.rule).cmp(&(&b.file, &b.name, &b.rule)));
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::report(&cases))
            .map_err(|error| Failure::problem(format!("{}: cannot be written: {error}", path.display())))?;
    }
    print(global, args, &cases)?;
    if cases.is_empty() {
        return Err(Failure::problem("no test case found; cases stand in NAME.test.yml beside NAME.yml"));
    }
    Ok(Exit::problems_if(rule_errors > 0 || cases.iter().any(|case| case.failure.is_some())))
}

fn print(global: &Global, args: &Test, cases: &[Case]) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match global.format {
        Some(Format::Json) => {
            serde_json::to_writer_pretty(&mut out, cases)?;
            writeln!(out)?;
        }
        Some(Format::Ndjson) => {
            for case in cases {
                serde_json::to_writer(&mut out, case)?;
                writeln!(out)?;
            }
        }
        _ => {
            let colored = term::stdout_colored();
            for case in cases {
                let (mark, style, why) = match (&case.failure, &case.skipped) {
                    (Some(why), _) => ("FAIL", Style::Bad, Some(why)),
                    (_, Some(why)) => ("skip", Style::Medium, Some(why)),
                    _ => ("ok  ", Style::Good, None),
                };
                let shown = case.failure.is_some() || args.verbose;
                if shown {
                    let line = format!("{}: {} ({})", case.file, case.name, case.rule);
                    writeln!(out, "{} {}", paint(mark, style, colored), term::escape(&line))?;
                }
                if let Some(why) = why.filter(|_| shown) {
                    writeln!(out, "     {}", term::escape(why))?;
                }
            }
            let count = |test: fn(&Case) -> bool| grouped(cases.iter().filter(|case| test(case)).count() as u64);
            writeln!(
                out,
                "{} cases: {} passed, {} failed, {} skipped",
                grouped(cases.len() as u64),
                count(|case| case.failure.is_none() && case.skipped.is_none()),
                count(|case| case.failure.is_some()),
                count(|case| case.skipped.is_some())
            )?;
        }
    }
    out.flush()?;
    Ok(())
}
