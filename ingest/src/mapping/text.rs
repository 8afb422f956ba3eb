//! Owns the text of a report: byte order marks, wrong encodings and lone surrogates are put right before anything is
//! parsed, and documents are found one after another, with a way on behind a broken one. Knows nothing of mappings.

use memchr::{memchr, memmem};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The text of an artifact, and what had to be put right to read it.
pub(crate) struct Text<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Why characters were replaced, if any were.
    pub(crate) repaired: Option<&'static str>,
}

/// Decodes the bytes of a report: UTF-8 with or without a mark, UTF-16 with one; what is neither is read as UTF-8
/// with replacement characters. Costs a copy only where something is wrong.
pub(crate) fn decode(bytes: &[u8]) -> Text<'_> {
    let (text, repaired) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_le_bytes)), None),
        [0xFE, 0xFF, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_be_bytes)), None),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            match String::from_utf8_lossy(bytes) {
                Cow::Borrowed(text) => (Cow::Borrowed(text), None),
                Cow::Owned(text) => (Cow::Owned(text), Some("not UTF-8: bytes replaced")),
            }
        }
    };
    match without_lone_surrogates(&text) {
        Some(clean) => Text { text: Cow::Owned(clean), repaired: Some("lone surrogates replaced") },
        None => Text { text, repaired },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Replaces escapes such as `\udc80`, which Python writes for file names that are not UTF-8 and which no strict parser
/// accepts; `None` where there is none.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unit = |at: usize| -> Option<u16> {
        let digits = bytes.get(at + 2..at + 6)?;
        if bytes.get(at..at + 2) != Some(b"\\u") || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut clean: Option<String> = None;
    let mut copied = 0;
    let mut skip_to = 0;
    for at in memmem::find_iter(bytes, b"\\u") {
        if at < skip_to {
            continue;
        }
        let backslashes = bytes[..at].iter().rev().take_while(|b| **b == b'\\').count();
        let Some(first @ 0xD800..=0xDFFF) = unit(at).filter(|_| backslashes % 2 == 0) else { continue };
        if first < 0xDC00 && matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) {
            skip_to = at + 12;
            continue;
        }
        let clean = clean.get_or_insert_with(|| String::with_capacity(text.len()));
        clean.push_str(&text[copied..at]);
        clean.push_str("\\ufffd");
        copied = at + 6;
        skip_to = copied;
    }
    clean.map(|mut clean| {
        clean.push_str(&text[copied..]);
        clean
    })
}

/// One JSON document of an artifact, which may have any number, on lines of their own or not.
pub(crate) struct Document<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The line on which it starts, from 1.
    pub(crate) line: u64,
    /// Why it does not parse to its end; what stands before the error can still be read.
    pub(crate) error: Option<String>,
}

/// Finds the documents in a text.
///
/// Behind a broken one it goes on at the next line that opens one, so that a cut line or a comment costs itself
/// alone. Linear: a document that breaks far behind its first line is allowed a fixed number of times, later ones
/// must stand on one line.
pub(crate) struct Documents<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    counted: usize,
    far_breaks: u32,
}

/// How many documents may break behind their first line before each must stand on one.
const FAR_BREAKS: u32 = 16;

impl<'a> Documents<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, counted: 0, far_breaks: 0 }
    }

    fn line_of(&mut self, at: usize) -> u64 {
        self.line += memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.counted..at]).count() as u64;
        self.counted = at;
        self.line
    }

    fn end_of_line(&self, from: usize) -> usize {
        memchr(b'\n', &self.text.as_bytes()[from..]).map_or(self.text.len(), |i| from + i)
    }

    /// The next line behind `from` that opens a document.
    fn next_opening(&self, from: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.end_of_line(from);
        while at + 1 < bytes.len() && !matches!(bytes[at + 1], b'{' | b'[') {
            at = self.end_of_line(at + 1);
        }
        (at + 1).min(bytes.len())
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Document<'a>;

    fn next(&mut self) -> Option<Document<'a>> {
        // Between the members of an array that broke, commas and brackets are left over.
        let between = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '\0' | '\u{1e}' | '\u{feff}');
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start_matches(between).len());
        if start == self.text.len() {
            self.at = start;
            return None;
        }
        let line = self.line_of(start);
        let line_end = self.end_of_line(start);
        let limit = if self.far_breaks < FAR_BREAKS { self.text.len() } else { line_end };
        let mut values = serde_json::Deserializer::from_str(&self.text[start..limit]).into_iter::<IgnoredAny>();
        let result = values.next();
        match result {
            Some(Ok(_)) if matches!(self.text.as_bytes()[start], b'{' | b'[') => {
                let end = start + values.byte_offset();
                self.at = end;
                Some(Document { text: Cow::Borrowed(&self.text[start..end]), line, error: None })
            }
            Some(Err(error)) => {
                if let Some(json) = super::python::to_json(&self.text[start..line_end]) {
                    self.at = line_end;
                    return Some(Document { text: Cow::Owned(json), line, error: None });
                }
                if error.line() > 1 {
                    self.far_breaks += 1;
                }
                self.at = match self.text.as_bytes()[start] {
                    b'{' | b'[' => self.next_opening(start),
                    _ => line_end,
                };
                let error = error.to_string();
                Some(Document { text: Cow::Borrowed(&self.text[start..self.at]), line, error: Some(error) })
            }
            // A bare scalar, as a word of a comment may be, is no report.
            _ => {
                self.at = line_end;
                let error = "neither an object nor a list".to_owned();
                Some(Document { text: Cow::Borrowed(&self.text[start..line_end]), line, error: Some(error) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<(u64, bool, String)> {
        Documents::new(text).map(|d| (d.line, d.error.is_none(), d.text.trim().to_owned())).collect()
    }

    #[test]
    fn documents_stand_on_lines_or_behind_each_other() {
        assert_eq!(
            documents("{\"a\":1}\n{\n \"b\": 2\n}{\"c\":3}\n"),
            [(1, true, "{\"a\":1}".into()), (2, true, "{\n \"b\": 2\n}".into()), (4, true, "{\"c\":3}".into())]
        );
    }

    #[test]
    fn a_comment_and_a_cut_line_cost_themselves_alone() {
        let found = documents("# made by hand\n{\"a\":1}\n{\"b\":\"cut\n{\"c\":3}\n");
        assert_eq!(found.iter().map(|d| d.1).collect::<Vec<_>>(), [false, true, false, true]);
        assert_eq!(found.iter().map(|d| d.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn marks_encodings_and_lone_surrogates_are_put_right() {
        assert_eq!(decode(b"\xEF\xBB\xBF{}").text, "{}");
        assert_eq!(decode(b"\xFF\xFE{\0}\0").text, "{}");
        assert!(decode(b"{\"a\":\"\xE9\"}").repaired.is_some());
        let lone = decode(br#"{"a":"\udc80","b":"\ud83d\ude00","c":"\\ud800"}"#);
        assert_eq!(lone.text, r#"{"a":"\ufffd","b":"\ud83d\ude00","c":"\\ud800"}"#);
    }

    #[test]
    fn many_documents_that_never_close_stay_linear() {
        let text = "{\"a\":\n".repeat(200_000);
        assert_eq!(Documents::new(&text).count(), 200_000);
    }
}
