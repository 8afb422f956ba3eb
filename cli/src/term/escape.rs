//! Owns the escaping of text for a terminal: control characters, and what changes a line's direction or hides, are
//! shown as escapes, so that a file name or a command line cannot move the cursor or pretend to be something else.

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar as _;

/// A text without anything that a terminal would obey.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// An escaped text of at most so many columns, cut with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    // A character has at least a column once it is escaped, so that more than this can never be shown.
    let head: String = text.chars().take(columns + 1).collect();
    let safe = escape(&head);
    let mut fitted = String::new();
    let mut used = 0;
    let total = columns_of(&safe);
    if total <= columns && head.len() == text.len() {
        return safe.into_owned();
    }
    for c in safe.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        fitted.push(c);
    }
    fitted.push('…');
    fitted
}

/// How many columns a text takes.
pub fn columns_of(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_was_escaped() {
        let hostile = "a\x1b]0;owned\x07\r\n\u{202e}gpj.exe\u{9b}31m";
        let safe = escape(hostile);
        assert!(!safe.chars().any(is_unsafe), "{safe}");
        assert_eq!(escape("plain äöü 漢字"), "plain äöü 漢字");
    }

    #[test]
    fn a_text_is_cut_by_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert!(columns_of(&fit(&"\x1b".repeat(1000), 20)) <= 20);
    }
}
