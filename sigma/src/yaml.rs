//! Owns the reading of YAML into a tree that keeps what rules need and loaders lose: positions, the text of numbers,
//! repeated keys. Bounded on hostile input; knows nothing of Sigma.
//!
//! Built on the events of `saphyr-parser` (YAML 1.2). A file is read up to its first syntax error: the documents
//! before it stand, nothing after it is guessed.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};
use std::borrow::Cow;
use std::collections::HashMap;

/// The largest rule file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 48;
/// How many nodes aliases may copy in one file; more is a bomb.
const MAX_ALIASED: usize = 50_000;

/// A place in a file: line and column (in characters), both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Mark {
    pub line: u32,
    pub column: u32,
}

impl From<Marker> for Mark {
    fn from(marker: Marker) -> Self {
        let from_usize = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: from_usize(marker.line()), column: from_usize(marker.col()).saturating_add(1) }
    }
}

/// A node and where it starts.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub mark: Mark,
    pub kind: Kind<'a>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind<'a> {
    Scalar(Scalar<'a>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

/// A scalar's text and whether it may be anything else than text.
#[derive(Debug, Clone)]
pub(crate) struct Scalar<'a> {
    pub text: Cow<'a, str>,
    /// Unquoted and untagged, so that the core schema decides the type.
    pub plain: bool,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub key: Cow<'a, str>,
    pub key_mark: Mark,
    pub value: Node<'a>,
}

/// The type of a scalar in YAML 1.2's core schema; the text stays with the scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarType {
    Null,
    Bool(bool),
    /// A decimal, hexadecimal (`0x`) or octal (`0o`) integer.
    Int,
    Float,
    Text,
}

impl Scalar<'_> {
    /// Resolves the type as the core schema of YAML 1.2 does.
    pub fn kind(&self) -> ScalarType {
        if !self.plain {
            return ScalarType::Text;
        }
        match &*self.text {
            "" | "~" | "null" | "Null" | "NULL" => ScalarType::Null,
            "true" | "True" | "TRUE" => ScalarType::Bool(true),
            "false" | "False" | "FALSE" => ScalarType::Bool(false),
            text => number_kind(text),
        }
    }
}

fn number_kind(text: &str) -> ScalarType {
    let all = |digits: &str, accept: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|b| accept(&b));
    if let Some(hex) = text.strip_prefix("0x") {
        return if all(hex, u8::is_ascii_hexdigit) { ScalarType::Int } else { ScalarType::Text };
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return if all(octal, |b| matches!(b, b'0'..=b'7')) { ScalarType::Int } else { ScalarType::Text };
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if all(unsigned, u8::is_ascii_digit) {
        return ScalarType::Int;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let has_digit = !whole.is_empty() || !fraction.is_empty();
    let exponent_fits = exponent.is_none_or(|e| all(e, u8::is_ascii_digit));
    if has_digit && digits(whole) && digits(fraction) && exponent_fits { ScalarType::Float } else { ScalarType::Text }
}

impl<'a> Node<'a> {
    pub fn as_scalar(&self) -> Option<&Scalar<'a>> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[Entry<'a>]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().filter(|s| s.kind() != ScalarType::Null).map(|s| &*s.text)
    }

    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|s| s.kind() == ScalarType::Null)
    }

    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.as_map()?.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// What the node is, for messages.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Scalar(scalar) => match scalar.kind() {
                ScalarType::Null => "null",
                ScalarType::Bool(_) => "a truth value",
                ScalarType::Int | ScalarType::Float => "a number",
                ScalarType::Text => "text",
            },
        }
    }

    fn size(&self) -> usize {
        match &self.kind {
            Kind::Scalar(_) => 1,
            Kind::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|e| 1 + e.value.size()).sum::<usize>(),
        }
    }
}

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub root: Node<'a>,
    /// The lines that it spans, from 1: the first, and one past the last.
    pub lines: (u32, u32),
}

/// Why reading stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: &'static str,
    pub mark: Mark,
    pub message: String,
    pub help: &'static str,
}

