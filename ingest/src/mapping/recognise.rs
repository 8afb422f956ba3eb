//! Owns telling by content which mapping an artifact belongs to, without reading more of it than the question needs.

use super::Mappings;
use super::model::{Mapping, Recognise};
use super::node::{Node, Over};
use super::path::Path;
use super::text::{self, Documents};
use super::transform::glob;
use super::walk::{Keep, Tree, Visit};
use crate::Limits;
use std::sync::Arc;

/// How many documents of a log are looked at before it is given up.
const DOCUMENTS: usize = 32;

impl Mappings {
    /// Finds the mapping for the content of an artifact.
    ///
    /// Of several, the one of the highest priority counts, then the first by name.
    pub(crate) fn recognise(&self, bytes: &[u8], limits: &Limits) -> Option<&Arc<Mapping>> {
        if !looks_like_json(bytes) {
            return None;
        }
        let text = text::decode(bytes);
        for document in Documents::new(&text.text).take(DOCUMENTS) {
            let mut shape = Shape { facts: Vec::new() };
            // What was seen before a broken document breaks still tells what it was to be.
            let _ = self.shape.walk(&document.text, limits, &mut shape);
            if let Some(mapping) = self.by_shape(&shape) {
                return Some(mapping);
            }
        }
        None
    }

    fn by_shape(&self, shape: &Shape) -> Option<&Arc<Mapping>> {
        let holds = |mapping: &&Arc<Mapping>| mapping.recognise.iter().any(|way| self.holds(way, shape));
        self.mappings.iter().filter(holds).max_by(|a, b| a.priority.cmp(&b.priority).then(b.name.cmp(&a.name)))
    }

    fn holds(&self, way: &Recognise, shape: &Shape) -> bool {
        let of = |path: &Path| self.facts.iter().position(|known| known == path);
        let there = |path: &Path| of(path).is_some_and(|fact| shape.facts.iter().any(|(f, _)| *f == fact));
        let said = |path: &Path, patterns: &[Box<str>]| {
            of(path).is_some_and(|fact| {
                let texts = shape.facts.iter().filter(|(f, _)| *f == fact).filter_map(|(_, text)| text.as_deref());
                texts.into_iter().any(|text| patterns.iter().any(|pattern| glob(pattern, text)))
            })
        };
        way.has.iter().all(|paths| paths.iter().any(there))
            && (way.any.is_empty() || way.any.iter().any(there))
            && way.like.iter().all(|(paths, patterns)| paths.iter().any(|path| said(path, patterns)))
            && !way.lacks.iter().any(there)
    }
}

/// Every path that a way to recognise asks for, as one tree; members are not kept, only that they are there.
pub(super) fn shape(mappings: &[Arc<Mapping>]) -> (Vec<Path>, Tree) {
    let mut facts: Vec<Path> = Vec::new();
    for way in mappings.iter().flat_map(|mapping| &mapping.recognise) {
        let like = way.like.iter().flat_map(|(paths, _)| paths);
        for path in way.has.iter().flatten().chain(&way.any).chain(like).chain(&way.lacks) {
            if !facts.contains(path) {
                facts.push(path.clone());
            }
        }
    }
    let mut tree = Tree::default();
    for (number, path) in facts.iter().enumerate() {
        tree.end(&path.steps, number, Keep::nothing());
        tree.scope(&path.steps, number);
    }
    (facts, tree)
}

/// Whether it could be text that holds an object or a list, behind whatever a hand put before it.
fn looks_like_json(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let utf16 = matches!(head, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
    (utf16 || !head.contains(&0)) && (head.contains(&b'{') || head.contains(&b'['))
}

struct Shape {
    facts: Vec<(usize, Option<String>)>,
}

impl<'de> Visit<'de> for Shape {
    // That a value begins is enough to know that it is there: the document may break inside of it.
    fn enter(&mut self, fact: usize) {
        if self.facts.len() < 4096 && !self.facts.contains(&(fact, None)) {
            self.facts.push((fact, None));
        }
    }

    fn leave(&mut self, _: usize) {}

    fn record(&mut self, ends: &[usize], record: Result<Node<'de>, Over>) {
        // A list may repeat a text for ever; the first of them are enough to tell by.
        if let Some(text) = record.ok().and_then(|node| node.text().map(std::borrow::Cow::into_owned))
            && self.facts.len() < 4096
        {
            self.facts.extend(ends.iter().map(|end| (*end, Some(text.clone()))));
        }
    }

    fn stopped(&self) -> bool {
        false
    }
}
