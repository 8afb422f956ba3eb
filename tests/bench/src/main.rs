//! The command that measures: `cargo run --release -p sandsift-bench -- --rules DIR`. `docs/benchmarks.md` explains it.

use clap::Parser;
use sandsift_bench::clock::{Clock, resident_mib};
use sandsift_bench::corpus::{self, File};
use sandsift_bench::generate::Lane;
use sandsift_bench::outside::{Engine, race};
use sandsift_bench::{inside, outside};
use sandsift_sigma::RuleSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures reading and matching on generated and real events.
#[derive(Debug, Parser)]
struct Arguments {
    /// A folder of rules; may be given several times
    #[arg(long, required = true, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// A file of real events as NDJSON, each with product, category and service; may be given several times
    #[arg(long, value_name = "FILE")]
    ndjson: Vec<PathBuf>,
    /// Only lanes of these names
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    lanes: Vec<String>,
    /// Events a lane
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    events: usize,
    /// Rounds; the median is given
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// The first seed; a second one is chosen by the clock
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Events a lane whose hits are compared with the plain evaluator's
    #[arg(long, default_value_t = 300, value_name = "N")]
    check: usize,
    /// Mutated copies of the rules that are measured beside them; 0 for none
    #[arg(long, default_value_t = 9, value_name = "N")]
    copies: usize,
    /// The binary whose 'scan' is timed; where absent only the library is
    #[arg(long, value_name = "FILE")]
    sandsift: Option<PathBuf>,
    /// The binary of rsigma to race with
    #[arg(long, value_name = "FILE")]
    rsigma: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let files = read_rules(&arguments.rules)?;
    let clock = Clock::start();
    let before = resident_mib();
    let rules = corpus::build(&files);
    println!(
        "loaded {} rules in {:.0} ms, {:.0} MiB resident of which {before:.0} before",
        rules.rules().len(),
        clock.elapsed().as_secs_f64() * 1e3,
        resident_mib(),
    );
    // The second seed is nobody's choice, so that nothing can be made for it.
    let second = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(2, |now| now.as_nanos() as u64);
    let mut lanes: Vec<(String, Vec<u8>)> = Vec::new();
    for lane in chosen(&arguments.lanes) {
        lanes.push((lane.name().to_owned(), lane.write(arguments.seed, arguments.events)));
        lanes.push((format!("{}'", lane.name()), lane.write(second, arguments.events)));
    }
    for file in &arguments.ndjson {
        let text = std::fs::read(file).map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
        lanes.push((file.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
    }
    println!(
        "a lane marked ' is of seed {second}; nanoseconds of processor time an event, median of {} rounds",
        arguments.rounds
    );
    table(&rules, &lanes, arguments)?;
    println!("{:.0} MiB resident after matching", resident_mib());
    growth(&rules, &files, arguments)?;
    if let Some(sandsift) = &arguments.sandsift {
        side_by_side(sandsift, &lanes, arguments)?;
    }
    Ok(())
}

fn read_rules(folders: &[PathBuf]) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(corpus::read(folder).map_err(|error| format!("cannot read '{}': {error}", folder.display()))?);
    }
    Ok(files)
}

fn chosen(names: &[String]) -> Vec<Lane> {
    Lane::ALL.into_iter().filter(|lane| names.is_empty() || names.iter().any(|name| name == lane.name())).collect()
}

/// What reading and matching cost in this process.
fn table(rules: &RuleSet, lanes: &[(String, Vec<u8>)], arguments: &Arguments) -> Result<(), String> {
    println!("{:14} {:>6} {:>14} {:>14} {:>8} {:>10}", "lane", "bytes", "read", "match", "ratio", "hits/event");
    for (name, lines) in lanes {
        let measured = inside::measure(rules, lines, arguments.rounds);
        let checked =
            inside::check(rules, lines, arguments.check).map_err(|differ| format!("lane {name}: {differ}"))?;
        println!(
            "{name:14} {:>6} {:>14} {:>14} {:>8.2} {:>10.3}  ({checked} checked)",
            measured.bytes,
            measured.read.to_string(),
            measured.matching.to_string(),
            measured.matching.median / measured.read.median,
            measured.hits as f64 / measured.events as f64,
        );
    }
    Ok(())
}

/// How the cost grows with rules, and what a second thread gives.
fn growth(rules: &RuleSet, files: &[File], arguments: &Arguments) -> Result<(), String> {
    let mixed = Lane::Mixed.write(arguments.seed, arguments.events);
    let process = Lane::Process.write(arguments.seed, arguments.events);
    println!("two threads over one set: {} times one", inside::two_threads(rules, &process, arguments.rounds));
    if arguments.copies == 0 {
        return Ok(());
    }
    let many = corpus::build(&corpus::multiply(files, arguments.copies));
    for (name, lines) in [("process", &process), ("mixed", &mixed)] {
        let few = inside::measure(rules, lines, arguments.rounds);
        let more = inside::measure(&many, lines, arguments.rounds);
        let whole = |measured: &inside::Measured| measured.read.median + measured.matching.median;
        println!(
            "{name}: {} rules instead of {}: {:.2} times the time an event (matching alone {:.2})",
            many.rules().len(),
            rules.rules().len(),
            whole(&more) / whole(&few),
            more.matching.median / few.matching.median,
        );
    }
    Ok(())
}

/// Our `scan` and the other engine, as processes.
fn side_by_side(sandsift: &Path, lanes: &[(String, Vec<u8>)], arguments: &Arguments) -> Result<(), String> {
    let said = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let folder = std::env::temp_dir().join(format!("sandsift-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| said("cannot make a temporary folder", error))?;
    let mut engines = vec![Engine::sandsift(sandsift.to_owned(), &arguments.rules)];
    if let (Some(rsigma), [rules]) = (&arguments.rsigma, arguments.rules.as_slice()) {
        engines.push(Engine::rsigma(rsigma.clone(), rules));
    }
    for (name, lines) in lanes {
        let (events, one) = (folder.join("events.ndjson"), folder.join("one.ndjson"));
        let first = lines.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        std::fs::write(&events, lines)
            .and_then(|()| std::fs::write(&one, first))
            .map_err(|e| said("cannot write", e))?;
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        let timed = race(&engines, &events, count, &one, arguments.rounds).map_err(|e| said("cannot run", e))?;
        for (engine, timed) in engines.iter().zip(&timed) {
            let matches = engine.matches(&events).map_err(|e| said(engine.name, e))?;
            let outside::Timed { load, rate } = timed;
            println!(
                "{name:14} {:9} {:>12.0} events/s ±{:.0}%, load {:.2} s, {matches} matches",
                engine.name,
                rate.median,
                rate.spread * 100.0,
                load.median,
            );
        }
        if let [ours, theirs] = timed.as_slice() {
            println!("{name:14} ratio {:.1}", ours.rate.median / theirs.rate.median);
        }
    }
    std::fs::remove_dir_all(&folder).map_err(|error| said("cannot remove the temporary folder", error))
}
