//! Owns the event: one record in Sigma's taxonomy, flat, in buffers that are used again for the next record.
//!
//! A decoder fills an [`Event`] field by field; the matcher reads it. Names and values lie in one text arena each and a
//! field is a pair of spans, so that after a warm-up neither filling nor matching allocates, and no lifetime ties an
//! event to the bytes that it was read from. Nothing here knows where events come from.

use crate::members::Members;
use std::ops::Range;
use std::sync::Arc;

/// What an event answers to when rules ask for a logsource.
///
/// One record can belong to several categories (a Sysmon event 13 is `registry_event` and `registry_set`) and to
/// several services. Names are lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventSource {
    /// The product, such as `windows`; an event without one meets only rules without one.
    pub product: Option<Box<str>>,
    /// Every category that the event belongs to, sorted.
    pub categories: Vec<Box<str>>,
    /// Every service that the event belongs to, sorted.
    pub services: Vec<Box<str>>,
    /// Fields that no event of this source can carry though its category has them, sorted: a Security 4688 is a
    /// `process_creation` without `OriginalFileName`. A rule that fires only because such a field is missing says
    /// nothing; who shows matches can tell by this list.
    pub absent: Vec<Box<str>>,
}

impl EventSource {
    /// Makes a source from its parts, lower-cased, sorted and without repeats.
    pub fn new<'a>(
        product: Option<&str>,
        categories: impl IntoIterator<Item = &'a str>,
        services: impl IntoIterator<Item = &'a str>,
    ) -> Arc<Self> {
        fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Box<str>> {
            let mut names: Vec<Box<str>> = names.into_iter().map(|n| n.to_lowercase().into()).collect();
            names.sort();
            names.dedup();
            names
        }
        Arc::new(Self {
            product: product.map(|p| p.to_lowercase().into()),
            categories: set(categories),
            services: set(services),
            absent: Vec::new(),
        })
    }

    /// Makes the same source with fields that its events cannot carry; names keep their case.
    pub fn without<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Arc<Self> {
        let mut absent: Vec<Box<str>> = fields.into_iter().map(Into::into).collect();
        absent.sort();
        absent.dedup();
        Arc::new(Self { absent, ..self.clone() })
    }

    /// One word for the source in statistics: its most particular category, else its service, else `none`.
    pub fn label(&self) -> &str {
        // `registry_event` says less than the `registry_set` beside it.
        let particular = self.categories.iter().find(|c| ***c != *"registry_event");
        particular.or(self.categories.first()).or(self.services.first()).map_or("none", |name| name)
    }
}

/// One value of a field, as the decoder found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// The field is there and holds null.
    Null,
    /// A truth value; rules may ask for it by `true` or by its text.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// Any other number, by its text, so that nothing is lost.
    Number(&'a str),
    /// Text.
    Str(&'a str),
    /// The field is there and holds a list or a map without members.
    Empty,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Debug, Clone, Copy)]
enum Stored {
    Null,
    Bool(bool),
    Int(i64),
    Number(Span),
    Str(Span),
    Empty,
}

/// One record in Sigma's taxonomy: a source, a time and a flat table of fields.
///
/// A field whose name stands several times is a list: a test on it holds if it holds for any member. Nested objects
/// are stored under their dotted path.
#[derive(Debug, Clone, Default)]
pub struct Event {
    source: Arc<EventSource>,
    time: Option<i64>,
    /// All names, one after another, and where each ends.
    names: String,
    name_ends: Vec<u32>,
    text: String,
    values: Vec<Stored>,
    members: Members,
    overflowed: bool,
}

impl Event {
    /// Makes an empty event without a source.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all fields, the time and the source; keeps the buffers.
    pub fn clear(&mut self) {
        self.time = None;
        self.names.clear();
        self.name_ends.clear();
        self.text.clear();
        self.values.clear();
        self.members.clear();
        self.overflowed = false;
    }

    /// Sets what the event answers to.
    pub fn set_source(&mut self, source: &Arc<EventSource>) {
        if !Arc::ptr_eq(&self.source, source) {
            self.source = Arc::clone(source);
        }
    }

    /// What the event answers to.
    pub fn source(&self) -> &Arc<EventSource> {
        &self.source
    }

    /// Sets the event's own time, in nanoseconds since 1970-01-01 UTC.
    pub fn set_time(&mut self, nanoseconds: Option<i64>) {
        self.time = nanoseconds;
    }

    /// The event's own time, in nanoseconds since 1970-01-01 UTC.
    pub fn time(&self) -> Option<i64> {
        self.time
    }

    /// Adds a value under a name; a second one under the same name makes the field a list.
    pub fn push(&mut self, name: &str, value: Value<'_>) {
        let value = match value {
            Value::Null => Stored::Null,
            Value::Bool(b) => Stored::Bool(b),
            Value::Int(i) => Stored::Int(i),
            Value::Empty => Stored::Empty,
            Value::Number(t) => match self.span(|text| text.push_str(t)) {
                Some(span) => Stored::Number(span),
                None => return,
            },
            Value::Str(t) => match self.span(|text| text.push_str(t)) {
                Some(span) => Stored::Str(span),
                None => return,
            },
        };
        self.entry(name, value);
    }

