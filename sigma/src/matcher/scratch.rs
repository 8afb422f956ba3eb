//! Owns what matching one event writes to: answers, marks and candidates that are forgotten by counting up instead of
//! being cleared, the folded text, and the places of the fields.

use super::program::{FieldId, Fields, NodeId};
use crate::event::{Event, Value};
use crate::fold::fold_into;

/// Answers to the nodes of a program for the current event.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// For each node the number of the event that it was last answered for, and the answer in the lowest bit.
    cells: Vec<u32>,
    event: u32,
}

impl Answers {
    /// Forgets all answers.
    pub fn start(&mut self, nodes: usize) {
        if self.event >= u32::MAX - 3 {
            self.cells.clear();
            self.event = 0;
        }
        self.event += 2;
        if self.cells.len() < nodes {
            self.cells.resize(nodes, 0);
        }
    }

    #[inline]
    pub fn get(&self, node: NodeId) -> Option<bool> {
        let cell = self.cells[node.index()];
        (cell & !1 == self.event).then_some(cell & 1 == 1)
    }

    #[inline]
    pub fn set(&mut self, node: NodeId, answer: bool) {
        self.cells[node.index()] = self.event | u32::from(answer);
    }
}

/// Marks that are all taken away at once.
#[derive(Debug, Default)]
pub(super) struct Marks {
    cells: Vec<u32>,
    turn: u32,
}

impl Marks {
    pub fn start(&mut self, count: usize) {
        if self.turn == u32::MAX {
            self.cells.clear();
            self.turn = 0;
        }
        self.turn += 1;
        if self.cells.len() < count {
            self.cells.resize(count, 0);
        }
    }

    #[inline]
    pub fn is_marked(&self, index: usize) -> bool {
        self.cells[index] == self.turn
    }

    /// Marks; tells whether it was not marked before.
    #[inline]
    pub fn mark(&mut self, index: usize) -> bool {
        let cell = &mut self.cells[index];
        let new = *cell != self.turn;
        *cell = self.turn;
        new
    }
}

/// A set of a group's rules that gives them in order.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// A bit for each rule, and a bit for each word of these that has one.
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Candidates {
    /// Makes room; the set is empty then, since taking out leaves nothing behind.
    pub fn start(&mut self, rules: usize) {
        let words = rules.div_ceil(64);
        if self.words.len() < words {
            self.words.resize(words, 0);
            self.summary.resize(words.div_ceil(64), 0);
        }
    }

    #[inline]
    pub fn insert(&mut self, rule: u32) {
        let word = rule as usize / 64;
        self.words[word] |= 1 << (rule % 64);
        self.summary[word / 64] |= 1 << (word % 64);
    }

    /// Takes all out in ascending order.
    #[inline]
    pub fn drain(&mut self, mut take: impl FnMut(u32)) {
        for (high, summary) in self.summary.iter_mut().enumerate() {
            let mut words = std::mem::take(summary);
            while words != 0 {
                let word = high * 64 + words.trailing_zeros() as usize;
                words &= words - 1;
                let mut bits = std::mem::take(&mut self.words[word]);
                while bits != 0 {
                    take(word as u32 * 64 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
    }
}

/// An event as questions look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'v> {
    event: &'v Event,
    shape: &'v Shape,
    text: &'v [u8],
    spans: &'v [(u32, u32)],
}

/// A span of a value that has no text.
const NO_TEXT: (u32, u32) = (u32::MAX, 0);

impl<'v> View<'v> {
    /// The places of a field's values.
    #[inline]
    pub fn values(&self, field: Option<FieldId>) -> &'v [u32] {
        field.map_or(&[], |field| self.shape.values(field))
    }

    /// How many values the event has.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn value(&self, at: usize) -> Value<'v> {
        self.event.value_at(at)
    }

    pub fn is_number(&self, at: usize) -> bool {
        matches!(self.value(at), Value::Number(_))
    }

    /// A value's text, folded; null and what is empty have none.
    #[inline]
    pub fn folded(&self, at: usize) -> Option<&'v [u8]> {
        let (start, end) = self.spans[at];
        self.text.get(start as usize..end as usize)
    }

    /// A value's text as it is.
    pub fn text(&self, at: usize) -> Option<&'v str> {
        match self.value(at) {
            Value::Null | Value::Empty => None,
            Value::Str(text) | Value::Number(text) => Some(text),
            // Digits and truth values are the same folded.
            Value::Int(_) | Value::Bool(_) => std::str::from_utf8(self.folded(at)?).ok(),
        }
    }
}

/// The buffers behind a [`View`].
#[derive(Debug, Default)]
pub(super) struct Views {
    text: Vec<u8>,
    spans: Vec<(u32, u32)>,
    folded: String,
    shapes: Shapes,
}

