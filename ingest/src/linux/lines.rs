//! Owns the reading of text logs line by line, within the limit on a record.

use std::borrow::Cow;

/// The lines of a text, without blank ones.
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
    limit: u64,
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its number, from 1.
    pub number: u64,
    bytes: &'a [u8],
    limit: u64,
}

/// Why a line is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineProblem {
    #[error("line {number} has {bytes} bytes, more than {limit} (limits.record_bytes)")]
    TooLong { number: u64, bytes: usize, limit: u64 },
}

impl LineProblem {
    /// The stable code of the reason.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "record-too-large",
        }
    }
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8], limit: u64) -> Self {
        Self { rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), number: 0, limit }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest);
            let (line, rest) = match end {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            self.number += 1;
            let bytes = line.trim_ascii();
            if !bytes.is_empty() {
                return Some(Line { number: self.number, bytes, limit: self.limit });
            }
        }
        None
    }
}

impl<'a> Line<'a> {
    /// The line as text; bytes that are no UTF-8 are replaced.
    pub(crate) fn text(&self) -> Result<Cow<'a, str>, LineProblem> {
        if self.bytes.len() as u64 > self.limit {
            return Err(LineProblem::TooLong { number: self.number, bytes: self.bytes.len(), limit: self.limit });
        }
        Ok(String::from_utf8_lossy(self.bytes))
    }
}
