//! Owns `rules check`: what the loader and the lints say about rules, as text, JSON or SARIF.

use super::Paths;
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::{config, term};
use clap::Args;
use sandsift_sigma::{Diagnostic, Severity, SourceFile, diagnostic, lint};
use sandsift_worker::shipped;
use sandsift_worker::sources::{is_rule_file, load, walk};
use std::io::Write as _;

/// Check rules as a compiler would: what does not load and why, and what may not do what was meant
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sandsift rules check my-rules/\n  \
    sandsift rules check --format sarif sigma/rules > rules.sarif\n\n\
    Ends with 1 where a rule does not load, with --strict where there is a warning, too.\n\
    Formats: text (default), json, ndjson, sarif.")]
pub struct Check {
    #[command(flatten)]
    paths: Paths,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Say only what keeps rules from loading
    #[arg(long, conflicts_with_all = ["strict", "notes"])]
    errors: bool,
    /// Say what is only style, too
    #[arg(long)]
    notes: bool,
    /// Understand Sigma's drafts
    #[arg(long)]
    drafts: bool,
}

pub fn run(global: &Global, args: &Check) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    args.paths.apply(&mut config);
    config.rules.drafts |= args.drafts;
    let assembly = config.assembly();
    let loaded = load(&assembly.sources, assembly.shipped, assembly.options.clone());
    let mut findings = loaded.diagnostics;
    if !args.errors {
        if assembly.shipped {
            for file in shipped::files(shipped::Class::Rule) {
                let name = format!("shipped:{}", file.path);
                findings.extend(lint::file(&SourceFile { source: shipped::SOURCE, file: &name, text: file.bytes }));
            }
        }
        for source in assembly.sources.iter().filter(|source| source.enabled) {
            for file in walk(&source.path).0.iter().filter(|file| is_rule_file(&file.relative)) {
                // What cannot be read was said by the loader.
                let Ok(text) = std::fs::read(&file.path) else { continue };
                let name = file.path.display().to_string();
                findings.extend(lint::file(&SourceFile { source: &source.name, file: &name, text: &text }));
            }
        }
        findings.extend(lint::rules(&loaded.rules));
    }
    let least = match (args.errors, args.notes) {
        (true, _) => Severity::Error,
        (_, true) => Severity::Note,
        _ => Severity::Warning,
    };
    findings.retain(|finding| finding.severity >= least);
    findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
    findings.dedup();
    print(global.format, &findings)?;
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    term::note(format!(
        "{} files, {} rules loaded: {errors} errors, {warnings} warnings, {} notes",
        loaded.files,
        loaded.rules.rules().len() + loaded.rules.correlations().len(),
        count(Severity::Note)
    ));
    Ok(Exit::problems_if(errors > 0 || (args.strict && warnings > 0)))
}

fn print(format: Option<Format>, findings: &[Diagnostic]) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Some(Format::Json) => {
            serde_json::to_writer_pretty(&mut out, findings)?;
            writeln!(out)?;
        }
        Some(Format::Ndjson) => {
            for finding in findings {
                serde_json::to_writer(&mut out, finding)?;
                writeln!(out)?;
            }
        }
        Some(Format::Sarif) => {
            serde_json::to_writer_pretty(&mut out, &diagnostic::sarif(findings, env!("CARGO_PKG_VERSION")))?;
            writeln!(out)?;
        }
        _ => out.write_all(diagnostic::text(findings, term::stdout_colored()).as_bytes())?,
    }
    out.flush()?;
    Ok(())
}
