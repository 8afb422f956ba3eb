//! Owns paths into a record: `a.b`, `list[].name`, `list[0]`, `arguments[name=FileName].value`, `headers.*`, and `.` for
//! the record itself. Names with other characters stand in backquotes.

use super::node::Node;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The member of this name.
    Name(Box<str>),
    /// Every member of a map.
    Members,
    /// Every item of a list; what is not a list counts as its own single item.
    Items,
    /// One item, from 0.
    Index(usize),
    /// The items of a list whose member has this text, without regard to case.
    Where(Box<str>, Box<str>),
}

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
}

impl Path {
    /// Parses a path; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        if matches!(rest, "" | ".") {
            return Ok(Path { steps });
        }
        loop {
            rest = name(rest, &mut steps)?;
            while let Some(inner) = rest.strip_prefix('[') {
                let (inside, behind) = inner.split_once(']').ok_or("a bracket is not closed")?;
                steps.push(match inside.split_once('=') {
                    _ if inside.is_empty() => Step::Items,
                    Some((member, value)) => Step::Where(member.trim().into(), value.trim().into()),
                    None => match inside.parse() {
                        Ok(index) => Step::Index(index),
                        Err(_) => return Err(format!("'[{inside}]' is neither '[]', '[0]' nor '[member=text]'")),
                    },
                });
                rest = behind;
            }
            match rest.strip_prefix('.') {
                Some(behind) if !behind.is_empty() => rest = behind,
                None if rest.is_empty() => return Ok(Path { steps }),
                _ => return Err(format!("'{text}' does not end where a path ends, near '{rest}'")),
            }
        }
    }

    /// Calls `found` with every value that the path leads to.
    pub(super) fn each<'r, 'a>(&self, record: &'r Node<'a>, found: &mut dyn FnMut(&'r Node<'a>)) {
        follow(&self.steps, record, found);
    }
}

fn name<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    if let Some(quoted) = text.strip_prefix('`') {
        let (name, rest) = quoted.split_once('`').ok_or("a backquote is not closed")?;
        steps.push(Step::Name(name.into()));
        return Ok(rest);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "*" => steps.push(Step::Members),
        "" if rest.starts_with('[') => {}
        "" => return Err("a name is missing".to_owned()),
        _ if name.contains([']', '(', ')', '|', '`', ' ']) => {
            return Err(format!("'{name}' needs backquotes, as in `{}`", name.replace('`', "")));
        }
        _ => steps.push(Step::Name(name.into())),
    }
    Ok(rest)
}

// The recursion is bounded by the number of steps, which the mapping's author wrote.
fn follow<'r, 'a>(steps: &[Step], at: &'r Node<'a>, found: &mut dyn FnMut(&'r Node<'a>)) {
    let Some((step, rest)) = steps.split_first() else { return found(at) };
    match (step, at) {
        (Step::Name(name), Node::Map(members)) => {
            for (_, value) in members.iter().filter(|(key, _)| **key == **name) {
                follow(rest, value, found);
            }
        }
        (Step::Members, Node::Map(members)) => members.iter().for_each(|(_, value)| follow(rest, value, found)),
        (Step::Items, Node::List(items)) => items.iter().for_each(|item| follow(rest, item, found)),
        (Step::Items, Node::Null) => {}
        (Step::Items, item) => follow(rest, item, found),
        (Step::Index(index), Node::List(items)) => {
            if let Some(item) = items.get(*index) {
                follow(rest, item, found);
            }
        }
        (Step::Where(member, text), Node::List(items)) => {
            let same =
                |item: &&Node<'_>| item.get(member).and_then(Node::text).is_some_and(|t| t.eq_ignore_ascii_case(text));
            items.iter().filter(same).for_each(|item| follow(rest, item, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::node::{Budget, Whole};
    use serde::de::DeserializeSeed;

    fn texts(path: &str, json: &str) -> Vec<String> {
        let budget = Budget::new(100_000);
        let node = Whole { budget: &budget, depth: 32 }
            .deserialize(&mut serde_json::Deserializer::from_str(json))
            .expect("valid JSON");
        let mut texts = Vec::new();
        Path::parse(path).expect("a path").each(&node, &mut |n| texts.extend(n.text().map(|t| t.into_owned())));
        texts
    }

    #[test]
    fn paths_lead_to_members_items_and_the_record_itself() {
        let json = r#"{"a":{"b":[{"c":1},{"c":2}]},"args":[{"name":"X","value":"x"},{"name":"Y","value":"y"}],"h":{"q":"z"},"a.b":"dot"}"#;
        assert_eq!(texts("a.b[].c", json), ["1", "2"]);
        assert_eq!(texts("a.b[1].c", json), ["2"]);
        assert_eq!(texts("args[name=y].value", json), ["y"]);
        assert_eq!(texts("h.*", json), ["z"]);
        assert_eq!(texts("`a.b`", json), ["dot"]);
        assert_eq!(texts("h[].q", json), ["z"], "a single object stands for a list of one");
        assert_eq!(texts(".", "\"s\""), ["s"]);
    }

    #[test]
    fn a_broken_path_says_why() {
        for bad in ["a..b", "a[", "a[x]", "a b", "`a", "a.", ".a"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
