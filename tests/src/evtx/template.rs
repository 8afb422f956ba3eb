//! Owns templates: an element with places that a record's values fill. Bytes are made in the chunk, which owns names.

use std::fmt::Write;
use std::hash::{Hash, Hasher};

/// What an element or an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// Text that is the same in every record.
    Text(String),
    /// The place of a record's value.
    Value {
        /// The value's index.
        index: u16,
        /// The type byte that the template promises.
        kind: u8,
        /// Whether a null value leaves the place out.
        optional: bool,
    },
    /// An element within.
    Element(Element),
}

/// An element of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Names of attributes, each with one text or value.
    pub attributes: Vec<(String, Node)>,
    /// What it holds, in order.
    pub children: Vec<Node>,
}

impl Element {
    /// Makes an element without attributes and content.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), children: Vec::new() }
    }

    /// Adds an attribute with fixed text.
    pub fn text_attribute(self, name: &str, text: &str) -> Self {
        self.attribute(name, Node::Text(text.to_owned()))
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &str, node: Node) -> Self {
        self.attributes.push((name.to_owned(), node));
        self
    }

    /// Adds content.
    pub fn child(mut self, node: Node) -> Self {
        self.children.push(node);
        self
    }

    /// Adds an element.
    pub fn element(self, element: Element) -> Self {
        self.child(Node::Element(element))
    }
}

/// An element that records instantiate; two that are equal share one definition in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    root: Element,
    id: u128,
}

impl Template {
    /// Makes a template; its GUID follows from what it holds, so that files are the same on every run.
    pub fn new(root: Element) -> Self {
        let mut text = String::new();
        // Formatting into a string cannot fail.
        let _ = write!(text, "{root:?}");
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).as_u128();
        Self { root, id }
    }

    /// The element.
    pub fn root(&self) -> &Element {
        &self.root
    }

    /// The GUID, in the order of its text.
    pub fn id(&self) -> u128 {
        self.id
    }
}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
