//! Owns the way through a document: a tree made of the paths that a mapping names, and a walk that reads along it as a
//! stream, so that a report of any size costs the memory of one record. Knows nothing of events.

use super::node::{Budget, Key, Node, Over, Whole};
use super::path::{Path, Step};
use crate::Limits;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What of a record is kept; the rest is read over.
#[derive(Debug, Clone)]
pub(super) enum Keep {
    All,
    /// The members of these names.
    Names(FxHashSet<Box<str>>),
}

impl Keep {
    fn takes(&self, name: &str) -> bool {
        match self {
            Keep::All => true,
            Keep::Names(names) => names.contains(name),
        }
    }

    fn join(&mut self, other: Keep) {
        match (&mut *self, other) {
            (Keep::Names(names), Keep::Names(more)) => names.extend(more),
            (keep, _) => *keep = Keep::All,
        }
    }

    /// What a path needs of the record that it starts from.
    pub(super) fn of(path: &Path) -> Keep {
        match path.steps.first() {
            Some(Step::Name(name)) => Keep::Names(FxHashSet::from_iter([name.clone()])),
            _ => Keep::All,
        }
    }

    pub(super) fn nothing() -> Keep {
        Keep::Names(FxHashSet::default())
    }

    pub(super) fn add(&mut self, path: &Path) {
        self.join(Keep::of(path));
    }
}

#[derive(Debug, Default)]
struct Place {
    names: FxHashMap<Box<str>, usize>,
    members: Option<usize>,
    items: Option<usize>,
    /// What ends here, by the number that the mapping gave it.
    ends: Vec<usize>,
    keep: Option<Keep>,
    /// The scope that a value here opens.
    scope: Option<usize>,
}

impl Place {
    fn is_leaf(&self) -> bool {
        self.names.is_empty() && self.members.is_none() && self.items.is_none()
    }

    fn child(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied().or(self.members)
    }
}

/// The paths of a mapping as one tree.
#[derive(Debug)]
pub(super) struct Tree {
    places: Vec<Place>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { places: vec![Place::default()] }
    }
}

impl Tree {
    fn place(&mut self, steps: &[Step]) -> Option<usize> {
        let mut at = 0;
        for step in steps {
            let next = self.places.len();
            let slot = match step {
                Step::Name(name) => self.places[at].names.entry(name.clone()).or_insert(next),
                Step::Members => self.places[at].members.get_or_insert(next),
                Step::Items => self.places[at].items.get_or_insert(next),
                Step::Index(_) | Step::Where(..) => return None,
            };
            at = *slot;
            if at == next {
                self.places.push(Place::default());
            }
        }
        Some(at)
    }

    /// Lets a record end at a path; `false` if the path has steps that cannot be walked as a stream.
    pub(super) fn end(&mut self, steps: &[Step], end: usize, keep: Keep) -> bool {
        let Some(at) = self.place(steps) else { return false };
        let place = &mut self.places[at];
        place.ends.push(end);
        match &mut place.keep {
            Some(known) => known.join(keep),
            None => place.keep = Some(keep),
        }
        true
    }

    /// Lets a scope open at a path.
    pub(super) fn scope(&mut self, steps: &[Step], scope: usize) {
        if let Some(at) = self.place(steps) {
            self.places[at].scope = Some(scope);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| place.ends.is_empty())
    }

    /// A name that is both part of a record and has records of its own below, which cannot be read as a stream.
    pub(super) fn overlap(&self) -> Option<&str> {
        self.places.iter().find_map(|place| match place.keep.as_ref()? {
            Keep::All => place.names.keys().next().map(|name| &**name),
            keep => place.names.keys().find(|name| keep.takes(name)).map(|name| &**name),
        })
    }

    /// Walks a document; the error is the document's, or that the visitor stopped.
    pub(super) fn walk<'de, V: Visit<'de>>(
        &self,
        text: &'de str,
        limits: &Limits,
        visit: &mut V,
    ) -> Result<(), serde_json::Error> {
        // The parser's own limit is 128 levels; a record that reaches it is counted, not the document lost.
        let depth = limits.depth.min(120);
        let mut json = serde_json::Deserializer::from_str(text);
        Walk { tree: self, at: 0, visit, record_bytes: limits.record_bytes, depth }.deserialize(&mut json)?;
        json.end()
    }
}

