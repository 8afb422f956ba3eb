//! Owns the measurement from outside: `sandsift scan` and another engine, each a process, side by side and interleaved.

use crate::clock::Spread;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A program to be timed over a file of events.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Its name in the table.
    pub name: &'static str,
    program: PathBuf,
    before: Vec<String>,
    after: Vec<String>,
}

impl Engine {
    /// `sandsift scan` with these rule folders.
    pub fn sandsift(program: PathBuf, rules: &[PathBuf]) -> Self {
        let mut before = vec!["scan".to_owned(), "--format".to_owned(), "ndjson".to_owned()];
        for folder in rules {
            before.extend(["--rules".to_owned(), folder.display().to_string()]);
        }
        before.extend(["--platform".to_owned(), "windows".to_owned()]);
        Self { name: "sandsift", program, before, after: Vec::new() }
    }

    /// `rsigma engine eval` with routing by logsource; it takes one folder, whose path is the rules' common one.
    pub fn rsigma(program: PathBuf, rules: &Path) -> Self {
        let before = ["engine", "eval", "--logsource-routing", "--no-stats", "-r"].map(str::to_owned).to_vec();
        let before = [before, vec![rules.display().to_string(), "-e".to_owned()]].concat();
        Self { name: "rsigma", program, before, after: Vec::new() }
    }

    fn run(&self, events: &Path, output: Stdio) -> io::Result<(f64, Vec<u8>)> {
        let file = match self.name {
            "rsigma" => format!("@{}", events.display()),
            _ => events.display().to_string(),
        };
        let start = Instant::now();
        let done = Command::new(&self.program)
            .args(&self.before)
            .arg(file)
            .args(&self.after)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()?
            .wait_with_output()?;
        Ok((start.elapsed().as_secs_f64(), done.stdout))
    }

    /// How many matches it prints for a file of events.
    ///
    /// # Errors
    /// Where it cannot be run or prints something else than JSON.
    pub fn matches(&self, events: &Path) -> io::Result<u64> {
        let (_, output) = self.run(events, Stdio::piped())?;
        let mut total = 0;
        for line in output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let value: serde_json::Value = serde_json::from_slice(line)?;
            total += match value["sigma_analysis_results"].as_array() {
                Some(results) => results.iter().filter_map(|result| result["count"].as_u64()).sum(),
                None => 1,
            };
        }
        Ok(total)
    }
}

/// What an engine came to, in events a second with the time for loading taken off.
#[derive(Debug)]
pub struct Timed {
    /// Seconds to start and load.
    pub load: Spread,
    /// Events a second after that.
    pub rate: Spread,
}

/// Times engines over a file of events, by turns; `empty` is a file with one event, for the time to load.
///
/// # Errors
/// Where one cannot be run.
pub fn race(engines: &[Engine], events: &Path, count: usize, empty: &Path, rounds: usize) -> io::Result<Vec<Timed>> {
    let mut loads = vec![Vec::new(); engines.len()];
    let mut rates = vec![Vec::new(); engines.len()];
    for _ in 0..rounds.max(1) {
        for (index, engine) in engines.iter().enumerate() {
            let (load, _) = engine.run(empty, Stdio::null())?;
            let (all, _) = engine.run(events, Stdio::null())?;
            loads[index].push(load);
            rates[index].push(count as f64 / (all - load).max(1e-6));
        }
    }
    let timed = |(load, rate)| Timed { load: Spread::of(load), rate: Spread::of(rate) };
    Ok(loads.into_iter().zip(rates).map(timed).collect())
}
