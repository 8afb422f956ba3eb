//! Owns `tail`: a subscription to results, printed as they come.

use crate::args::{Format, Global};
use crate::broker::{self, Broker, block_on};
use crate::failure::{Exit, Failure};
use crate::scan::{headline, write_result};
use crate::{config, rules, term};
use clap::Args;
use sandsift_bus::message::{Analysis, RuleResult, Stats};
use sandsift_bus::{Consumer, Delivery, StreamOffset, tail};
use serde_json::Value;
use std::io::{IsTerminal as _, Write};
use uuid::Uuid;

/// Subscribe to results and print them as they come
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift tail                              every match of every platform\n  \
    sandsift tail 'match.linux.#' --level high\n  \
    sandsift tail 'analysis.#' --from first --format ndjson\n\n\
    Keys: match.<platform>.<level>.<category>, analysis.<platform>.<highest level or none>, behaviour.<platform>.")]
pub struct Arguments {
    /// Routing keys to bind, * for one word, # for any (may be several) [default: match.#]
    #[arg(value_name = "BINDING")]
    bindings: Vec<String>,
    /// Read the kept results from here on: first, last, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_parser = parse_from, value_name = "first|last|TIME")]
    from: Option<StreamOffset>,
    /// Only matches of this level and above
    #[arg(long, value_parser = ["informational", "low", "medium", "high", "critical"], value_name = "LEVEL")]
    level: Option<String>,
    /// End after so many
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    broker: Broker,
}

fn parse_from(text: &str) -> Result<StreamOffset, String> {
    match text {
        "first" => Ok(StreamOffset::First),
        "last" => Ok(StreamOffset::Last),
        _ => seconds(text)
            .map(StreamOffset::Time)
            .ok_or_else(|| "first, last, seconds since 1970, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

/// Seconds since 1970 of a UTC time, or of the number itself.
fn seconds(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next().unwrap_or(Some(0))?, time.next().unwrap_or(Some(0))?);
    if !(1970..10_000).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
    {
        return None;
    }
    // Days since 1970, after Howard Hinnant's `days_from_civil`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(u64::try_from(days).ok()? * 86_400 + hour * 3600 + minute * 60 + second)
}

pub fn run(global: &Global, args: &Arguments) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.broker.apply(&mut config);
    let bindings = if args.bindings.is_empty() { vec!["match.#".to_owned()] } else { args.bindings.clone() };
    let mut printer = Printer::new(global.format, args.level.clone());
    block_on(async {
        let session = broker::session(&config).await?;
        let mut consumer: Box<dyn Consumer> = match args.from {
            Some(from) => tail::replay(session.as_ref(), &config.topology, from).await,
            None => {
                let name = Uuid::new_v4().simple().to_string();
                tail::subscribe(session.as_ref(), &config.topology, &user(&config), &name, &bindings).await
            }
        }
        .map_err(Failure::problem)?;
        loop {
            if args.count.is_some_and(|count| printer.printed >= count) {
                return Ok(());
            }
            let delivery = tokio::select! {
                delivery = consumer.next() => delivery.map_err(Failure::problem)?,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            let Some(delivery) = delivery else { return Ok(()) };
            // The stream holds everything; a queue only what its bindings took.
            if bindings.iter().any(|binding| tail::matches(binding, &delivery.routing_key)) {
                printer.delivery(&delivery)?;
            }
            delivery.settle.ack().await.map_err(Failure::problem)?;
        }
    })?;
    Ok(Exit::Done)
}

/// The broker's user, since a consumer may only have queues under its own name.
fn user(config: &config::Config) -> String {
    let of_address = || {
        let rest = config.broker.uris.first()?.split_once("://")?.1;
        let (user, _) = rest.split_once('@')?;
        Some(user.split(':').next().unwrap_or(user).to_owned())
    };
    let name = config.broker.username.clone().or_else(of_address).unwrap_or_else(|| "guest".to_owned());
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}

/// Prints results as they come.
pub struct Printer {
    format: Format,
    level: Option<String>,
    colored: bool,
    width: usize,
    /// How many were printed.
    pub printed: u64,
}

impl Printer {
    /// A table on a terminal, else a document a line; only matches of a level and above.
    pub fn new(format: Option<Format>, level: Option<String>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let format = format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson });
        Self { format, level, colored: term::stdout_colored(), width: term::width(), printed: 0 }
    }

    /// Prints one result.
    pub fn delivery(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let body: Value = match serde_json::from_slice(&delivery.body) {
            Ok(body) => body,
            Err(error) => {
                term::warn(format!("{}: no JSON: {error}", delivery.routing_key));
                return Ok(());
            }
        };
        let kind = delivery.routing_key.split('.').next().unwrap_or_default();
        let level = delivery.routing_key.split('.').nth(2).unwrap_or_default();
        let low = |wanted: &String| rules::level_rank(level) < rules::level_rank(wanted);
        if kind != "behaviour" && self.level.as_ref().is_some_and(low) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match self.format {
            Format::Json | Format::Ndjson => {
                serde_json::to_writer(&mut out, &body)?;
                writeln!(out)?;
            }
            _ => self.people(&mut out, kind, &body)?,
        }
        out.flush()?;
        self.printed += 1;
        Ok(())
    }

    fn people(&self, out: &mut dyn Write, kind: &str, body: &Value) -> Result<(), Failure> {
        let data = if body.get("specversion").is_some() { &body["data"] } else { body };
        let text = |path: &str| data.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let sample = if text("/sample/name").is_empty() { text("/sample/sha256") } else { text("/sample/name") };
        let place = format!("{} · {} · {}", text("/platform"), sample, text("/sandbox/name"));
        let place = term::paint(term::fit(&place, self.width), term::Style::Dim, self.colored);
        match kind {
            "match" => {
                let result = data.get("result").unwrap_or(data);
                match serde_json::from_value::<RuleResult>(result.clone()) {
                    Ok(result) => {
                        write_result(out, &result, self.width, self.colored)?;
                        writeln!(out, "{:17} {place}", "")?;
                    }
                    Err(error) => writeln!(out, "match  {place}  ({error})")?,
                }
            }
            "analysis" => match serde_json::from_value::<Analysis>(data.clone()) {
                Ok(analysis) => writeln!(
                    out,
                    "analysis  {}  {place}",
                    headline(&analysis.sigma_analysis_stats, analysis.informational, self.colored)
                )?,
                Err(_) => writeln!(out, "analysis  {}  {place}", headline(&Stats::default(), 0, self.colored))?,
            },
            other => writeln!(out, "{}  {place}", term::escape(other))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_stream_is_read() {
        assert_eq!(parse_from("first"), Ok(StreamOffset::First));
        assert_eq!(parse_from("1700000000"), Ok(StreamOffset::Time(1_700_000_000)));
        assert_eq!(parse_from("2023-11-14T22:13:20Z"), Ok(StreamOffset::Time(1_700_000_000)));
        assert!(parse_from("yesterday").is_err());
    }
}
