//! Owns the program that all rules are compiled to: one graph of questions and their connections, in which whatever two
//! rules have in common stands once and is answered once an event.

use super::required;
use super::text::TextTest;
use crate::rule::{Anchor, Number, Predicate, Regex, Test};
use rustc_hash::FxHashMap;
use std::sync::{Arc, OnceLock};

/// A field that rules ask about, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FieldId(pub u32);

/// A node of the program, by number; a node's parts have lower numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub u32);

impl NodeId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Parts of a node: a run in [`Program::parts`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    first: u32,
    count: u32,
}

/// What a node asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Constant(bool),
    /// One question, by its number in [`Program::questions`].
    Ask(u32),
    /// Whether one of many literals stands in a field, by its number in [`Program::lists`].
    List(u32),
    All(Parts),
    Any(Parts),
    AtLeast(u32, Parts),
    Not(NodeId),
}

/// One question about one field, or about every value.
#[derive(Debug)]
pub(super) struct Question {
    /// The field; absent for a keyword.
    pub field: Option<FieldId>,
    pub ask: Ask,
}

/// What is asked of a field's values.
#[derive(Debug)]
pub(super) enum Ask {
    /// Whether the folded text matches.
    Folded(TextTest),
    /// Whether the text as it is matches.
    Cased(TextTest),
    /// Whether the value is this number; the text is the number's.
    Number(Number, Box<[u8]>),
    /// Whether the field is absent or null.
    Null,
    /// Whether the field is there.
    Exists(bool),
    /// Whether another field's value stands in this one.
    Refer(FieldId, Anchor, Cased),
    /// Whether a regular expression is found, which no shorter text can hold.
    Regex(Box<Regex>, usize),
    /// Anything else: tests that are rare, or dear in themselves.
    Plain(Box<Test>),
}

/// Whether case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cased(pub bool);

/// Many questions of one field of which one must be answered with yes; prepared when first asked.
#[derive(Debug)]
pub(super) struct List {
    pub field: Option<FieldId>,
    pub members: Box<[NodeId]>,
    pub literals: OnceLock<super::literals::Literals>,
}

/// The compiled form of all rules' conditions.
#[derive(Debug, Default)]
pub(super) struct Program {
    nodes: Vec<Node>,
    parts: Vec<NodeId>,
    pub questions: Vec<Question>,
    pub lists: Vec<List>,
    pub fields: Fields,
}

