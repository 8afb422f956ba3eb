//! Owns `rules coverage`: which share of the rules the events can feed that decoders and mappings make, which fields are
//! missing, and the same as a layer for the ATT&CK Navigator.

use super::{Paths, report_errors};
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::term::{self, Align, Style, Table};
use crate::{config, scan::grouped};
use clap::{Args, ValueEnum};
use sandsift_ingest::Mappings;
use sandsift_sigma::rule::{Expr, LogSource, Rule, Test};
use sandsift_sigma::{CrossPlatform, EventSource, Route, route};
use sandsift_worker::execute::techniques;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

/// Tell which share of the rules the mapped events can feed, and which fields are missing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift rules coverage sigma/rules\n  \
    sandsift rules coverage sigma/rules --events reports\n  \
    sandsift rules coverage --navigator layer.json\n\n\
    A rule is fed where some event of its logsource can make its condition true with the fields that it has.")]
pub struct Coverage {
    #[command(flatten)]
    paths: Paths,
    /// Which events count: those of event logs, those of reports and sensors by mapping, or all
    #[arg(long, value_enum, default_value_t)]
    events: Events,
    /// Write a layer for the ATT&CK Navigator to this file
    #[arg(long, value_name = "FILE")]
    navigator: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Events {
    #[default]
    All,
    Logs,
    Reports,
}

/// An event that a decoder or a mapping makes; logs hand on whatever fields they have.
struct Feed {
    source: Arc<EventSource>,
    fields: Option<BTreeSet<String>>,
}

/// The categories that Windows event logs feed: Sysmon's, PowerShell's, Defender's and those of the Security log.
const WINDOWS_LOGS: &[&str] = &[
    "antivirus",
    "clipboard_capture",
    "create_remote_thread",
    "create_stream_hash",
    "dns_query",
    "driver_load",
    "file_access",
    "file_block_executable",
    "file_block_shredding",
    "file_change",
    "file_delete",
    "file_delete_detected",
    "file_event",
    "file_executable_detected",
    "file_rename",
    "image_load",
    "network_connection",
    "pipe_created",
    "process_access",
    "process_creation",
    "process_tampering",
    "process_termination",
    "ps_classic_provider_start",
    "ps_classic_start",
    "ps_module",
    "ps_script",
    "raw_access_thread",
    "registry_add",
    "registry_delete",
    "registry_event",
    "registry_rename",
    "registry_set",
    "sysmon_error",
    "sysmon_status",
    "wmi_event",
];

/// The categories that Linux logs feed: Sysmon's for Linux and auditd's.
const LINUX_LOGS: &[&str] =
    &["file_delete", "file_event", "network_connection", "process_access", "process_creation", "process_termination"];

/// The services that Linux logs feed.
const LINUX_SERVICES: &[&str] = &["auditd", "auth", "cron", "sshd", "sudo", "syslog", "sysmon"];

#[derive(Debug, Serialize)]
struct Share {
    product: String,
    category: String,
    rules: usize,
    fed: usize,
    /// Fields that rules which are not fed ask for and no event of the logsource has, by how many rules ask.
    missing: BTreeMap<String, usize>,
}

pub fn run(global: &Global, args: &Coverage) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.paths.apply(&mut config);
    let assembly = config.assembly();
    let loaded = sandsift_worker::sources::load(&assembly.sources, assembly.shipped, assembly.options.clone());
    let errors = report_errors(&loaded.diagnostics);
    let ingest = assembly.assemble_ingest();
    let feeds = feeds(args.events, &ingest.mappings);
    let mut shares: BTreeMap<(String, String), Share> = BTreeMap::new();
    let mut by_technique: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for rule in loaded.rules.rules() {
        let verdict = judge(rule, &feeds);
        let product = rule.logsource.product.as_deref().unwrap_or("any").to_owned();
        let category =
            rule.logsource.category.as_deref().or(rule.logsource.service.as_deref()).unwrap_or("any").to_owned();
        let share = shares.entry((product.clone(), category.clone())).or_insert_with(|| Share {
            product,
            category,
            rules: 0,
            fed: 0,
            missing: BTreeMap::new(),
        });
        share.rules += 1;
        share.fed += usize::from(verdict.fed);
        for field in verdict.missing {
            *share.missing.entry(field).or_default() += 1;
        }
        for technique in techniques(&rule.metadata.tags) {
            let counts = by_technique.entry(technique).or_default();
            counts.0 += usize::from(verdict.fed);
            counts.1 += 1;
        }
    }
    if let Some(path) = &args.navigator {
        let text = serde_json::to_vec_pretty(&layer(&by_technique))?;
        std::fs::write(path, text)
            .map_err(|error| Failure::problem(format!("{}: cannot be written: {error}", path.display())))?;
    }
    print(global, &shares.into_values().collect::<Vec<_>>())?;
    Ok(Exit::problems_if(errors > 0))
}

/// Every kind of event that there can be.
fn feeds(events: Events, mappings: &Mappings) -> Vec<Feed> {
    let mut feeds = Vec::new();
    let mut log = |product: &str, category: Option<&str>, service: Option<&str>| {
        feeds.push(Feed { source: EventSource::new(Some(product), category, service), fields: None });
    };
    if events != Events::Reports {
        for category in WINDOWS_LOGS {
            log("windows", Some(category), Some("sysmon"));
        }
        for category in LINUX_LOGS {
            log("linux", Some(category), None);
        }
        for service in LINUX_SERVICES {
            log("linux", None, Some(service));
        }
    }
    if events != Events::Logs {
        for mapping in mappings.iter() {
            for (source, fields) in mapping.feeds() {
                let fields = fields.into_iter().map(str::to_owned).collect();
                feeds.push(Feed { source: Arc::new(source.clone()), fields: Some(fields) });
            }
        }
    }
    feeds
}

