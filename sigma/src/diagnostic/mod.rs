//! Owns what is said about a rule file: a stable code, a severity, a place, the text in question and the remedy.

mod sarif;
mod text;

pub use sarif::sarif;
pub use text::text;

use serde::Serialize;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Style and convention.
    Note,
    /// The rule loads, but may not do what its author meant.
    Warning,
    /// The rule was left out.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One finding about a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Stable, such as `unknown-modifier`; `docs/sigma.md` lists all.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file as it was named to the loader.
    pub file: Arc<str>,
    /// From 1; 0 where the finding is about the file as a whole.
    pub line: u32,
    /// From 1, in characters; 0 where the finding is about the line as a whole.
    pub column: u32,
    /// The text in question, cut to a line.
    pub text: String,
    /// The whole line of the file, cut to a bearable length; empty where there is none.
    pub source_line: String,
    /// What is wrong: lower case, without a final period.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// The rule that it is about, where one could be read.
    pub rule: Option<String>,
}

impl Diagnostic {
    /// A finding about a file as a whole.
    pub fn of_file(
        code: &'static str,
        severity: Severity,
        file: impl Into<Arc<str>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            file: file.into(),
            line: 0,
            column: 0,
            text: String::new(),
            source_line: String::new(),
            message: message.into(),
            help: help.into(),
            rule: None,
        }
    }
}

/// Findings as a JSON list, with the fields of [`Diagnostic`].
pub fn json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    // Every field is plain data, so there is nothing that could fail.
    serde_json::to_value(diagnostics).unwrap_or_default()
}
