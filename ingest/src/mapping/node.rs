//! Owns one record of a report in memory: a JSON value that borrows from the document where it can, read under a
//! budget of bytes and depth. Knows nothing of mappings.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// A JSON value; members keep their order and may repeat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Any other number, by its text.
    Number(Box<str>),
    Str(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The first member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Map(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a scalar; `None` for null, lists and maps.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Node::Str(text) => Some(Cow::Borrowed(text)),
            Node::Int(number) => Some(Cow::Owned(number.to_string())),
            Node::Number(text) => Some(Cow::Borrowed(text)),
            Node::Bool(true) => Some(Cow::Borrowed("true")),
            Node::Bool(false) => Some(Cow::Borrowed("false")),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Converts to the tree of `serde_json`, for decoders that take that.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Node::Null => Value::Null,
            Node::Bool(b) => Value::Bool(*b),
            Node::Int(i) => Value::from(*i),
            Node::Number(n) => serde_json::from_str(n).unwrap_or_else(|_| Value::String(n.to_string())),
            Node::Str(s) => Value::String(s.to_string()),
            Node::List(l) => Value::Array(l.iter().map(Node::to_json).collect()),
            Node::Map(m) => Value::Object(m.iter().map(|(k, v)| (k.to_string(), v.to_json())).collect()),
        }
    }
}

/// Why a record was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// More bytes than `limits.record_bytes`.
    Bytes,
    /// Deeper than `limits.depth`.
    Depth,
}

/// What one record may cost.
///
/// A record over budget is read to its end without being kept, so that the document goes on behind it.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<u64>,
    over: Cell<Option<Over>>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: Cell::new(bytes), over: Cell::new(None) }
    }

    pub(crate) fn over(&self) -> Option<Over> {
        self.over.get()
    }

    fn spend(&self, bytes: usize) -> bool {
        // What a node costs beside its text, so that a million empty lists are not free.
        const NODE: u64 = 32;
        match self.left.get().checked_sub(bytes as u64 + NODE) {
            Some(left) => {
                self.left.set(left);
                self.over.get().is_none()
            }
            None => {
                self.over.set(self.over.get().or(Some(Over::Bytes)));
                false
            }
        }
    }

    fn too_deep(&self) {
        self.over.set(self.over.get().or(Some(Over::Depth)));
    }
}

/// Reads a value whole, within a budget; `depth` is how many levels it may have.
pub(crate) struct Whole<'b> {
    pub(crate) budget: &'b Budget,
    pub(crate) depth: u32,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        self.budget.spend(0);
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        self.budget.spend(0);
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'de>, E> {
        self.budget.spend(0);
        Ok(Node::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'de>, E> {
        self.budget.spend(0);
        Ok(i64::try_from(value).map_or_else(|_| Node::Number(value.to_string().into()), Node::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        self.budget.spend(0);
        Ok(Node::Number(value.to_string().into()))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        self.budget.spend(value.len());
        Ok(Node::Str(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(if self.budget.spend(value.len()) { Node::Str(Cow::Owned(value.to_owned())) } else { Node::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            self.budget.too_deep();
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Node::Null);
        };
        let mut list = Vec::new();
        while self.budget.spend(0) {
            match items.next_element_seed(Whole { budget: self.budget, depth })? {
                Some(item) => list.push(item),
                None => return Ok(Node::List(list)),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            self.budget.too_deep();
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Node::Null);
        };
        let mut map = Vec::new();
        while self.budget.spend(0) {
            let Some(key) = members.next_key_seed(Key)? else { return Ok(Node::Map(map)) };
            self.budget.spend(key.len());
            let value = members.next_value_seed(Whole { budget: self.budget, depth })?;
            map.push((key, value));
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Node::Null)
    }
}

/// Reads a member's name, borrowed where it has no escapes.
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, bytes: u64, depth: u32) -> (Node<'_>, Option<Over>) {
        let budget = Budget::new(bytes);
        let mut json = serde_json::Deserializer::from_str(text);
        let node = Whole { budget: &budget, depth }.deserialize(&mut json).expect("valid JSON");
        json.end().expect("read to its end even when over budget");
        (node, budget.over())
    }

    #[test]
    fn a_record_borrows_and_keeps_large_numbers_by_text() {
        let (node, over) = read(r#"{"a":[1,18446744073709551615,"x",null,true]}"#, 10_000, 8);
        assert_eq!(over, None);
        let Some(Node::List(list)) = node.get("a") else { panic!("a list") };
        assert_eq!(list[1], Node::Number("18446744073709551615".into()));
        assert!(matches!(&list[2], Node::Str(Cow::Borrowed("x"))));
    }

    #[test]
    fn a_record_over_budget_is_read_to_its_end_and_told() {
        assert_eq!(
            read(r#"{"a":"0123456789012345678901234567890123456789","b":[1,2,3]}"#, 100, 8).1,
            Some(Over::Bytes)
        );
        assert_eq!(read("[[[[1]]]]", 10_000, 3).1, Some(Over::Depth));
    }
}