/// Takes what a walk meets.
pub(super) trait Visit<'de> {
    /// A value that opens a scope begins.
    fn enter(&mut self, scope: usize);
    /// The value that opened the scope ends.
    fn leave(&mut self, scope: usize);
    /// A record ended; `ends` says for what.
    fn record(&mut self, ends: &[usize], record: Result<Node<'de>, Over>);
    /// Whether to go no further.
    fn stopped(&self) -> bool;
}

struct Walk<'w, V> {
    tree: &'w Tree,
    at: usize,
    visit: &'w mut V,
    record_bytes: u64,
    depth: u32,
}

impl<'de, V: Visit<'de>> DeserializeSeed<'de> for Walk<'_, V> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.visit.stopped() {
            return Err(D::Error::custom("stopped"));
        }
        let place = &self.tree.places[self.at];
        if let Some(scope) = place.scope {
            self.visit.enter(scope);
        }
        let result = if place.is_leaf() && matches!(place.keep, Some(Keep::All)) {
            let budget = Budget::new(self.record_bytes);
            let node = Whole { budget: &budget, depth: self.depth }.deserialize(deserializer)?;
            self.visit.record(&place.ends, budget.over().map_or(Ok(node), Err));
            Ok(())
        } else {
            deserializer.deserialize_any(Walk {
                tree: self.tree,
                at: self.at,
                visit: &mut *self.visit,
                record_bytes: self.record_bytes,
                depth: self.depth,
            })
        };
        if let Some(scope) = place.scope {
            self.visit.leave(scope);
        }
        result
    }
}

impl<'de, V: Visit<'de>> Walk<'_, V> {
    /// Where a value that is no list belongs: what the mapping takes for a list of it is a list of one.
    fn single(&mut self) {
        let place = &self.tree.places[self.at];
        if let (Some(items), true) = (place.items, place.ends.is_empty() && place.names.is_empty()) {
            self.at = items;
            if let Some(scope) = self.tree.places[items].scope {
                self.visit.enter(scope);
            }
        }
    }

    fn scalar(mut self, node: Node<'de>) {
        let at = self.at;
        self.single();
        let place = &self.tree.places[self.at];
        if !place.ends.is_empty() {
            self.visit.record(&place.ends, Ok(node));
        }
        if let (true, Some(scope)) = (self.at != at, place.scope) {
            self.visit.leave(scope);
        }
    }
}

