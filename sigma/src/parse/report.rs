//! Owns the collecting of findings while a file is read: where they stand, which rule they are about, and a bound.

use crate::diagnostic::{Diagnostic, Severity};
use crate::yaml::Mark;
use std::sync::Arc;

/// How many findings are kept for one file; errors have five times the room.
const MAX_FINDINGS: usize = 200;
/// How many tests the rules of one file may come to, after lists, placeholders and encodings.
const MAX_TESTS: usize = 2_000_000;
/// How many characters of a text or a line a finding carries.
const MAX_TEXT: usize = 200;

/// What is wrong and what to do, without the place.
#[derive(Debug)]
pub(crate) struct Problem {
    pub code: &'static str,
    pub message: String,
    pub help: String,
}

impl Problem {
    pub fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

/// Collects the findings of one file.
#[derive(Debug)]
pub(crate) struct Report<'t> {
    file: Arc<str>,
    text: &'t str,
    /// The rule that is read now, by its title or id.
    pub rule: Option<String>,
    pub diagnostics: Vec<Diagnostic>,
    /// Where each line but the first starts.
    line_starts: Vec<usize>,
    tests: usize,
}

impl<'t> Report<'t> {
    pub fn new(file: Arc<str>, text: &'t str) -> Self {
        let line_starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        Self { file, text, rule: None, diagnostics: Vec::new(), line_starts, tests: 0 }
    }

    /// Counts what the rules of the file come to, so that no small text makes a huge rule.
    pub fn spend(&mut self, tests: usize) -> Result<(), Problem> {
        self.tests = self.tests.saturating_add(tests);
        if self.tests <= MAX_TESTS {
            return Ok(());
        }
        let message = format!("the rules of the file come to more than {MAX_TESTS} tests");
        Err(Problem::new("too-many-variants", message, "split the file, shorten the lists, or use fewer encodings"))
    }

    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The lines from `first` up to `end`, both from 1.
    pub fn lines(&self, first: u32, end: u32) -> &'t str {
        let start_of = |line: u32| match line {
            0 | 1 => 0,
            _ => self.line_starts.get(line as usize - 2).copied().unwrap_or(self.text.len()),
        };
        let end = if end == u32::MAX { self.text.len() } else { start_of(end) };
        self.text.get(start_of(first)..end).unwrap_or_default()
    }

    pub fn error(&mut self, mark: Mark, text: &str, problem: Problem) {
        self.push(Severity::Error, mark, text, problem);
    }

    pub fn warning(&mut self, mark: Mark, text: &str, problem: Problem) {
        self.push(Severity::Warning, mark, text, problem);
    }

    pub fn note(&mut self, mark: Mark, text: &str, problem: Problem) {
        self.push(Severity::Note, mark, text, problem);
    }

    fn push(&mut self, severity: Severity, mark: Mark, text: &str, problem: Problem) {
        let room = if severity == Severity::Error { 5 * MAX_FINDINGS } else { MAX_FINDINGS };
        if self.diagnostics.len() >= room {
            return self.too_many(severity);
        }
        let line = if mark.line == 0 { "" } else { self.lines(mark.line, mark.line.saturating_add(1)) };
        let column = place(line, mark.column, text).unwrap_or(mark.column);
        self.keep(Diagnostic {
            code: problem.code,
            severity,
            file: Arc::clone(&self.file),
            line: mark.line,
            column,
            text: cut(text),
            source_line: cut(line.trim_end_matches(['\n', '\r'])),
            message: problem.message,
            help: problem.help,
            rule: self.rule.clone(),
        });
    }

    fn keep(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Says once that there are more errors than are shown.
    fn too_many(&mut self, severity: Severity) {
        let code = "too-many-findings";
        if severity == Severity::Error && self.diagnostics.last().is_some_and(|last| last.code != code) {
            let message = format!("more than {} findings in one file; the rest is not shown", self.diagnostics.len());
            let file = Arc::clone(&self.file);
            self.keep(Diagnostic::of_file(code, severity, file, message, "correct these first"));
        }
    }
}

/// Where in the line the text in question stands, as a word of its own if it does so, at or after the node's column.
fn place(line: &str, column: u32, text: &str) -> Option<u32> {
    let text = text.lines().next().filter(|text| !text.is_empty())?;
    let skip = (column as usize).checked_sub(1)?;
    let (from, _) = line.char_indices().nth(skip)?;
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*');
    let is_word = |at: usize| {
        !line[..at].chars().next_back().is_some_and(word) && !line[at + text.len()..].chars().next().is_some_and(word)
    };
    let mut places = line[from..].match_indices(text).map(|(at, _)| from + at).take(64);
    let at = places.clone().find(|at| is_word(*at)).or_else(|| places.next())?;
    u32::try_from(line[..at].chars().count() + 1).ok()
}

/// The first line of a text, cut to a length that a terminal and a log bear.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
