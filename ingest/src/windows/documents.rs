//! Owns how a document of JSON falls into records: a line each, values one after another, or one list of them. What a
//! record holds is not looked at.

use crate::decode::Emitter;
use std::ops::ControlFlow;

/// Takes the bytes of one object and its number, and says what is wrong with them if they are no record.
pub(crate) type Take<'t> = &'t mut dyn FnMut(&[u8], u64, &mut Emitter<'_>) -> Result<ControlFlow<()>, String>;

/// Cuts a document into its JSON objects and hands the bytes of each to `take`, with the number of its line, in a list
/// of its place there, from 1. What is no record is counted as `record-unreadable`, and the next line looked at.
pub(crate) fn records(bytes: &[u8], out: &mut Emitter<'_>, take: Take<'_>) {
    let bytes = super::text::to_utf8(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let limit = usize::try_from(out.limits().record_bytes).unwrap_or(usize::MAX);
    let list = bytes.trim_ascii_start().first() == Some(&b'[');
    let mut at = if list { bytes.iter().position(|b| *b == b'[').map_or(0, |n| n + 1) } else { 0 };
    // The number of the line at `counted`, or the place in the list.
    let (mut number, mut counted) = (u64::from(!list), 0);
    loop {
        at += bytes[at..].iter().take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        match bytes.get(at) {
            None => return,
            Some(b']') if list => {
                at += 1;
                continue;
            }
            Some(_) => {}
        }
        number += if list { 1 } else { memchr::memchr_iter(b'\n', &bytes[counted..at]).count() as u64 };
        counted = at;
        let line_end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
        let line = bytes[at..line_end].trim_ascii_end();
        // Nearly every document is lines; a value that is not one whole line is found by its brackets.
        if !list
            && line.len() <= limit
            && line.starts_with(b"{")
            && line.ends_with(b"}")
            && let Ok(flow) = take(line, number, out)
        {
            at = line_end;
            if flow.is_break() {
                return;
            }
            continue;
        }
        let value = value_end(bytes, at, limit);
        let flow = match value.and_then(|end| Ok((end, take(&bytes[at..end], number, out)?))) {
            Ok((end, flow)) => {
                at = end;
                flow
            }
            Err(problem) => {
                let code = if problem == TOO_LONG { "record-bytes" } else { "record-unreadable" };
                let flow = out.begin();
                if flow.is_continue() {
                    out.skip(code, || format!("at byte {at}: {problem}"));
                }
                at = line_end.max(at + 1);
                flow
            }
        };
        if flow.is_break() {
            return;
        }
    }
}

const TOO_LONG: &str = "a record is longer than limits.record_bytes";

/// Where the object that starts at `at` ends, by its brackets.
fn value_end(bytes: &[u8], at: usize, limit: usize) -> Result<usize, String> {
    if bytes[at] != b'{' {
        return Err("a record does not begin with '{'".to_owned());
    }
    let window = &bytes[at..bytes.len().min(at.saturating_add(limit))];
    let mut depth = 0usize;
    let mut n = 0;
    while let Some(found) = window.get(n..).and_then(|rest| memchr::memchr3(b'"', b'{', b'}', rest)) {
        n += found;
        match window[n] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + n + 1);
                }
            }
            _ => match string_end(window, n + 1) {
                Some(quote) => n = quote,
                None => break,
            },
        }
        n += 1;
    }
    Err(if window.len() == limit { TOO_LONG } else { "a record has no end" }.to_owned())
}

/// Where the string whose text starts at `at` ends.
fn string_end(window: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', window.get(at..)?)?;
        if window[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}