impl<'de, V: Visit<'de>> Visitor<'de> for Walk<'_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Node::Bool(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Node::Int(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(i64::try_from(value).map_or_else(|_| Node::Number(value.to_string().into()), Node::Int));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Node::Number(value.to_string().into()));
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        self.scalar(Node::Str(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Node::Str(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let place = &self.tree.places[self.at];
        if let (Some(at), Some(depth)) = (place.items, self.depth.checked_sub(1)) {
            loop {
                let (tree, record_bytes) = (self.tree, self.record_bytes);
                let walk = Walk { tree, at, visit: &mut *self.visit, record_bytes, depth };
                if items.next_element_seed(walk)?.is_none() {
                    return Ok(());
                }
            }
        }
        if place.ends.is_empty() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        // A record that is a list has no names to keep apart: it is kept whole.
        let budget = Budget::new(self.record_bytes);
        let mut list = Vec::new();
        let depth = self.depth.saturating_sub(1);
        while budget.over().is_none() {
            match items.next_element_seed(Whole { budget: &budget, depth })? {
                Some(item) => list.push(item),
                None => break,
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.visit.record(&place.ends, budget.over().map_or(Ok(Node::List(list)), Err));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let from = self.at;
        self.single();
        let place = &self.tree.places[self.at];
        let budget = Budget::new(self.record_bytes);
        let depth = self.depth.saturating_sub(1);
        let mut map = Vec::new();
        let mut inside = false;
        while let Some(key) = members.next_key_seed(Key)? {
            let keep = place.keep.as_ref().is_some_and(|keep| keep.takes(&key)) && budget.over().is_none();
            match place.child(&key).filter(|_| depth > 0) {
                Some(at) => {
                    let (tree, record_bytes) = (self.tree, self.record_bytes);
                    let walk = Walk { tree, at, visit: &mut *self.visit, record_bytes, depth };
                    members.next_value_seed(walk)?;
                    inside = true;
                }
                None if keep => {
                    let value = members.next_value_seed(Whole { budget: &budget, depth })?;
                    map.push((key, value));
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        // What holds nothing but records of other roots is their wrapping, not a record.
        let wrapping = inside && map.is_empty() && budget.over().is_none();
        if !place.ends.is_empty() && !wrapping {
            self.visit.record(&place.ends, budget.over().map_or(Ok(Node::Map(map)), Err));
        }
        if let (true, Some(scope)) = (self.at != from, place.scope) {
            self.visit.leave(scope);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        records: Vec<(Vec<usize>, String)>,
        scopes: Vec<(usize, bool)>,
    }

    impl<'de> Visit<'de> for Seen {
        fn enter(&mut self, scope: usize) {
            self.scopes.push((scope, true));
        }

        fn leave(&mut self, scope: usize) {
            self.scopes.push((scope, false));
        }

        fn record(&mut self, ends: &[usize], record: Result<Node<'de>, Over>) {
            let told = record.map_or_else(|over| format!("{over:?}"), |node| node.to_json().to_string());
            self.records.push((ends.to_vec(), told));
        }

        fn stopped(&self) -> bool {
            false
        }
    }

    fn steps(path: &str) -> Vec<Step> {
        Path::parse(path).expect("a path").steps
    }

    fn walk(tree: &Tree, text: &str, limits: &Limits) -> Seen {
        let mut seen = Seen::default();
        tree.walk(text, limits, &mut seen).expect("valid JSON");
        seen
    }

    #[test]
    fn records_come_out_one_by_one_with_what_the_mapping_needs_of_them() {
        let mut tree = Tree::default();
        let keep = Keep::Names(FxHashSet::from_iter(["pid".into()]));
        assert!(tree.end(&steps("b.processes[]"), 0, keep));
        assert!(tree.end(&steps("b.processes[].calls[]"), 1, Keep::All));
        tree.scope(&steps("b.processes[]"), 0);
        let text = r#"{"x":[1],"b":{"processes":[{"pid":1,"calls":[{"api":"A"},{"api":"B"}],"threads":[1,2]},{"calls":[],"pid":2}]}}"#;
        let seen = walk(&tree, text, &Limits::default());
        let told: Vec<_> = seen.records.iter().map(|(ends, text)| (ends[0], text.as_str())).collect();
        assert_eq!(told, [(1, r#"{"api":"A"}"#), (1, r#"{"api":"B"}"#), (0, r#"{"pid":1}"#), (0, r#"{"pid":2}"#)]);
        assert_eq!(seen.scopes, [(0, true), (0, false), (0, true), (0, false)]);
    }

    #[test]
    fn a_single_value_stands_for_a_list_of_one() {
        let mut tree = Tree::default();
        tree.end(&steps("data[].names[]"), 0, Keep::All);
        tree.scope(&steps("data[]"), 3);
        let seen = walk(&tree, r#"{"data":{"names":"one"}}"#, &Limits::default());
        assert_eq!(seen.records, [(vec![0], "\"one\"".to_owned())]);
        assert_eq!(seen.scopes, [(3, true), (3, false)]);
    }

    #[test]
    fn a_record_over_its_limits_is_counted_and_the_next_is_read() {
        let mut tree = Tree::default();
        tree.end(&steps("r[]"), 0, Keep::All);
        let limits = Limits { record_bytes: 200, depth: 6, ..Limits::default() };
        let text = format!(r#"{{"r":["{}",[[[[[[1]]]]]],"short"]}}"#, "x".repeat(300));
        let told: Vec<_> = walk(&tree, &text, &limits).records.into_iter().map(|(_, text)| text).collect();
        assert_eq!(told, ["Bytes", "Depth", "\"short\""]);
    }

    #[test]
    fn a_nesting_bomb_beside_the_records_costs_nothing() {
        let mut tree = Tree::default();
        tree.end(&steps("r[]"), 0, Keep::All);
        let text = format!(r#"{{"bomb":{}{},"r":[1]}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(walk(&tree, &text, &Limits::default()).records.len(), 1);
    }

    #[test]
    fn what_is_both_a_field_and_holds_records_is_found() {
        let mut tree = Tree::default();
        tree.end(&steps("p[]"), 0, Keep::of(&Path::parse("calls").expect("a path")));
        tree.end(&steps("p[].calls[]"), 1, Keep::All);
        assert_eq!(tree.overlap(), Some("calls"));
    }
}
