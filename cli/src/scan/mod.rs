//! Owns `scan`: files in, analyses out, by the same engine as the worker's and without a broker.

mod inputs;
mod ordered;
mod print;

pub use print::{grouped, headline, write_result};

use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::term::{self, Progress};
use crate::{config, rules};
use clap::Args;
use inputs::{Input, Problem};
use sandsift_bus::message::{Analysis, Completion};
use sandsift_sigma::CrossPlatform;
use sandsift_worker::execute::{ExecuteError, Executor as _, LogSource, Threads};
use std::path::PathBuf;

/// Match files against Sigma rules, without a broker
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift scan evtx.zip\n  \
    sandsift scan --rules sigma/rules --rules sigma/rules-emerging-threats logs/\n  \
    sandsift scan --platform linux --fail-on high report.json\n  \
    sandsift scan --logsource product=windows,category=process_creation events.ndjson\n\n\
    Prints one analysis a path, of a folder one a file; --together takes all as one completion.\n\
    A table on a terminal, else one JSON document a line.")]
pub struct Arguments {
    /// Files or folders: EVTX, zips of them, Sysmon XML, behaviour reports, logs, NDJSON
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    rules: rules::Selection,
    /// The platform that the sample ran on, where the artifacts do not tell
    #[arg(long, value_parser = ["windows", "linux", "macos"], value_name = "PLATFORM")]
    platform: Option<String>,
    /// What plain NDJSON answers to, such as product=windows,category=process_creation
    #[arg(long, value_parser = parse_logsource, value_name = "KEY=VALUE,…")]
    logsource: Option<LogSource>,
    /// Take all paths as the artifacts of one completion
    #[arg(long)]
    together: bool,
    /// The completion (JSON) that the paths are the artifacts of; implies --together
    #[arg(long, value_name = "FILE")]
    completion: Option<PathBuf>,
    /// Contexts shown for a rule, 0 for all; counts are always exact
    #[arg(long, value_name = "N")]
    max_contexts: Option<usize>,
    /// Show matches of this origin alone (may be repeated); 'unknown' is never hidden
    #[arg(long, value_parser = parse_origin, value_name = "ORIGIN")]
    origin: Vec<sandsift_ingest::Origin>,
    /// End with 3 if a rule of this level or above fired
    #[arg(long, value_parser = ["informational", "low", "medium", "high", "critical"], value_name = "LEVEL")]
    fail_on: Option<String>,
    /// More mappings for formats of your own: files or folders
    #[arg(long, value_name = "PATH")]
    mappings: Vec<PathBuf>,
    /// Which rules of other platforms an event meets
    #[arg(long, value_parser = parse_cross_platform, value_name = "unix|all|none")]
    cross_platform: Option<CrossPlatform>,
    /// Files matched at a time [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    threads: Option<u16>,
}

/// Reads `KEY=VALUE,…` with product, category and service.
pub fn parse_logsource(text: &str) -> Result<LogSource, String> {
    let mut source = LogSource::default();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("'{part}' is not KEY=VALUE"))?;
        let slot = match key.trim() {
            "product" => &mut source.product,
            "category" => &mut source.category,
            "service" => &mut source.service,
            other => return Err(format!("'{other}' is not one of product, category, service")),
        };
        *slot = Some(value.trim().to_lowercase());
    }
    Ok(source)
}

fn parse_origin(text: &str) -> Result<sandsift_ingest::Origin, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|_| "one of sample, sandbox, background, unknown".to_owned())
}

fn parse_cross_platform(text: &str) -> Result<CrossPlatform, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| "one of unix, all, none".to_owned())
}

/// What came of one input.
enum Outcome {
    Analysis(Box<Analysis>),
    /// A file of a folder that is of no known kind.
    NoArtifact,
    Failed(ExecuteError),
    Unreadable(Problem),
}

