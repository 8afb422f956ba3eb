//! Owns the way from bytes of NDJSON to events: one JSON object a line, read straight into the event's arena, without
//! a tree between. What the fields mean, and what a line answers to, is the caller's concern.
//!
//! - Nested objects become dotted paths, `{"a": {"b": 1}}` is `a.b`; a key that has dots itself is the same field.
//! - Lists are repeated names, however deep they nest; the objects of a list each add to the list.
//! - A key that stands twice is a list too: nothing is lost, and nothing can be hidden behind a second key.
//! - An empty list or object is [`Value::Empty`].
//! - Integers of 64 bits are [`Value::Int`]; every other number keeps its text.
//! - Unpaired surrogates and bytes that are not UTF-8 become U+FFFD, since a record that an attacker could spoil with a
//!   file name would be a record that is never looked at. Bare control characters in strings are taken as they are.
//! - Everything else that is not JSON (RFC 8259) is an error with its column, and the line gives no event.

mod lines;
mod text;

pub use lines::{Line, Lines};

use crate::Limits;
use sandsift_sigma::{Event, Value};
use std::fmt;

/// Why a line gave no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The byte in the line where reading stopped, from 1.
    pub column: usize,
    /// What stopped it.
    pub reason: Reason,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The line does not hold an object.
    NotAnObject,
    /// Something else was expected here.
    Expected(&'static str),
    /// The line ends inside its object.
    UnexpectedEnd,
    /// A backslash is followed by none of JSON's escapes.
    BadEscape,
    /// The object is followed by more text.
    TrailingText,
    /// Objects and lists nest deeper than [`Limits::depth`].
    TooDeep(u32),
    /// There are more values than [`Limits::event_fields`].
    TooManyFields(u32),
    /// The line is longer than [`Limits::record_bytes`], or its dotted names are.
    TooLong(u64),
}

impl Reason {
    /// A stable code for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooDeep(_) => "record-too-deep",
            Self::TooManyFields(_) => "record-too-many-fields",
            Self::TooLong(_) => "record-too-long",
            _ => "record-not-json",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::NotAnObject => f.write_str("not a JSON object")?,
            Reason::Expected(what) => write!(f, "expected {what}")?,
            Reason::UnexpectedEnd => f.write_str("the JSON text ends too early")?,
            Reason::BadEscape => f.write_str("unknown escape in a JSON string")?,
            Reason::TrailingText => f.write_str("more text after the JSON object")?,
            Reason::TooDeep(limit) => write!(f, "nested deeper than {limit} levels (limits.depth)")?,
            Reason::TooManyFields(limit) => write!(f, "more than {limit} values (limits.event_fields)")?,
            Reason::TooLong(limit) => write!(f, "longer than {limit} bytes (limits.record_bytes)")?,
        }
        write!(f, " at column {}", self.column)
    }
}

impl std::error::Error for JsonError {}

/// Reads JSON objects into events; keeps its buffers from line to line.
///
/// Time is linear in the length of a line and memory is bounded by it and the limits: nesting is a counted stack, not
/// recursion, and names that grow with their depth are counted against [`Limits::record_bytes`].
#[derive(Debug, Clone)]
pub struct Decoder {
    depth: u32,
    event_fields: u32,
    record_bytes: u64,
    /// The dotted path of the value that is read.
    path: String,
    /// A key that had escapes.
    key: String,
    stack: Vec<Level>,
}

/// An object or list that is being read.
#[derive(Debug, Clone, Copy)]
struct Level {
    object: bool,
    /// How much of the path leads to this container.
    path: usize,
}

