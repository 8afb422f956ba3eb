//! Owns `dead list|show|replay|drop`: the operator's view of dead letters.

use crate::args::{Format, Global};
use crate::broker::{self, Broker, block_on};
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::term::{self, Align, Style, Table};
use clap::{Args, Subcommand};
use sandsift_bus::Session;
use sandsift_bus::dead::{DeadError, DeadLetters, Letter, Outcome, Replay, Selection};
use sandsift_worker::execute::rfc3339;
use serde_json::json;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List dead letters, oldest first
    #[command(
        after_help = "Examples:\n  sandsift dead list\n  sandsift dead list --code artifact-digest --format json"
    )]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Show one with its history and its body
    #[command(after_help = "Example:\n  sandsift dead show 6d2f7c1e-…")]
    Show {
        /// The completion's id
        id: String,
        #[command(flatten)]
        broker: Broker,
    },
    /// Send dead letters back to the queues that they came from
    #[command(after_help = "Examples:\n  \
        sandsift dead replay --id 6d2f7c1e-…\n  \
        sandsift dead replay --code store-unavailable --rate 50\n  \
        sandsift dead replay --all --dry-run")]
    Replay {
        #[command(flatten)]
        which: Which,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// At most so many a second, 0 for no limit
        #[arg(long, default_value_t = 100, value_name = "N")]
        rate: u32,
    },
    /// Remove dead letters for good
    #[command(after_help = "Example:\n  sandsift dead drop --code completion-invalid")]
    Drop {
        #[command(flatten)]
        which: Which,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
pub struct Which {
    /// Only the one of this completion
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Only those with this code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    broker: Broker,
}

impl Which {
    fn selection(&self) -> Selection {
        Selection { id: self.id.clone(), code: self.code.clone(), limit: self.limit }
    }

    /// What changes letters must say which.
    fn must_choose(&self, all: bool) -> Result<(), Failure> {
        if all || self.id.is_some() || self.code.is_some() {
            return Ok(());
        }
        Err(Failure::usage("say which dead letters: --id, --code or --all"))
    }
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    match command {
        Command::List { which } => {
            which.broker.apply(&mut config);
            list(global, &config, &which.selection())
        }
        Command::Show { id, broker } => {
            broker.apply(&mut config);
            show(global, &config, id)
        }
        Command::Replay { which, all, dry_run, rate } => {
            which.must_choose(*all)?;
            which.broker.apply(&mut config);
            let how = Replay { dry_run: *dry_run, rate: *rate };
            change(global, &config, async |letters, tell| letters.replay(&which.selection(), &how, tell).await)
        }
        Command::Drop { which, all, dry_run } => {
            which.must_choose(*all)?;
            which.broker.apply(&mut config);
            change(global, &config, async |letters, tell| letters.discard(&which.selection(), *dry_run, tell).await)
        }
    }
}

/// Reads all chosen letters on a session of its own, which gives them back when it ends.
fn read(config: &Config, selection: &Selection) -> Result<Vec<(Letter, Vec<u8>)>, Failure> {
    block_on(async {
        let session = broker::session(config).await?;
        let mut found = Vec::new();
        let letters = DeadLetters::new(session.as_ref(), &config.topology);
        let outcome = letters.each(selection, |letter, body, _| found.push((letter.clone(), body.to_vec()))).await;
        close(&session).await;
        outcome.map_err(Failure::problem)?;
        Ok(found)
    })
}

async fn close(session: &Arc<dyn Session>) {
    session.close(Duration::from_secs(5)).await;
}

fn list(global: &Global, config: &Config, selection: &Selection) -> Result<Exit, Failure> {
    let letters = read(config, selection)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match global.format {
        Some(Format::Json) => {
            let letters: Vec<&Letter> = letters.iter().map(|(letter, _)| letter).collect();
            serde_json::to_writer_pretty(&mut out, &letters)?;
            writeln!(out)?;
        }
        Some(Format::Ndjson) => {
            for (letter, _) in &letters {
                serde_json::to_writer(&mut out, letter)?;
                writeln!(out)?;
            }
        }
        _ => {
            let left = ["id", "code", "class", "since", "reason"].map(|name| (name, Align::Left));
            let mut table = Table::new(&left);
            for (letter, _) in &letters {
                table.row(vec![
                    (letter.id.clone().unwrap_or_else(|| "?".to_owned()), Style::Plain),
                    (letter.code.clone(), Style::High),
                    (format!("{} ({}×)", letter.class, letter.attempts), Style::Dim),
                    (time(letter), Style::Dim),
                    (letter.reason.clone(), Style::Plain),
                ]);
            }
            table.write(&mut out, term::width(), term::stdout_colored())?;
            writeln!(out, "{} dead letters", letters.len())?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn time(letter: &Letter) -> String {
    let nanoseconds = letter.time.and_then(|time| i64::try_from(time).ok()?.checked_mul(1_000_000_000));
    nanoseconds.map(rfc3339).unwrap_or_default()
}

fn show(global: &Global, config: &Config, id: &str) -> Result<Exit, Failure> {
    let selection = Selection { id: Some(id.to_owned()), ..Selection::default() };
    let letters = read(config, &selection)?;
    if letters.is_empty() {
        return Err(Failure::problem(format!("no dead letter of completion '{id}'; 'sandsift dead list' names them")));
    }
    let mut out = std::io::stdout().lock();
    for (letter, body) in &letters {
        let text = String::from_utf8_lossy(body);
        let body = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|_| json!(text));
        if matches!(global.format, Some(Format::Json | Format::Ndjson)) {
            serde_json::to_writer(&mut out, &json!({"letter": letter, "body": body}))?;
            writeln!(out)?;
            continue;
        }
        let mut line = |name: &str, value: &str| {
            let name = term::paint(format!("{name:<10}"), Style::Dim, term::stdout_colored());
            writeln!(out, "{name} {}", term::escape(value))
        };
        line("id", letter.id.as_deref().unwrap_or("?"))?;
        line("code", &format!("{} ({})", letter.code, letter.class))?;
        line("reason", &letter.reason)?;
        line("attempts", &letter.attempts.to_string())?;
        line("queue", letter.queue.as_deref().unwrap_or("none known"))?;
        line("digest", letter.digest.as_deref().unwrap_or("-"))?;
        line("worker", letter.worker.as_deref().unwrap_or("-"))?;
        line("since", &time(letter))?;
        for failed in &letter.history {
            line(
                "attempt",
                &format!(
                    "{}: {} ({}) {} [{}]",
                    failed.attempt, failed.code, failed.class, failed.detail, failed.worker
                ),
            )?;
        }
        let text = serde_json::to_string_pretty(&body)?;
        for part in text.lines() {
            writeln!(out, "  {}", term::escape(part))?;
        }
    }
    Ok(Exit::Done)
}

/// Runs what changes letters and says what became of each.
fn change(
    global: &Global,
    config: &Config,
    run: impl AsyncFnOnce(&DeadLetters<'_>, &mut dyn FnMut(&Letter, &Outcome)) -> Result<usize, DeadError>,
) -> Result<Exit, Failure> {
    let json = matches!(global.format, Some(Format::Json | Format::Ndjson));
    let mut kept = 0;
    let mut failed = None;
    let mut tell = |letter: &Letter, outcome: &Outcome| {
        kept += usize::from(matches!(outcome, Outcome::Kept { .. }));
        let id = letter.id.as_deref().unwrap_or("?");
        let line = if json {
            json!({"id": letter.id, "code": letter.code, "result": outcome}).to_string()
        } else {
            let what = match outcome {
                Outcome::Replayed { queue } => format!("replayed to {queue}"),
                Outcome::WouldReplay { queue } => format!("would be replayed to {queue}"),
                Outcome::Dropped => "dropped".to_owned(),
                Outcome::WouldDrop => "would be dropped".to_owned(),
                Outcome::Kept { reason } => format!("kept: {reason}"),
            };
            term::escape(&format!("{id}  {}  {what}", letter.code)).into_owned()
        };
        if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
            failed.get_or_insert(error);
        }
    };
    let done = block_on(async {
        let session = broker::session(config).await?;
        let letters = DeadLetters::new(session.as_ref(), &config.topology);
        let outcome = run(&letters, &mut tell).await;
        close(&session).await;
        outcome.map_err(Failure::problem)
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    term::note(format!("{done} done, {kept} kept"));
    Ok(Exit::problems_if(kept > 0))
}
