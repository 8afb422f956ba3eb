//! Owns the difference between PCRE, in which rules are written, and crate `regex`: what PCRE reads as a literal, what
//! its classes hold, and what only a backtracking engine can do.
//!
//! `\d \w \s \b` are ASCII, as in PCRE without `(*UCP)`; `.` and literals are characters.

use regex_syntax::hir::{Hir, HirKind};
use std::iter::Peekable;
use std::str::Chars;

/// A weight below which a compiled program is surely within its limit.
pub(super) const SURELY_SMALL: u64 = 20_000;

/// An estimate of a program's size that is never far too small: states by class ranges and repetitions.
pub(super) fn weight(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => 2 * class.ranges().len() as u64,
        HirKind::Class(regex_syntax::hir::Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            weight(&repetition.sub).saturating_add(1).saturating_mul(u64::from(times))
        }
        HirKind::Capture(capture) => 2 + weight(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum, part| weight(part).saturating_add(sum))
        }
    }
}

/// Whether the pattern holds look-around, a back-reference, or a possessive or atomic part.
pub(super) fn needs_backtracking(pattern: &str) -> bool {
    const GROUPS: [&str; 6] = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?("];
    let mut class = false;
    let mut after_quantifier = false;
    let mut at = 0;
    while let Some(c) = pattern[at..].chars().next() {
        let rest = &pattern[at..];
        at += c.len_utf8();
        let quantifier = std::mem::take(&mut after_quantifier);
        match c {
            '\\' => {
                let Some(escaped) = pattern[at..].chars().next() else { return false };
                if escaped == 'Q' {
                    at = pattern[at..].find("\\E").map_or(pattern.len(), |end| at + end + 2);
                    continue;
                }
                if !class && matches!(escaped, '1'..='9' | 'k' | 'g' | 'K' | 'G') {
                    return true;
                }
                at += escaped.len_utf8();
            }
            '[' if !class => {
                class = true;
                // A bracket that stands first is a literal.
                let start = pattern[at..].strip_prefix('^').unwrap_or(&pattern[at..]);
                at = pattern.len() - start.strip_prefix(']').unwrap_or(start).len();
            }
            ']' => class = false,
            _ if class => {}
            '(' if GROUPS.iter().any(|group| rest.starts_with(group)) => return true,
            '+' if quantifier => return true,
            '*' | '+' | '?' => after_quantifier = !quantifier,
            '{' => {
                if let Some(length) = counted(rest) {
                    at += length - 1;
                    after_quantifier = true;
                }
            }
            _ => {}
        }
    }
    false
}

/// The length of a counted repetition such as `{2,5}` at the start of a text.
fn counted(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then_some(end + 1)
}

/// Writes the pattern in the syntax of crate `regex`; `linear` is off for the backtracking engine, which has its own
/// reading of word boundaries.
pub(super) fn translate(pattern: &str, linear: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out, linear),
            '[' => class(&mut chars, &mut out),
            ']' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '{' => match counted_here(&chars) {
                Some(quantifier) => {
                    for _ in 1..quantifier.len() {
                        chars.next();
                    }
                    out.push_str(&quantifier);
                }
                None => out.push_str("\\{"),
            },
            '(' => group(&mut chars, &mut out),
            _ => out.push(c),
        }
    }
    out
}

fn counted_here(chars: &Peekable<Chars<'_>>) -> Option<String> {
    let text: String = std::iter::once('{').chain(chars.clone().take(24)).collect();
    counted(&text).map(|length| text[..length].to_owned())
}

/// A comment group is dropped; others are the same in both.
fn group(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut ahead = chars.clone();
    if ahead.next() == Some('?') && ahead.next() == Some('#') {
        for c in chars.by_ref() {
            if c == ')' {
                return;
            }
        }
        return;
    }
    out.push('(');
}

fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String, linear: bool) {
    let Some(c) = chars.next() else {
        out.push('\\');
        return;
    };
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\x0B\f\r ]"),
        'S' => out.push_str(r"[^\t\n\x0B\f\r ]"),
        'h' => out.push_str(r"[\t \x{A0}]"),
        'H' => out.push_str(r"[^\t \x{A0}]"),
        'R' => out.push_str(r"(?:\r\n|[\n\x0B\f\r\x{85}\x{2028}\x{2029}])"),
        'N' => out.push_str(r"[^\n]"),
        'b' if linear => out.push_str(r"(?-u:\b)"),
        'e' => out.push_str(r"\x1B"),
        'Z' => out.push_str(r"(?:\n?\z)"),
        '0' => octal(chars, out),
        'Q' => quoted(chars, out),
        'E' => {}
        'c' => match chars.next() {
            Some(letter) if letter.is_ascii() => {
                let control = letter.to_ascii_uppercase() as u8 ^ 0x40;
                out.push_str(&format!("\\x{control:02X}"));
            }
            _ => out.push_str("\\c"),
        },
        _ => literal_or_kept(c, out),
    }
}

/// An escaped character that is no letter or digit is itself; letters keep their meaning.
fn literal_or_kept(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() || regex_syntax::is_meta_character(c) {
        out.push('\\');
    }
    out.push(c);
}

fn octal(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut value = 0;
    for _ in 0..2 {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        chars.next();
    }
    out.push_str(&format!("\\x{value:02X}"));
}

fn quoted(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            return;
        }
        if regex_syntax::is_meta_character(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Copies a bracketed class; what is an operator only in crate `regex` (`[`, `&&`, `--`, `~~`) becomes a literal.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '[' => match posix(chars) {
                Some(name) => {
                    out.push_str(&name);
                    literal_hyphen(chars, out);
                }
                None => out.push_str("\\["),
            },
            '\\' => class_escape(chars, out),
            '-' if first || chars.peek() == Some(&']') => out.push_str("\\-"),
            ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        first = false;
    }
}

/// The rest of `[:alpha:]` and its like.
fn posix(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let name: String = chars.clone().take_while(|&c| c != ']').collect();
    let inner = name.strip_prefix(':')?.strip_suffix(':')?;
    let known = inner.strip_prefix('^').unwrap_or(inner);
    if known.is_empty() || !known.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    for _ in 0..=name.chars().count() {
        chars.next();
    }
    Some(format!("[{name}]"))
}

fn class_escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let Some(c) = chars.next() else {
        out.push('\\');
        return;
    };
    let set = match c {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\x0B\f\r ",
        'h' => r"\t \x{A0}",
        'D' => "[^0-9]",
        'W' => "[^0-9A-Za-z_]",
        'S' => r"[^\t\n\x0B\f\r ]",
        'b' => r"\x08",
        'e' => r"\x1B",
        '0' => return octal(chars, out),
        'Q' | 'E' => "",
        _ => return literal_or_kept(c, out),
    };
    out.push_str(set);
    if c != 'b' && c != 'e' {
        literal_hyphen(chars, out);
    }
}

/// After a set a hyphen cannot start a range, so PCRE takes it literally.
fn literal_hyphen(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    if chars.peek() == Some(&'-') {
        chars.next();
        out.push_str("\\-");
    }
}
