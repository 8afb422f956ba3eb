//! Owns `rules list`: which rules there are, by level, tag, logsource, status and source.

use super::{Paths, level_rank, report_errors};
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::term::{self, Align, Style, Table};
use crate::{config, scan::grouped};
use clap::Args;
use sandsift_sigma::rule::{LogSource, Metadata, Origin};
use sandsift_worker::execute::techniques;
use sandsift_worker::shipped;
use sandsift_worker::sources::load;
use serde::Serialize;
use std::io::Write as _;

/// List rules, by level, tag, logsource, status and source
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift rules list --level high\n  \
    sandsift rules list sigma/rules --logsource product=linux,category=process_creation --tag attack.t1053\n  \
    sandsift rules list --format json")]
pub struct List {
    #[command(flatten)]
    paths: Paths,
    /// Only this level and above
    #[arg(long, value_parser = ["informational", "low", "medium", "high", "critical"], value_name = "LEVEL")]
    level: Option<String>,
    /// Only rules with this tag, or one below it, such as attack.t1059 (may be repeated: any)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Only rules for this logsource, such as product=windows,category=file_event
    #[arg(long, value_parser = crate::scan::parse_logsource, value_name = "KEY=VALUE,…")]
    logsource: Option<sandsift_worker::execute::LogSource>,
    /// Only rules of this status (may be repeated: any)
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only rules of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only rules whose title or id holds this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

#[derive(Serialize)]
struct Row {
    id: String,
    title: String,
    level: String,
    status: String,
    kind: &'static str,
    logsource: LogSource,
    tags: Vec<String>,
    author: String,
    source: String,
    licence: String,
    file: String,
    line: u32,
}

pub fn run(global: &Global, args: &List) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.paths.apply(&mut config);
    let assembly = config.assembly();
    let loaded = load(&assembly.sources, assembly.shipped, assembly.options.clone());
    let errors = report_errors(&loaded.diagnostics);
    let licence = |metadata: &Metadata, origin: &Origin| {
        let of_source = || {
            let source = assembly.sources.iter().find(|source| *source.name == *origin.source);
            match source {
                Some(source) => source.licence.clone().unwrap_or_default(),
                None if &*origin.source == shipped::SOURCE => shipped::LICENCE.to_owned(),
                None => String::new(),
            }
        };
        metadata.license.clone().unwrap_or_else(of_source)
    };
    let row = |id: String, metadata: &Metadata, origin: &Origin, kind, logsource: LogSource| Row {
        id,
        title: metadata.title.clone(),
        level: metadata.level.map_or("informational".to_owned(), |level| format!("{level:?}").to_lowercase()),
        status: metadata.status.clone().unwrap_or_default(),
        kind,
        logsource,
        tags: metadata.tags.clone(),
        author: metadata.author.clone().unwrap_or_default(),
        source: origin.source.to_string(),
        licence: licence(metadata, origin),
        file: origin.file.to_string(),
        line: origin.line,
    };
    let rules = loaded.rules.rules().iter();
    let correlations = loaded.rules.correlations().iter();
    let mut rows: Vec<Row> = rules
        .map(|rule| row(rule.id.to_string(), &rule.metadata, &rule.origin, "rule", rule.logsource.clone()))
        .chain(correlations.map(|correlation| {
            let id = correlation.id.to_string();
            row(id, &correlation.metadata, &correlation.origin, "correlation", LogSource::default())
        }))
        .filter(|row| args.takes(row))
        .collect();
    rows.sort_by(|a, b| level_rank(&b.level).cmp(&level_rank(&a.level)).then_with(|| a.title.cmp(&b.title)));
    print(global.format, &rows)?;
    Ok(Exit::problems_if(errors > 0))
}

impl List {
    fn takes(&self, row: &Row) -> bool {
        let below = |tag: &String, wanted: &String| {
            let (tag, wanted) = (tag.to_lowercase(), wanted.to_lowercase());
            tag == wanted || tag.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('.'))
        };
        let same = |wanted: &Option<String>, have: &Option<Box<str>>| {
            wanted.as_ref().is_none_or(|wanted| have.as_deref() == Some(wanted))
        };
        self.level.as_ref().is_none_or(|level| level_rank(&row.level) >= level_rank(level))
            && (self.tag.is_empty() || row.tags.iter().any(|tag| self.tag.iter().any(|wanted| below(tag, wanted))))
            && self.logsource.as_ref().is_none_or(|wanted| {
                same(&wanted.product, &row.logsource.product)
                    && same(&wanted.category, &row.logsource.category)
                    && same(&wanted.service, &row.logsource.service)
            })
            && (self.status.is_empty() || self.status.contains(&row.status))
            && self.source.as_ref().is_none_or(|source| row.source.eq_ignore_ascii_case(source))
            && self.search.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                row.title.to_lowercase().contains(&text) || row.id.contains(&text)
            })
    }
}

fn print(format: Option<Format>, rows: &[Row]) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Some(Format::Json) => {
            serde_json::to_writer_pretty(&mut out, rows)?;
            writeln!(out)?;
        }
        Some(Format::Ndjson) => {
            for row in rows {
                serde_json::to_writer(&mut out, row)?;
                writeln!(out)?;
            }
        }
        _ => {
            let columns = ["level", "title", "logsource", "att&ck", "status", "source", "id"];
            let mut table = Table::new(&columns.map(|name| (name, Align::Left)));
            for row in rows {
                let LogSource { product, category, service } = &row.logsource;
                let logsource: Vec<&str> =
                    [product, category, service].into_iter().flatten().map(|part| &**part).collect();
                let logsource = if row.kind == "correlation" { "correlation".to_owned() } else { logsource.join("/") };
                table.row(vec![
                    (row.level.clone(), Style::of_level(&row.level)),
                    (row.title.clone(), Style::Plain),
                    (logsource, Style::Accent),
                    (techniques(&row.tags).join(" "), Style::Plain),
                    (row.status.clone(), Style::Dim),
                    (row.source.clone(), Style::Dim),
                    (row.id.clone(), Style::Dim),
                ]);
            }
            table.write(&mut out, term::width().max(150), term::stdout_colored())?;
            writeln!(out, "{} rules", grouped(rows.len() as u64))?;
        }
    }
    out.flush()?;
    Ok(())
}
