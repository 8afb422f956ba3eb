//! Owns how analyses are printed: JSON for programs, and for people a table of the rules that fired with the event
//! that made each fire.

use crate::args::Format;
use crate::failure::Failure;
use crate::rules::LEVELS;
use crate::term::{self, Style, fit, paint};
use sandsift_bus::message::{Analysis, MatchContext, RuleResult, Stats};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::time::Instant;

/// Prints analyses as they come.
pub struct Printer {
    format: Format,
    out: BufWriter<StdoutLock<'static>>,
    colored: bool,
    width: usize,
    started: Instant,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    analyses: u64,
    events: u64,
    matches: u64,
    /// The rules that fired anywhere, by level.
    rules: BTreeMap<String, BTreeSet<String>>,
}

impl Printer {
    /// Prints to stdout; without a format a table on a terminal, else a document a line.
    pub fn new(format: Option<Format>) -> Self {
        let format = format.unwrap_or(if io::stdout().is_terminal() { Format::Table } else { Format::Ndjson });
        Self {
            format,
            out: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
            colored: term::stdout_colored(),
            width: term::width(),
            started: Instant::now(),
            totals: Totals::default(),
        }
    }

    /// Prints one.
    pub fn analysis(&mut self, name: &str, analysis: &Analysis) -> Result<(), Failure> {
        self.totals.add(analysis);
        match self.format {
            Format::Ndjson => {
                serde_json::to_writer(&mut self.out, analysis)?;
                self.out.write_all(b"\n")?;
            }
            Format::Json => {
                self.out.write_all(if self.totals.analyses == 1 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer_pretty(&mut self.out, analysis)?;
            }
            _ => {
                write_analysis(&mut self.out, name, analysis, self.width, self.colored)?;
                // A person sees each as it is done.
                self.out.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the output.
    pub fn finish(mut self) -> Result<(), Failure> {
        match self.format {
            Format::Json if self.totals.analyses == 0 => self.out.write_all(b"[]\n")?,
            Format::Json => self.out.write_all(b"\n]\n")?,
            Format::Ndjson => {}
            _ => self.totals.write(&mut self.out, self.started.elapsed().as_secs_f64(), self.colored)?,
        }
        self.out.flush()?;
        Ok(())
    }
}

impl Totals {
    fn add(&mut self, analysis: &Analysis) {
        self.analyses += 1;
        self.events += total_events(analysis);
        for result in &analysis.sigma_analysis_results {
            self.matches += result.count;
            self.rules.entry(result.rule_level.clone()).or_default().insert(result.rule_id.clone());
        }
    }

    fn write(&self, out: &mut dyn Write, seconds: f64, colored: bool) -> io::Result<()> {
        let levels: Vec<String> = LEVELS
            .iter()
            .filter_map(|level| {
                let count = self.rules.get(*level)?.len();
                Some(paint(format!("{count} {level}"), Style::of_level(level), colored))
            })
            .collect();
        let levels = if levels.is_empty() { "none".to_owned() } else { levels.join(", ") };
        let rules: usize = self.rules.values().map(BTreeSet::len).sum();
        writeln!(
            out,
            "{}  {} · {} · {} · {} fired: {levels}  ({seconds:.2} s)",
            paint("total", Style::Bold, colored),
            many(self.analyses, "analysis", "analyses"),
            many(self.events, "event", "events"),
            many(self.matches, "match", "matches"),
            many(rules as u64, "rule", "rules"),
        )
    }
}

fn many(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { more })
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn total_events(analysis: &Analysis) -> u64 {
    analysis.events.get("total").and_then(Value::as_u64).unwrap_or(0)
}

/// Writes an analysis for people.
pub fn write_analysis(
    out: &mut dyn Write,
    name: &str,
    analysis: &Analysis,
    width: usize,
    colored: bool,
) -> io::Result<()> {
    let events = many(total_events(analysis), "event", "events");
    let rule = paint("━━", Style::Dim, colored);
    writeln!(
        out,
        "{rule} {}  {}",
        paint(fit(name, width.saturating_sub(40).max(20)), Style::Bold, colored),
        paint(format!("{} · {events} · ", term::escape(&analysis.platform)), Style::Dim, colored)
            + &headline(&analysis.sigma_analysis_stats, analysis.informational, colored)
    )?;
    for result in &analysis.sigma_analysis_results {
        write_result(out, result, width, colored)?;
    }
    for left_out in &analysis.incomplete {
        let place = left_out.artifact.map(|artifact| format!(" in artifact {artifact}")).unwrap_or_default();
        let line = format!("{} × {}{place}: {}", grouped(left_out.count), left_out.code, left_out.detail);
        writeln!(
            out,
            "   {} {}",
            paint("!", Style::Medium, colored),
            paint(fit(&line, width - 5), Style::Dim, colored)
        )?;
    }
    writeln!(out)
}

/// Rules that fired by level, in words.
pub fn headline(stats: &Stats, informational: u64, colored: bool) -> String {
    let counts = [
        (stats.critical, "critical"),
        (stats.high, "high"),
        (stats.medium, "medium"),
        (stats.low, "low"),
        (informational, "informational"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, level)| paint(format!("{count} {level}"), Style::of_level(level), colored))
        .collect();
    if parts.is_empty() { paint("nothing matched", Style::Good, colored) } else { parts.join(" ") }
}

/// Writes a rule that fired, with the event that made it fire.
pub fn write_result(out: &mut dyn Write, result: &RuleResult, width: usize, colored: bool) -> io::Result<()> {
    let techniques = result.rule.get("techniques").and_then(Value::as_array).into_iter().flatten();
    let techniques: Vec<&str> = techniques.filter_map(Value::as_str).collect();
    let mut right = format!("{}×", grouped(result.count));
    if !techniques.is_empty() {
        right.push_str("  ");
        right.push_str(&techniques.join(" "));
    }
    if result.cross_platform {
        right.push_str("  other platform's");
    }
    right.push_str("  ");
    right.push_str(&result.rule_source);
    let right = fit(&right, width / 3);
    let level = format!("{:<13}", result.rule_level);
    let room = width.saturating_sub(3 + 14 + 2 + term::columns_of(&right)).max(16);
    let title = fit(&result.rule_title, room);
    let pad = " ".repeat(room.saturating_sub(term::columns_of(&title)));
    writeln!(
        out,
        "   {} {}{pad}  {}",
        paint(level, Style::of_level(&result.rule_level), colored),
        paint(title, Style::Bold, colored),
        paint(right, Style::Dim, colored)
    )?;
    if let Some(context) = result.match_context.first() {
        write_context(out, context, width, colored)?;
    }
    if result.origins.keys().any(|origin| origin != "unknown") {
        let origins: Vec<String> =
            result.origins.iter().map(|(origin, count)| format!("{origin} {}", grouped(*count))).collect();
        writeln!(out, "{:17} {}", "", paint(format!("by {}", origins.join(", ")), Style::Dim, colored))?;
    }
    Ok(())
}

/// The event that fired, by what decided; else by its first values.
fn write_context(out: &mut dyn Write, context: &MatchContext, width: usize, colored: bool) -> io::Result<()> {
    let mut place = Vec::new();
    if let Some(time) = &context.time {
        place.push(time.get(..19).unwrap_or(time).replace('T', " "));
    }
    match (&context.channel, context.record_id) {
        (Some(channel), Some(id)) => place.push(format!("{} #{id}", short_channel(channel))),
        (None, Some(id)) => place.push(format!("record {id}")),
        (Some(channel), None) => place.push(short_channel(channel).to_owned()),
        (None, None) => {}
    }
    if !place.is_empty() {
        let line = fit(&place.join("  "), width.saturating_sub(18));
        writeln!(out, "{:17} {}", "", paint(line, Style::Dim, colored))?;
    }
    let mut shown = BTreeSet::new();
    for matched in &context.matched {
        let text = |key: &str| matched.get(key).and_then(Value::as_str).unwrap_or_default();
        let field = if text("field").is_empty() { "keyword" } else { text("field") };
        if shown.len() == 3 || !shown.insert(field.to_owned()) {
            continue;
        }
        write_value(out, field, text("value"), width, colored)?;
    }
    if shown.is_empty() {
        for (field, value) in context.values.iter().take(2) {
            write_value(out, field, value.as_str().unwrap_or_default(), width, colored)?;
        }
    }
    Ok(())
}

fn write_value(out: &mut dyn Write, field: &str, value: &str, width: usize, colored: bool) -> io::Result<()> {
    let field = fit(field, 30);
    let room = width.saturating_sub(18 + term::columns_of(&field) + 2).max(20);
    writeln!(out, "{:17} {}  {}", "", paint(&field, Style::Accent, colored), fit(value, room))
}

/// A channel without its vendor and its last part.
fn short_channel(channel: &str) -> &str {
    let name = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    name.strip_suffix("/Operational").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn channels_are_shown_short() {
        assert_eq!(short_channel("Microsoft-Windows-Sysmon/Operational"), "Sysmon");
        assert_eq!(short_channel("Security"), "Security");
    }
}