impl Views {
    /// Folds the event's text and finds its fields.
    pub fn view<'v>(&'v mut self, event: &'v Event, fields: &Fields) -> View<'v> {
        let arena = event.text();
        self.text.clear();
        self.spans.clear();
        // One pass over all values at once, where folding keeps every byte in its place.
        let ascii = arena.is_ascii();
        if ascii {
            self.text.extend_from_slice(arena.as_bytes());
            self.text.make_ascii_lowercase();
        }
        for value in event.spans() {
            let span = match value {
                Ok(span) if ascii => (span.start as u32, span.end as u32),
                Ok(span) => {
                    let start = self.text.len();
                    let text = &arena[span];
                    if text.is_ascii() {
                        self.text.extend_from_slice(text.as_bytes());
                        self.text[start..].make_ascii_lowercase();
                    } else {
                        self.folded.clear();
                        fold_into(text, &mut self.folded);
                        self.text.extend_from_slice(self.folded.as_bytes());
                    }
                    (start as u32, self.text.len() as u32)
                }
                Err(Value::Int(int)) => {
                    let start = self.text.len();
                    decimal(int, &mut self.text);
                    (start as u32, self.text.len() as u32)
                }
                Err(Value::Bool(truth)) => {
                    let start = self.text.len();
                    self.text.extend_from_slice(if truth { b"true" } else { b"false" });
                    (start as u32, self.text.len() as u32)
                }
                Err(_) => NO_TEXT,
            };
            self.spans.push(span);
        }
        let shape = self.shapes.find(event, fields);
        View { event, shape, text: &self.text, spans: &self.spans }
    }
}

/// Writes an integer's digits.
fn decimal(int: i64, into: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = int.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if int < 0 {
        into.push(b'-');
    }
    into.extend_from_slice(&digits[at..]);
}

/// The names of an event's fields in their order, and where each field's values are.
///
/// Events of one kind have the same names in the same order, so that this is worked out once a kind and not once an
/// event.
#[derive(Debug, Default)]
struct Shape {
    names: String,
    ends: Vec<u32>,
    /// For each field a run in `order`.
    runs: Vec<(u32, u32)>,
    order: Vec<u32>,
}

impl Shape {
    #[inline]
    fn values(&self, field: FieldId) -> &[u32] {
        match self.runs.get(field.0 as usize) {
            Some(&(first, count)) => &self.order[first as usize..][..count as usize],
            None => &[],
        }
    }

    fn is_of(&self, event: &Event) -> bool {
        self.names == event.names() && self.ends == event.name_ends()
    }

    fn set(&mut self, event: &Event, fields: &Fields) {
        self.names.clear();
        self.names.push_str(event.names());
        self.ends.clear();
        self.ends.extend_from_slice(event.name_ends());
        self.runs.clear();
        self.runs.resize(fields.len(), (0, 0));
        self.order.clear();
        let ids = || event.iter().enumerate().filter_map(|(at, (name, _))| Some((at, fields.get(name)?.0 as usize)));
        for (_, field) in ids() {
            self.runs[field].1 += 1;
        }
        let mut first = 0;
        for run in &mut self.runs {
            run.0 = first;
            first += std::mem::take(&mut run.1);
        }
        self.order.resize(first as usize, 0);
        for (at, field) in ids() {
            let run = &mut self.runs[field];
            self.order[(run.0 + run.1) as usize] = at as u32;
            run.1 += 1;
        }
    }
}

/// How many shapes are remembered, and up to how many names.
const SHAPES: usize = 64;
const SHAPE_NAMES: usize = 512;

/// The shapes of events seen before, and one more for events of very many fields.
#[derive(Debug, Default)]
struct Shapes {
    known: Vec<Shape>,
    large: Shape,
}

impl Shapes {
    #[inline]
    fn find(&mut self, event: &Event, fields: &Fields) -> &Shape {
        if event.len() > SHAPE_NAMES {
            self.large.set(event, fields);
            return &self.large;
        }
        if self.known.is_empty() {
            self.known.resize_with(SHAPES, Shape::default);
        }
        let shape = &mut self.known[(event.names().len() * 7 + event.len() * 13) % SHAPES];
        if shape.runs.len() != fields.len() || !shape.is_of(event) {
            shape.set(event, fields);
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for int in [0, 7, -1, 10, 4688, i64::MAX, i64::MIN] {
            let mut text = Vec::new();
            decimal(int, &mut text);
            assert_eq!(text, int.to_string().into_bytes());
        }
    }

    #[test]
    fn candidates_come_once_and_in_order() {
        let mut candidates = Candidates::default();
        for _ in 0..2 {
            candidates.start(10_000);
            for rule in [9_999, 0, 64, 63, 64, 4_096] {
                candidates.insert(rule);
            }
            let mut taken = Vec::new();
            candidates.drain(|rule| taken.push(rule));
            assert_eq!(taken, [0, 63, 64, 4_096, 9_999]);
        }
    }

    #[test]
    fn answers_and_marks_end_with_their_event() {
        let (mut answers, mut marks) = (Answers { event: u32::MAX - 5, ..Answers::default() }, Marks::default());
        marks.turn = u32::MAX - 1;
        for _ in 0..4 {
            answers.start(2);
            marks.start(2);
            assert_eq!(answers.get(NodeId(1)), None);
            assert!(!marks.is_marked(1));
            answers.set(NodeId(1), true);
            answers.set(NodeId(0), false);
            assert!(marks.mark(1) && !marks.mark(1));
            assert_eq!((answers.get(NodeId(0)), answers.get(NodeId(1))), (Some(false), Some(true)));
        }
    }
}