impl Decoder {
    /// Makes a decoder that keeps these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            depth: limits.depth,
            event_fields: limits.event_fields,
            record_bytes: limits.record_bytes,
            path: String::new(),
            key: String::new(),
            stack: Vec::new(),
        }
    }

    /// Clears `event` and fills it from one JSON object.
    ///
    /// The event's source is left as it is. After an error the event is empty.
    pub fn decode(&mut self, line: &[u8], event: &mut Event) -> Result<(), JsonError> {
        event.clear();
        if line.len() as u64 > self.record_bytes {
            return Err(JsonError { column: 1, reason: Reason::TooLong(self.record_bytes) });
        }
        let replaced;
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(_) => {
                replaced = String::from_utf8_lossy(line);
                &*replaced
            }
        };
        self.path.clear();
        self.stack.clear();
        let mut cursor = Cursor { text, at: 0 };
        self.object(&mut cursor, event).map_err(|reason| {
            event.clear();
            JsonError { column: cursor.at + 1, reason }
        })
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, event: &mut Event) -> Result<(), Reason> {
        cursor.space();
        if cursor.peek() != Some(b'{') {
            return Err(Reason::NotAnObject);
        }
        cursor.at += 1;
        self.enter(true)?;
        cursor.space();
        if cursor.peek() == Some(b'}') {
            // An object without members is an event without fields.
            cursor.at += 1;
            self.stack.pop();
        } else {
            self.members(cursor, event)?;
        }
        cursor.space();
        if cursor.at < cursor.text.len() { Err(Reason::TrailingText) } else { Ok(()) }
    }

    /// Reads members from the first one of the outermost object to its end.
    fn members(&mut self, cursor: &mut Cursor<'_>, event: &mut Event) -> Result<(), Reason> {
        let mut names = 0u64;
        while let Some(level) = self.stack.last().copied() {
            let opened = if level.object {
                cursor.space();
                let plain = text::key(cursor, &mut self.key)?;
                cursor.space();
                cursor.expect(b':', "':' after the name")?;
                cursor.space();
                let key = plain.unwrap_or(&self.key);
                if self.stack.len() == 1 && !matches!(cursor.peek(), Some(b'{' | b'[')) {
                    scalar(cursor, event, key)?;
                    false
                } else {
                    self.path.truncate(level.path);
                    if self.stack.len() > 1 {
                        self.path.push('.');
                    }
                    self.path.push_str(key);
                    self.value(cursor, event)?
                }
            } else {
                cursor.space();
                self.path.truncate(level.path);
                event.enter(&self.path);
                self.value(cursor, event)?
            };
            if event.len() > self.event_fields as usize {
                return Err(Reason::TooManyFields(self.event_fields));
            }
            if self.stack.len() > 1 {
                names += self.path.len() as u64;
                if names > self.record_bytes {
                    return Err(Reason::TooLong(self.record_bytes));
                }
            }
            if !opened {
                self.close(cursor, event)?;
            }
        }
        Ok(())
    }

    /// Reads what follows a member: a comma, or the ends of the containers that it was the last of.
    fn close(&mut self, cursor: &mut Cursor<'_>, event: &mut Event) -> Result<(), Reason> {
        while let Some(level) = self.stack.last() {
            if !level.object {
                event.leave();
            }
            cursor.space();
            match cursor.peek() {
                Some(b',') => {
                    cursor.at += 1;
                    return Ok(());
                }
                Some(b'}') if level.object => {}
                Some(b']') if !level.object => {}
                None => return Err(Reason::UnexpectedEnd),
                Some(_) if level.object => return Err(Reason::Expected("',' or '}'")),
                Some(_) => return Err(Reason::Expected("',' or ']'")),
            }
            cursor.at += 1;
            self.stack.pop();
        }
        Ok(())
    }

    /// Reads a value under the current path; tells whether it opened a container that has members.
    fn value(&mut self, cursor: &mut Cursor<'_>, event: &mut Event) -> Result<bool, Reason> {
        let object = match cursor.peek() {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => {
                scalar(cursor, event, &self.path)?;
                return Ok(false);
            }
        };
        cursor.at += 1;
        cursor.space();
        if cursor.peek() == Some(if object { b'}' } else { b']' }) {
            cursor.at += 1;
            event.push(&self.path, Value::Empty);
            return Ok(false);
        }
        self.enter(object)?;
        Ok(true)
    }

    fn enter(&mut self, object: bool) -> Result<(), Reason> {
        if self.stack.len() >= self.depth as usize {
            return Err(Reason::TooDeep(self.depth));
        }
        self.stack.push(Level { object, path: self.path.len() });
        Ok(())
    }
}

/// A place in the text of a line.
#[derive(Debug)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Reason> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Reason::Expected(what)),
            None => Err(Reason::UnexpectedEnd),
        }
    }
}

/// Reads a string, a number, a truth value or null.
#[inline]
fn scalar(cursor: &mut Cursor<'_>, event: &mut Event, name: &str) -> Result<(), Reason> {
    match cursor.peek() {
        Some(b'"') => text::string(cursor, event, name),
        Some(b'-' | b'0'..=b'9') => number(cursor, event, name),
        Some(b't') => word(cursor, "true").map(|()| event.push(name, Value::Bool(true))),
        Some(b'f') => word(cursor, "false").map(|()| event.push(name, Value::Bool(false))),
        Some(b'n') => word(cursor, "null").map(|()| event.push(name, Value::Null)),
        Some(_) => Err(Reason::Expected("a value")),
        None => Err(Reason::UnexpectedEnd),
    }
}

fn word(cursor: &mut Cursor<'_>, word: &str) -> Result<(), Reason> {
    if cursor.text.as_bytes()[cursor.at..].starts_with(word.as_bytes()) {
        cursor.at += word.len();
        Ok(())
    } else {
        Err(Reason::Expected("a value"))
    }
}

fn number(cursor: &mut Cursor<'_>, event: &mut Event, name: &str) -> Result<(), Reason> {
    let bytes = cursor.text.as_bytes();
    let start = cursor.at;
    let mut at = start;
    let digits = |at: &mut usize| {
        let from = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at - from
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let first = at;
    let whole = digits(&mut at);
    if whole == 0 || (whole > 1 && bytes[first] == b'0') {
        cursor.at = first;
        return Err(Reason::Expected("a number"));
    }
    let mut integer = true;
    if bytes.get(at) == Some(&b'.') {
        integer = false;
        at += 1;
        if digits(&mut at) == 0 {
            cursor.at = at;
            return Err(Reason::Expected("a digit"));
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        integer = false;
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        if digits(&mut at) == 0 {
            cursor.at = at;
            return Err(Reason::Expected("a digit"));
        }
    }
    cursor.at = at;
    let text = &cursor.text[start..at];
    match text.parse() {
        // "-0" is not what 0 is written as, and a number keeps its text.
        Ok(value) if integer && text != "-0" => event.push(name, Value::Int(value)),
        _ => event.push(name, Value::Number(text)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