    /// Adds a text.
    pub fn push_str(&mut self, name: &str, value: &str) {
        self.push(name, Value::Str(value));
    }

    /// Adds a text that `write` appends to the arena, which saves a decoder its own buffer.
    ///
    /// `write` must only append; what it returns is handed back.
    pub fn push_with<R>(&mut self, name: &str, write: impl FnOnce(&mut String) -> R) -> Option<R> {
        let mut result = None;
        let span = self.span(|text| result = Some(write(text)))?;
        self.entry(name, Stored::Str(span));
        result
    }

    /// Starts a member of the array at a path: what is pushed until [`Event::leave`] belongs to it, so that rules may
    /// ask two things of one member (draft, SEP 212). A decoder that does not say so loses nothing else.
    pub fn enter(&mut self, array: &str) {
        self.members.enter(array, self.values.len());
    }

    /// Ends the member that was entered last.
    pub fn leave(&mut self) {
        self.members.leave(self.values.len());
    }

    /// Which values belong to which members of arrays.
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// Removes every field of this name; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if self.get(name).is_none() {
            return false;
        }
        let before = std::mem::take(self);
        self.source = before.source;
        self.time = before.time;
        self.overflowed = before.overflowed;
        self.members = before.members;
        let mut start = 0;
        for (&end, &value) in before.name_ends.iter().zip(&before.values) {
            let own = &before.names[start..end as usize];
            start = end as usize;
            if own != name {
                self.names.push_str(own);
                self.name_ends.push(self.names.len() as u32);
                self.values.push(value);
            } else {
                self.members.remove(self.values.len());
            }
        }
        self.text = before.text;
        true
    }

    /// The first value under a name.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.get_all(name).next()
    }

    /// The first value under a name if it is text.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// Every value under a name, in order.
    pub fn get_all<'e>(&'e self, name: &str) -> impl Iterator<Item = Value<'e>> {
        self.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Every field in the order of its arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Value<'_>)> {
        let mut start = 0;
        self.name_ends.iter().zip(&self.values).map(move |(&end, value)| {
            let name = &self.names[start..end as usize];
            start = end as usize;
            (name, self.value(value))
        })
    }

    /// How many values the event has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the event has no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a value was left out because the event reached 4 GiB of text.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// All values' text, one after another.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// All names, one after another.
    pub(crate) fn names(&self) -> &str {
        &self.names
    }

    /// Where each name ends in [`Event::names`].
    pub(crate) fn name_ends(&self) -> &[u32] {
        &self.name_ends
    }

    /// A value by its place.
    #[inline]
    pub(crate) fn value_at(&self, at: usize) -> Value<'_> {
        self.value(&self.values[at])
    }

    /// Every value: where its text stands in [`Event::text`], or itself where it has none there.
    #[inline]
    pub(crate) fn spans(&self) -> impl Iterator<Item = Result<Range<usize>, Value<'static>>> {
        self.values.iter().map(|value| match *value {
            Stored::Number(span) | Stored::Str(span) => Ok(span.range()),
            Stored::Null => Err(Value::Null),
            Stored::Bool(truth) => Err(Value::Bool(truth)),
            Stored::Int(int) => Err(Value::Int(int)),
            Stored::Empty => Err(Value::Empty),
        })
    }

    #[inline]
    fn value(&self, value: &Stored) -> Value<'_> {
        match *value {
            Stored::Null => Value::Null,
            Stored::Bool(b) => Value::Bool(b),
            Stored::Int(i) => Value::Int(i),
            Stored::Empty => Value::Empty,
            Stored::Number(span) => Value::Number(&self.text[span.range()]),
            Stored::Str(span) => Value::Str(&self.text[span.range()]),
        }
    }

    fn span(&mut self, write: impl FnOnce(&mut String)) -> Option<Span> {
        let start = self.text.len();
        write(&mut self.text);
        let end = self.text.len();
        debug_assert!(start <= end, "a value's writer must only append");
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Some(Span { start, end }),
            _ => {
                self.text.truncate(start);
                self.overflowed = true;
                None
            }
        }
    }

    #[inline]
    fn entry(&mut self, name: &str, value: Stored) {
        let Ok(end) = u32::try_from(self.names.len() + name.len()) else {
            self.overflowed = true;
            return;
        };
        self.names.push_str(name);
        self.name_ends.push(end);
        self.values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_a_list_and_clear_keeps_nothing() {
        let mut event = Event::new();
        event.push_str("Data", "one");
        event.push("EventID", Value::Int(4104));
        event.push_str("Data", "two");
        assert_eq!(event.get_all("Data").collect::<Vec<_>>(), [Value::Str("one"), Value::Str("two")]);
        assert_eq!(event.push_with("Image", |t| t.push_str("/bin/sh")), Some(()));
        assert_eq!(event.get_str("Image"), Some("/bin/sh"));
        assert!(event.remove("Data"));
        assert_eq!(event.len(), 2);
        event.clear();
        assert!(event.is_empty());
    }
}
