//! Owns `rules explain`: which selection, which field, which pattern decided, and why not.

use super::report_errors;
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::{config, term};
use clap::Args;
use sandsift_ingest::Limits;
use sandsift_ingest::ndjson::Decoder;
use sandsift_sigma::rule::Rule;
use sandsift_sigma::{Event, EventSource, RuleIndex, RuleSet, route};
use sandsift_worker::execute::LogSource;
use sandsift_worker::sources::{Source, load};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Say why a rule matches an event, or why it does not
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift rules explain my-rule.yml '{\"Image\": \"/usr/bin/crontab\", \"CommandLine\": \"crontab -l\"}'\n  \
    sandsift rules explain 403ed92c-b7ec-4edd-9947-5b535ee12d46 event.json --rules sigma/rules\n\n\
    Ends with 0 where the rule matches, with 1 where it does not.")]
pub struct Explain {
    /// The rule: a file, an id or a title
    #[arg(value_name = "RULE")]
    rule: String,
    /// The event: JSON with Sigma's field names, a file of it, or - for stdin
    #[arg(value_name = "EVENT")]
    event: String,
    #[command(flatten)]
    rules: super::Selection,
    /// What the event answers to [default: the rule's own logsource]
    #[arg(long, value_parser = crate::scan::parse_logsource, value_name = "KEY=VALUE,…")]
    logsource: Option<LogSource>,
}

pub fn run(global: &Global, args: &Explain) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.rules.apply(&mut config);
    let is_file = Path::new(&args.rule).is_file();
    if is_file {
        config.rules.sources = vec![Source::from_argument(&args.rule)];
        config.rules.shipped = false;
    }
    let assembly = config.assembly();
    let loaded = load(&assembly.sources, assembly.shipped, assembly.options.clone());
    let wanted: Vec<RuleIndex> = find(&loaded.rules, (!is_file).then_some(&args.rule));
    if wanted.is_empty() {
        report_errors(&loaded.diagnostics);
        return Err(Failure::usage(format!(
            "no rule '{}'; name a file, an id or a title, and the rules by --rules",
            args.rule
        )));
    }
    let mut all = true;
    for index in wanted {
        let rule = loaded.rules.rule(index);
        let mut event = read_event(&args.event)?;
        event.set_source(&match &args.logsource {
            Some(given) => source(given),
            None => source_of(rule),
        });
        all &= explain(global, &loaded.rules, index, &event)?;
    }
    Ok(Exit::problems_if(!all))
}

fn find(rules: &RuleSet, name: Option<&String>) -> Vec<RuleIndex> {
    let takes = |rule: &Rule| {
        name.is_none_or(|name| {
            name.eq_ignore_ascii_case(&rule.id.to_string()) || name.eq_ignore_ascii_case(&rule.metadata.title)
        })
    };
    (0..).zip(rules.rules()).filter(|(_, rule)| takes(rule)).map(|(index, _)| RuleIndex(index)).collect()
}

/// Reads one event.
pub fn read_event(argument: &str) -> Result<Event, Failure> {
    let bytes = if argument.trim_start().starts_with('{') {
        argument.as_bytes().to_vec()
    } else if argument == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| Failure::problem(format!("stdin: {error}")))?;
        bytes
    } else {
        std::fs::read(argument)
            .map_err(|error| Failure::problem(format!("event {argument}: cannot be read: {error}")))?
    };
    decode(&bytes)
        .map_err(|error| Failure::usage(format!("event: {error}; one JSON object with Sigma's field names is wanted")))
}

/// Fills an event from a JSON object.
pub fn decode(bytes: &[u8]) -> Result<Event, String> {
    let mut event = Event::new();
    let bytes = bytes.trim_ascii();
    Decoder::new(&Limits::default()).decode(bytes, &mut event).map_err(|error| error.to_string())?;
    Ok(event)
}

/// What an event must answer to for a rule to be asked.
pub fn source_of(rule: &Rule) -> std::sync::Arc<EventSource> {
    let logsource = &rule.logsource;
    EventSource::new(logsource.product.as_deref(), logsource.category.as_deref(), logsource.service.as_deref())
}

/// The source that a logsource names.
pub fn source(given: &LogSource) -> std::sync::Arc<EventSource> {
    EventSource::new(given.product.as_deref(), given.category.as_deref(), given.service.as_deref())
}

fn explain(global: &Global, rules: &RuleSet, index: RuleIndex, event: &Event) -> Result<bool, Failure> {
    let rule = rules.rule(index);
    let routed = route(&rule.logsource, event.source(), rules.options().cross_platform).is_some();
    let tree = rules.explain_all(event, index);
    let matches = routed && tree.holds;
    let mut out = std::io::stdout().lock();
    if matches!(global.format, Some(Format::Json | Format::Ndjson)) {
        let document = json!({
            "rule_id": rule.id, "rule_title": rule.metadata.title, "match": matches, "logsource": routed,
            "matched": if matches { rules.explain(event, index) } else { Vec::new() }, "condition": tree,
        });
        serde_json::to_writer(&mut out, &document)?;
        writeln!(out)?;
        return Ok(matches);
    }
    let colored = term::stdout_colored();
    let verdict = if matches {
        term::paint("matches", term::Style::Good, colored)
    } else {
        term::paint("does not match", term::Style::Bad, colored)
    };
    writeln!(out, "{} {verdict}", term::paint(term::escape(&rule.metadata.title), term::Style::Bold, colored))?;
    if !routed {
        writeln!(out, "- the event's logsource is not the rule's")?;
    }
    for line in tree.to_string().lines() {
        let style = if line.trim_start().starts_with('+') { term::Style::Good } else { term::Style::Dim };
        writeln!(out, "  {}", term::paint(term::escape(line), style, colored))?;
    }
    Ok(matches)
}