impl Program {
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.index()]
    }

    pub fn parts(&self, parts: Parts) -> &[NodeId] {
        &self.parts[parts.first as usize..][..parts.count as usize]
    }

    /// The question of a node that is one.
    pub fn question(&self, id: NodeId) -> Option<&Question> {
        match self.node(id) {
            Node::Ask(question) => Some(&self.questions[question as usize]),
            _ => None,
        }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// Field names by number.
#[derive(Debug, Default)]
pub(super) struct Fields {
    numbers: FxHashMap<Arc<str>, FieldId>,
}

impl Fields {
    pub fn get(&self, name: &str) -> Option<FieldId> {
        self.numbers.get(name).copied()
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    fn intern(&mut self, name: &Arc<str>) -> FieldId {
        let next = FieldId(self.numbers.len() as u32);
        match self.numbers.get(name) {
            Some(&field) => field,
            None => *self.numbers.entry(Arc::clone(name)).or_insert(next),
        }
    }
}

/// Builds a program; equal parts get equal numbers.
#[derive(Debug, Default)]
pub(super) struct ProgramBuilder {
    program: Program,
    known: FxHashMap<Box<[u8]>, NodeId>,
    key: Vec<u8>,
}

impl ProgramBuilder {
    pub fn program(&self) -> &Program {
        &self.program
    }

    pub fn finish(self) -> Program {
        let mut program = self.program;
        program.nodes.shrink_to_fit();
        program.parts.shrink_to_fit();
        program.questions.shrink_to_fit();
        program
    }

    pub fn constant(&mut self, truth: bool) -> NodeId {
        self.key(if truth { b"t" } else { b"f" });
        self.intern(|_| Node::Constant(truth))
    }

    pub fn not(&mut self, part: NodeId) -> NodeId {
        match self.program.node(part) {
            Node::Constant(truth) => return self.constant(!truth),
            Node::Not(inner) => return inner,
            _ => {}
        }
        self.key(b"!");
        self.key.extend_from_slice(&part.0.to_le_bytes());
        self.intern(|_| Node::Not(part))
    }

    pub fn all(&mut self, parts: &[NodeId]) -> NodeId {
        self.connect(b"&", parts, Node::All)
    }

    pub fn any(&mut self, parts: &[NodeId]) -> NodeId {
        self.connect(b"|", parts, Node::Any)
    }

    pub fn at_least(&mut self, needed: u32, parts: &[NodeId]) -> NodeId {
        self.key(b"#");
        self.key.extend_from_slice(&needed.to_le_bytes());
        self.key_parts(parts);
        self.intern(|program| Node::AtLeast(needed, program.keep(parts)))
    }

    pub fn list(&mut self, field: Option<FieldId>, members: &[NodeId]) -> NodeId {
        // The members name the field already.
        self.key(b"l");
        self.key_parts(members);
        self.intern(|program| {
            program.lists.push(List { field, members: members.into(), literals: OnceLock::new() });
            Node::List(program.lists.len() as u32 - 1)
        })
    }

    pub fn ask(&mut self, predicate: &Predicate) -> NodeId {
        let field = predicate.field.as_ref().map(|name| self.program.fields.intern(name));
        let ask = match &predicate.test {
            Test::Text(pattern) if pattern.cased => Ask::Cased(TextTest::new(pattern)),
            Test::Text(pattern) => Ask::Folded(TextTest::new(pattern)),
            Test::Number(number) => Ask::Number(number.clone(), number.to_string().into_bytes().into()),
            // A truth value is equal to its own text in any case, and so are the texts.
            Test::Bool(truth) => Ask::Folded(TextTest::Whole(truth.to_string().into_bytes().into())),
            Test::Null if field.is_some() => Ask::Null,
            Test::Exists(wanted) if field.is_some() => Ask::Exists(*wanted),
            Test::FieldRef(other) => {
                Ask::Refer(self.program.fields.intern(&other.field), other.anchor, Cased(other.cased))
            }
            Test::Regex(regex) => Ask::Regex(Box::new(regex.clone()), required::length(regex)),
            other => Ask::Plain(Box::new(other.clone())),
        };
        self.key(b"?");
        self.key.extend_from_slice(&field.map_or(u32::MAX, |field| field.0).to_le_bytes());
        self.key_ask(&ask);
        self.intern(|program| {
            program.questions.push(Question { field, ask });
            Node::Ask(program.questions.len() as u32 - 1)
        })
    }

    fn connect(&mut self, tag: &[u8], parts: &[NodeId], node: fn(Parts) -> Node) -> NodeId {
        if let [only] = parts {
            return *only;
        }
        self.key(tag);
        self.key_parts(parts);
        self.intern(|program| node(program.keep(parts)))
    }

    fn key(&mut self, tag: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(tag);
    }

    fn key_parts(&mut self, parts: &[NodeId]) {
        for part in parts {
            self.key.extend_from_slice(&part.0.to_le_bytes());
        }
    }

    /// Writes what tells a question from all others.
    fn key_ask(&mut self, ask: &Ask) {
        match ask {
            Ask::Folded(test) => self.key_text(b'a', test),
            Ask::Cased(test) => self.key_text(b'A', test),
            Ask::Number(_, text) => {
                self.key.push(b'#');
                self.key.extend_from_slice(text);
            }
            Ask::Null => self.key.push(b'0'),
            Ask::Exists(wanted) => self.key.extend_from_slice(&[b'e', u8::from(*wanted)]),
            Ask::Refer(..) => self.key.extend_from_slice(format!("{ask:?}").as_bytes()),
            Ask::Regex(regex, _) => {
                self.key.extend_from_slice(format!("r{:?} {}", regex.flags(), regex.pattern()).as_bytes());
            }
            Ask::Plain(test) => self.key.extend_from_slice(format!("p{test:?}").as_bytes()),
        }
    }

    fn key_text(&mut self, tag: u8, test: &TextTest) {
        self.key.push(tag);
        match test {
            TextTest::Anything => self.key.push(b'*'),
            TextTest::Whole(text) => self.key_literal(b'=', text),
            TextTest::Start(text) => self.key_literal(b'<', text),
            TextTest::End(text) => self.key_literal(b'>', text),
            TextTest::Anywhere(text) => self.key_literal(b'.', text),
            TextTest::Glob(pieces) => self.key.extend_from_slice(format!("{pieces:?}").as_bytes()),
        }
    }

    fn key_literal(&mut self, tag: u8, text: &[u8]) {
        self.key.push(tag);
        self.key.extend_from_slice(text);
    }

    fn intern(&mut self, make: impl FnOnce(&mut Program) -> Node) -> NodeId {
        if let Some(&known) = self.known.get(self.key.as_slice()) {
            return known;
        }
        let node = make(&mut self.program);
        let id = NodeId(self.program.nodes.len() as u32);
        self.program.nodes.push(node);
        self.known.insert(self.key.as_slice().into(), id);
        id
    }
}

impl Program {
    fn keep(&mut self, parts: &[NodeId]) -> Parts {
        let first = self.parts.len() as u32;
        self.parts.extend_from_slice(parts);
        Parts { first, count: parts.len() as u32 }
    }
}
