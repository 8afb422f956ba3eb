//! Owns findings as text for people: the line, a caret under what is meant, and the remedy.

use super::{Diagnostic, Severity};
use std::fmt::Write;

/// Writes findings one after the other, as compilers do; `colour` adds terminal colours.
///
/// Text that comes from rule files is shown without control characters, since anyone may have written it.
pub fn text(diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut out = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(&mut out, diagnostic, colour);
    }
    out
}

fn one(out: &mut String, diagnostic: &Diagnostic, colour: bool) {
    let (mark, bold, faint, end) = match (colour, diagnostic.severity) {
        (false, _) => ("", "", "", ""),
        (true, Severity::Error) => ("\u{1b}[1;31m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[0m"),
        (true, Severity::Warning) => ("\u{1b}[1;33m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[0m"),
        (true, Severity::Note) => ("\u{1b}[1;36m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[0m"),
    };
    let Diagnostic { code, severity, line, column, .. } = diagnostic;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{mark}{}[{code}]{end}{bold}: {}{end}", severity.name(), plain(&diagnostic.message));
    let _ = write!(out, "  {faint}-->{end} {}", plain(&diagnostic.file));
    if *line > 0 {
        let _ = write!(out, ":{line}");
        if *column > 0 {
            let _ = write!(out, ":{column}");
        }
    }
    out.push('\n');
    let margin = line.to_string().len();
    if *line > 0 && !diagnostic.source_line.is_empty() {
        let _ = writeln!(out, "{faint}{:margin$} |{end}", "");
        let _ = writeln!(out, "{faint}{line} |{end} {}", plain(&diagnostic.source_line));
        if let Some((before, width)) = underline(diagnostic) {
            let _ = writeln!(out, "{faint}{:margin$} |{end} {:before$}{mark}{}{end}", "", "", "^".repeat(width));
        }
        let _ = writeln!(out, "{faint}{:margin$} |{end}", "");
    }
    if !diagnostic.help.is_empty() {
        let _ = writeln!(out, "{:margin$} {faint}={end} help: {}", "", plain(&diagnostic.help));
    }
    if let Some(rule) = &diagnostic.rule {
        let _ = writeln!(out, "{:margin$} {faint}={end} rule: {}", "", plain(rule));
    }
}

/// How many characters stand before the caret, and how wide it is.
fn underline(diagnostic: &Diagnostic) -> Option<(usize, usize)> {
    let before = (diagnostic.column as usize).checked_sub(1)?;
    let rest = diagnostic.source_line.char_indices().nth(before).map(|(at, _)| &diagnostic.source_line[at..])?;
    let width = if !diagnostic.text.is_empty() && rest.starts_with(&diagnostic.text) {
        diagnostic.text.chars().count()
    } else {
        1
    };
    Some((before, width))
}

/// The text with one visible character in place of each control character.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_cannot_steer_a_terminal() {
        let finding = Diagnostic::of_file("invalid-yaml", Severity::Error, "a\u{1b}[2J.yml", "x\u{202e}y", "");
        assert_eq!(text(&[finding], false), "error[invalid-yaml]: x\u{fffd}y\n  --> a\u{fffd}[2J.yml\n");
    }
}