struct Verdict {
    fed: bool,
    missing: BTreeSet<String>,
}

fn judge(rule: &Rule, feeds: &[Feed]) -> Verdict {
    let mut missing: Option<BTreeSet<String>> = None;
    // The channels of Windows event logs are the services; what they are called is the decoder's knowledge.
    let is_channel =
        is(&rule.logsource, "windows") && rule.logsource.category.is_none() && rule.logsource.service.is_some();
    if is_channel && feeds.iter().any(|feed| feed.fields.is_none()) {
        return Verdict { fed: true, missing: BTreeSet::new() };
    }
    for feed in feeds {
        if route(&rule.logsource, &feed.source, CrossPlatform::None) != Some(Route::Direct) {
            continue;
        }
        let Some(fields) = &feed.fields else { return Verdict { fed: true, missing: BTreeSet::new() } };
        if possible(&rule.condition, rule, fields) {
            return Verdict { fed: true, missing: BTreeSet::new() };
        }
        let lacks: BTreeSet<String> = asked(rule).difference(fields).cloned().collect();
        if missing.as_ref().is_none_or(|least| lacks.len() < least.len()) {
            missing = Some(lacks);
        }
    }
    Verdict { fed: false, missing: missing.unwrap_or_default() }
}

fn is(logsource: &LogSource, product: &str) -> bool {
    logsource.product.as_deref() == Some(product)
}

/// Whether an event with these fields can make it true; what is negated can always be.
fn possible(expr: &Expr, rule: &Rule, fields: &BTreeSet<String>) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| possible(part, rule, fields)),
        Expr::Any(parts) => parts.iter().any(|part| possible(part, rule, fields)),
        Expr::AtLeast(count, parts) => parts.iter().filter(|part| possible(part, rule, fields)).count() >= *count,
        Expr::Not(_) => true,
        Expr::Selection(index) => rule.selections.get(*index).is_some_and(|part| possible(&part.body, rule, fields)),
        Expr::Constant(value) => *value,
        Expr::Test(predicate) => match (&predicate.field, &predicate.test) {
            (None, _) | (_, Test::Null | Test::Exists(false)) => true,
            (Some(field), _) => fields.contains(&**field),
        },
        #[allow(unreachable_patterns)]
        _ => true,
    }
}

/// Every field that a rule asks about.
fn asked(rule: &Rule) -> BTreeSet<String> {
    fn walk(expr: &Expr, names: &mut BTreeSet<String>) {
        match expr {
            Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                parts.iter().for_each(|part| walk(part, names))
            }
            Expr::Test(predicate) => names.extend(predicate.field.as_deref().map(str::to_owned)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    rule.selections.iter().for_each(|selection| walk(&selection.body, &mut names));
    names
}

/// A layer for the ATT&CK Navigator: a technique's score is how many of its rules are fed.
fn layer(by_technique: &BTreeMap<String, (usize, usize)>) -> Value {
    let most = by_technique.values().map(|(fed, _)| *fed).max().unwrap_or(1).max(1);
    let techniques: Vec<Value> = by_technique
        .iter()
        .map(|(id, (fed, all))| json!({"techniqueID": id, "score": fed, "comment": format!("{fed} of {all} rules are fed")}))
        .collect();
    json!({
        "name": "Sandsift coverage",
        "description": "How many rules of each technique the mapped events can feed",
        "versions": {"layer": "4.5", "navigator": "5.1.0", "attack": "17"},
        "domain": "enterprise-attack",
        "techniques": techniques,
        "gradient": {"colors": ["#ffffff", "#66b1ff", "#0d4a90"], "minValue": 0, "maxValue": most},
    })
}

fn print(global: &Global, shares: &[Share]) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let total: usize = shares.iter().map(|share| share.rules).sum();
    let fed: usize = shares.iter().map(|share| share.fed).sum();
    if matches!(global.format, Some(Format::Json | Format::Ndjson)) {
        let document = json!({"rules": total, "fed": fed, "shares": shares});
        serde_json::to_writer_pretty(&mut out, &document)?;
        writeln!(out)?;
    } else {
        let columns = [
            ("product", Align::Left),
            ("category", Align::Left),
            ("rules", Align::Right),
            ("fed", Align::Right),
            ("share", Align::Right),
            ("missing fields (rules that ask)", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for share in shares {
            let mut missing: Vec<_> = share.missing.iter().collect();
            missing.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            let missing: Vec<String> =
                missing.iter().take(6).map(|(field, count)| format!("{field} ({count})")).collect();
            let style = if share.fed == share.rules {
                Style::Good
            } else if share.fed == 0 {
                Style::Bad
            } else {
                Style::Medium
            };
            table.row(vec![
                (share.product.clone(), Style::Accent),
                (share.category.clone(), Style::Plain),
                (grouped(share.rules as u64), Style::Plain),
                (grouped(share.fed as u64), Style::Plain),
                (percent(share.fed, share.rules), style),
                (missing.join(" "), Style::Dim),
            ]);
        }
        table.write(&mut out, term::width(), term::stdout_colored())?;
        writeln!(
            out,
            "{} of {} rules can be fed ({})",
            grouped(fed as u64),
            grouped(total as u64),
            percent(fed, total)
        )?;
    }
    out.flush()?;
    Ok(())
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.0}%", 100.0 * part as f64 / whole.max(1) as f64)
}