pub fn run(global: &Global, args: &Arguments) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    if let Some(count) = args.max_contexts {
        config.results.max_contexts = count;
    }
    if !args.origin.is_empty() {
        config.results.origins = args.origin.iter().copied().collect();
    }
    if let Some(cross) = args.cross_platform {
        config.rules.cross_platform = cross;
    }
    config.rules.mappings.extend(args.mappings.iter().cloned());
    let completion = args.completion.as_deref().map(read_completion).transpose()?;
    args.rules.apply(&mut config);
    let limit = config.limits.artifact_bytes;
    let assembled = config.assembly().assemble();
    let rule_errors = rules::report_errors(&assembled.diagnostics);
    if assembled.engine.rules().rules().is_empty() {
        return Err(Failure::usage("no rule loaded; name files or folders of rules with --rules"));
    }
    let executor = Threads::new(assembled.engine);

    let together = args.together || completion.is_some();
    let inputs = inputs::expand(&args.paths, together)?;
    let threads = args.threads.map_or_else(default_threads, usize::from).min(inputs.len().max(1));
    let progress = Progress::new(inputs.len() as u64, "scanning", true);
    let mut printer = print::Printer::new(global.format);
    let mut worst = Exit::problems_if(rule_errors > 0);
    let mut ended = Ok(());
    let execute = |input: &Input| run_one(input, args, completion.as_ref(), limit, &executor);
    ordered::run(threads, &inputs, execute, |input, outcome| {
        progress.step();
        let exit = match outcome {
            Outcome::Analysis(analysis) => match printer.analysis(&input.name, &analysis) {
                Ok(()) => found(&analysis, args.fail_on.as_deref()),
                Err(error) => {
                    ended = Err(error);
                    return false;
                }
            },
            Outcome::NoArtifact => {
                tracing::info!("{}: of no known kind, left out", term::escape(&input.name));
                Exit::Done
            }
            Outcome::Failed(error) => {
                term::error(format!("{}: {}", input.name, error.detail));
                let usage =
                    error.code == ExecuteError::PLATFORM_UNKNOWN || error.code == ExecuteError::PLATFORM_INVALID;
                if usage { Exit::Usage } else { Exit::Problems }
            }
            Outcome::Unreadable(problem) => {
                term::error(format!("{}: {problem}", input.name));
                Exit::Problems
            }
        };
        worst = worse(worst, exit);
        true
    });
    ended?;
    printer.finish()?;
    Ok(worst)
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Of two ends the one that says more: usage, then a match asked for, then problems.
fn worse(a: Exit, b: Exit) -> Exit {
    let weight = |exit: Exit| match exit {
        Exit::Done => 0,
        Exit::Problems => 1,
        Exit::Match => 2,
        Exit::Usage => 3,
    };
    if weight(a) >= weight(b) { a } else { b }
}

fn found(analysis: &Analysis, fail_on: Option<&str>) -> Exit {
    let Some(limit) = fail_on else { return Exit::Done };
    let any = analysis
        .sigma_analysis_results
        .iter()
        .any(|result| rules::level_rank(&result.rule_level) >= rules::level_rank(limit));
    if any { Exit::Match } else { Exit::Done }
}

fn read_completion(path: &std::path::Path) -> Result<Completion, Failure> {
    let fail = |error: String| Failure::usage(format!("completion {}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    let mut document: serde_json::Value = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
    // A CloudEvent carries the completion as its data.
    if document.get("specversion").is_some() {
        document = document.get_mut("data").map(serde_json::Value::take).unwrap_or_default();
    }
    serde_json::from_value(document).map_err(|error| fail(error.to_string()))
}

fn run_one(
    input: &Input,
    args: &Arguments,
    completion: Option<&Completion>,
    limit: u64,
    executor: &Threads,
) -> Outcome {
    let platform = args.platform.clone().or_else(|| {
        let product = args.logsource.as_ref()?.product.as_deref()?;
        ["windows", "linux", "macos"].contains(&product).then(|| product.to_owned())
    });
    let job = match input.job(platform, args.logsource.clone(), completion, limit) {
        Ok(job) => job,
        Err(problem) => return Outcome::Unreadable(problem),
    };
    match executor.execute(job) {
        Ok(analysis) if input.of_a_folder && nothing_recognised(&analysis) => Outcome::NoArtifact,
        Ok(analysis) if nothing_recognised(&analysis) => Outcome::Unreadable(Problem::Unrecognised),
        Ok(analysis) => Outcome::Analysis(Box::new(analysis)),
        Err(error) if error.code == ExecuteError::UNRECOGNISED && input.of_a_folder => Outcome::NoArtifact,
        Err(error) if error.code == ExecuteError::UNRECOGNISED => Outcome::Unreadable(Problem::Unrecognised),
        Err(error) => Outcome::Failed(error),
    }
}

/// Whether none of the artifacts was of a known kind.
fn nothing_recognised(analysis: &Analysis) -> bool {
    analysis.artifacts.iter().all(|artifact| artifact.get("kind").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logsource_is_read_part_by_part() {
        let source = parse_logsource("product=Windows, category=process_creation").unwrap();
        assert_eq!(source.product.as_deref(), Some("windows"));
        assert_eq!(source.category.as_deref(), Some("process_creation"));
        assert!(parse_logsource("prod=x").is_err() && parse_logsource("windows").is_err());
    }

    #[test]
    fn a_wrong_usage_outweighs_a_match_and_a_match_a_problem() {
        assert_eq!(worse(Exit::Problems, Exit::Match), Exit::Match);
        assert_eq!(worse(Exit::Usage, Exit::Match), Exit::Usage);
    }
}