/// Reads every document up to the first error.
pub(crate) fn read(text: &str) -> (Vec<Document<'_>>, Option<Failure>) {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), aliased: 0, last: Mark::default() };
    let mut documents: Vec<Document<'_>> = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) => {
                if let Some(previous) = documents.last_mut() {
                    previous.lines.1 = document.lines.0;
                }
                documents.push(document);
            }
            Ok(None) => return (documents, None),
            Err(failure) => return (documents, Some(failure)),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Nodes by the parser's anchor number.
    anchors: HashMap<usize, Node<'a>>,
    aliased: usize,
    /// Where the last event started, for an error at the end of the file.
    last: Mark,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Mark), Failure> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.last = span.start.into();
                Ok((event, self.last))
            }
            Some(Err(error)) => Err(Failure {
                code: "invalid-yaml",
                mark: (*error.marker()).into(),
                message: format!("not valid YAML: {}", error.info()),
                help: "check indentation, quotes and colons on this line and the one above; nothing after it is read",
            }),
            None => Ok((Event::StreamEnd, self.last)),
        }
    }

    fn document(&mut self) -> Result<Option<Document<'a>>, Failure> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::DocumentStart(_), start) => {
                    self.anchors.clear();
                    let (event, mark) = self.next()?;
                    let root = self.node(event, mark, 0)?;
                    return Ok(Some(Document { root, lines: (start.line, u32::MAX) }));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, mark: Mark, depth: usize) -> Result<Node<'a>, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure {
                code: "nested-too-deep",
                mark,
                message: format!("lists and maps nest deeper than {MAX_DEPTH} levels"),
                help: "flatten the structure",
            });
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (Kind::Scalar(Scalar { text, plain }), anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, mark) => items.push(self.node(event, mark, depth + 1)?),
                    }
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Kind::Map(self.entries(depth)?), anchor),
            Event::Alias(anchor) => return self.alias(anchor, mark),
            _ => {
                return Err(Failure {
                    code: "invalid-yaml",
                    mark,
                    message: "not valid YAML: the document ends too early".to_owned(),
                    help: "complete the document",
                });
            }
        };
        let node = Node { mark, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry<'a>>, Failure> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut many = HashMap::new();
        loop {
            let (event, key_mark) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = match self.node(event, key_mark, depth + 1)?.kind {
                Kind::Scalar(scalar) => scalar.text,
                _ => {
                    return Err(Failure {
                        code: "invalid-yaml",
                        mark: key_mark,
                        message: "a key is a list or a map".to_owned(),
                        help: "quote the key if it starts with a bracket or a brace",
                    });
                }
            };
            if let Some(line) = first_line(&entries, &mut many, &key) {
                return Err(Failure {
                    code: "duplicate-key",
                    mark: key_mark,
                    message: format!("key '{key}' stands twice in one map, first in line {line}"),
                    help: "merge the two or rename one; YAML readers disagree on which of them counts",
                });
            }
            let (event, mark) = self.next()?;
            let value = self.node(event, mark, depth + 1)?;
            entries.push(Entry { key, key_mark, value });
        }
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<Node<'a>, Failure> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Failure {
                code: "invalid-yaml",
                mark,
                message: "an alias names an anchor that is not complete or is in another document".to_owned(),
                help: "write the value out",
            });
        };
        self.aliased = self.aliased.saturating_add(node.size());
        if self.aliased > MAX_ALIASED {
            return Err(Failure {
                code: "alias-bomb",
                mark,
                message: format!("aliases expand to more than {MAX_ALIASED} nodes"),
                help: "write the values out",
            });
        }
        let mut copy = node.clone();
        copy.mark = mark;
        Ok(copy)
    }
}

/// Where a key stands already. Small maps are searched; `many` remembers the keys of a map once it is large.
fn first_line<'a>(entries: &[Entry<'a>], many: &mut HashMap<Cow<'a, str>, u32>, key: &str) -> Option<u32> {
    const SMALL: usize = 32;
    if entries.len() < SMALL {
        return entries.iter().find(|e| e.key == key).map(|e| e.key_mark.line);
    }
    if many.is_empty() {
        many.extend(entries.iter().map(|e| (e.key.clone(), e.key_mark.line)));
    } else if let Some(last) = entries.last() {
        many.insert(last.key.clone(), last.key_mark.line);
    }
    many.get(key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> &'static str {
        read(text).1.map_or("none", |f| f.code)
    }

    #[test]
    fn text_of_numbers_and_positions_survive() {
        let (documents, failure) = read("a: 1.10\nb:\n  - 0x1410\n  - '007'\n");
        assert!(failure.is_none());
        let root = &documents[0].root;
        assert_eq!(root.get("a").and_then(Node::as_text), Some("1.10"));
        let Kind::List(items) = &root.get("b").unwrap().kind else { panic!("a list") };
        assert_eq!(items[0].as_text(), Some("0x1410"));
        assert_eq!(items[0].as_scalar().unwrap().kind(), ScalarType::Int);
        assert_eq!(items[0].mark, Mark { line: 3, column: 5 });
        assert_eq!(items[1].as_scalar().unwrap().kind(), ScalarType::Text);
    }

    #[test]
    fn documents_before_a_syntax_error_stand_and_nothing_after_it_is_read() {
        let (documents, failure) = read("a: 1\n---\nb: 2\n---\nc: [1\nd: 2\n---\ne: 3\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].lines, (1, 2));
        assert_eq!(failure.map(|f| f.code), Some("invalid-yaml"));
    }

    #[test]
    fn hostile_shapes_are_refused() {
        assert_eq!(failure("a: 1\na: 2\n"), "duplicate-key");
        let nested = |levels: usize| (0..levels).map(|i| format!("{}- a:\n", "  ".repeat(i))).collect::<String>();
        assert_eq!(failure(&nested(10)), "none");
        assert_eq!(failure(&nested(1000)), "nested-too-deep");
        assert_ne!(failure(&"[".repeat(1_000_000)), "none");
        assert_ne!(failure(&"{a: ".repeat(300_000)), "none");
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let previous = format!("*a{},", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", previous.trim_end_matches(',')));
        }
        assert_eq!(failure(&bomb), "alias-bomb");
        assert_eq!(failure("a: &x [*x]\n"), "invalid-yaml");
        assert_eq!(failure("a: &x 1\nb: *x\n"), "none");
    }

    #[test]
    fn types_follow_the_core_schema() {
        let kind = |text: &str| Scalar { text: text.into(), plain: true }.kind();
        for (text, expected) in [
            ("~", ScalarType::Null),
            ("True", ScalarType::Bool(true)),
            ("yes", ScalarType::Text),
            ("-17", ScalarType::Int),
            ("0o17", ScalarType::Int),
            ("0xZZ", ScalarType::Text),
            (".5", ScalarType::Float),
            ("1e3", ScalarType::Float),
            ("1.2.3", ScalarType::Text),
            (".", ScalarType::Text),
            ("2023-02-15", ScalarType::Text),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
