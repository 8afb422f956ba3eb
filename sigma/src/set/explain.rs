//! Owns the answers to "why did it match" and "why not": the tests that decided, with the values they were asked of.

use crate::event::Event;
use crate::reference;
use crate::rule::{Comparison, Expr, Predicate, Rule, Test};
use serde::Serialize;

/// How many values of a field an explanation shows.
const MAX_VALUES: usize = 8;

/// What a match on one event hung on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// The selection's name.
    pub selection: String,
    /// The field; absent for a keyword.
    pub field: Option<String>,
    /// The value that decided, as text.
    pub value: String,
    /// The rule's pattern that decided, as the rule writes it.
    pub pattern: String,
}

/// A part of a rule, whether it holds for an event, and its own parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What the part asks: `all of`, `any of`, `not`, `selection NAME`, `Image: *\cmd.exe`.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
    /// For a test of a field: the values it was asked of, at most eight; none where the field is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explanation>,
}

/// Explains every part of a rule's condition; what decides nothing is there too, so that "why not" has its answer.
pub(super) fn tree(rule: &Rule, event: &Event) -> Explanation {
    node(&rule.condition, rule, event)
}

fn node(expr: &Expr, rule: &Rule, event: &Event) -> Explanation {
    let list = |parts: &[Expr]| parts.iter().map(|part| node(part, rule, event)).collect();
    let (what, values, parts) = match expr {
        Expr::All(parts) => ("all of".to_owned(), None, list(parts)),
        Expr::Any(parts) => ("any of".to_owned(), None, list(parts)),
        Expr::AtLeast(n, parts) => (format!("{n} of"), None, list(parts)),
        Expr::Not(part) => ("not".to_owned(), None, vec![node(part, rule, event)]),
        Expr::Selection(index) => match rule.selections.get(*index) {
            Some(selection) => {
                (format!("selection {}", selection.name), None, vec![node(&selection.body, rule, event)])
            }
            None => ("selection".to_owned(), None, Vec::new()),
        },
        Expr::Elements(elements) => {
            let quantifier = format!("{:?}", elements.quantifier).to_lowercase();
            (format!("{quantifier} member of {}", elements.array), None, Vec::new())
        }
        Expr::Constant(_) => ("a part that no event decides".to_owned(), None, Vec::new()),
        Expr::Test(predicate) => {
            let field = predicate.field.as_deref();
            let values = field.map(|field| event.get_all(field).take(MAX_VALUES).map(shown).collect());
            (format!("{}: {}", field.unwrap_or("any value"), predicate.test), values, Vec::new())
        }
    };
    Explanation { what, holds: reference::holds(expr, rule, event), values, parts }
}

fn shown(value: crate::event::Value<'_>) -> String {
    match value {
        crate::event::Value::Null => "null".to_owned(),
        crate::event::Value::Empty => "(empty)".to_owned(),
        value => reference::text(value).unwrap_or_default().into_owned(),
    }
}

pub(super) fn matched(rule: &Rule, event: &Event) -> Vec<Matched> {
    let mut found = Vec::new();
    collect(&rule.condition, rule, event, "", &mut found);
    found
}

/// Descends into what holds; what stands under a `not` held by its absence and has nothing to show.
fn collect(expr: &Expr, rule: &Rule, event: &Event, selection: &str, found: &mut Vec<Matched>) {
    if !reference::holds(expr, rule, event) {
        return;
    }
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter().for_each(|part| collect(part, rule, event, selection, found));
        }
        Expr::Selection(index) => {
            if let Some(named) = rule.selections.get(*index) {
                collect(&named.body, rule, event, &named.name, found);
            }
        }
        Expr::Test(predicate) => {
            let matched = decided(predicate, event, selection);
            if !found.contains(&matched) {
                found.push(matched);
            }
        }
        Expr::Elements(elements) => found.push(Matched {
            selection: selection.to_owned(),
            field: Some(elements.array.to_string()),
            value: String::new(),
            pattern: format!("{:?} member", elements.quantifier).to_lowercase(),
        }),
        Expr::Not(_) | Expr::Constant(_) => {}
    }
}

fn decided(predicate: &Predicate, event: &Event, selection: &str) -> Matched {
    let decided = event.iter().find(|(name, value)| {
        predicate.field.as_deref().is_none_or(|field| field == *name)
            && reference::accepts(&predicate.test, *value, event)
    });
    Matched {
        selection: selection.to_owned(),
        field: predicate.field.as_deref().map(str::to_owned),
        value: decided.and_then(|(_, value)| reference::text(value)).unwrap_or_default().into_owned(),
        pattern: predicate.test.to_string(),
    }
}

impl std::fmt::Display for Test {
    /// Writes the question as a rule's author would recognise it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Test::Text(pattern) => pattern.fmt(f),
            Test::Number(number) => number.fmt(f),
            Test::Bool(truth) => truth.fmt(f),
            Test::Null => f.write_str("null"),
            Test::Exists(true) => f.write_str("exists"),
            Test::Exists(false) => f.write_str("does not exist"),
            Test::Regex(regex) => regex.fmt(f),
            Test::Cidr(cidr) => cidr.fmt(f),
            Test::Compare(comparison, number) => write!(f, "{} {number}", comparison.symbol()),
            Test::TimePart(part, Comparison::Equal, number) => write!(f, "{} {number}", part.name()),
            Test::TimePart(part, comparison, number) => {
                write!(f, "{} {} {number}", part.name(), comparison.symbol())
            }
            Test::FieldRef(reference) => write!(f, "field {}", reference.field),
        }
    }
}

impl std::fmt::Display for Explanation {
    /// Writes the tree with one part a line, indented, marked by `+` where it holds and `-` where it does not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut pending = vec![(self, 0)];
        while let Some((part, depth)) = pending.pop() {
            let mark = if part.holds { '+' } else { '-' };
            write!(f, "{:1$}{mark} {2}", "", 2 * depth, part.what)?;
            match part.values.as_deref() {
                Some([]) => f.write_str("  (the field is missing)")?,
                Some(values) => write!(f, "  (is {})", values.join(", "))?,
                None => {}
            }
            writeln!(f)?;
            pending.extend(part.parts.iter().rev().map(|part| (part, depth + 1)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Event, Options, RuleIndex, SourceFile};

    #[test]
    fn says_which_test_decided_and_why_the_rest_did_not() {
        let text = br"
title: x
logsource: {category: test}
detection:
    selection:
        Image|endswith: ['\cmd.exe', '\sh']
        CommandLine|contains|all: [a, b]
    filter: {User: x}
    condition: selection and not filter
";
        let mut builder = Builder::new(Options::default());
        builder.add(&SourceFile { source: "test", file: "x.yml", text });
        let (set, _) = builder.build();
        let mut event = Event::new();
        event.push_str("Image", "/bin\\sh");
        event.push_str("CommandLine", "ba");
        let matched = set.explain(&event, RuleIndex(0));
        let shown: Vec<_> = matched.iter().map(|m| (m.field.as_deref().unwrap(), &*m.value, &*m.pattern)).collect();
        assert_eq!(shown, [("Image", "/bin\\sh", "*\\sh"), ("CommandLine", "ba", "*a*"), ("CommandLine", "ba", "*b*")]);
        assert_eq!(
            set.explain_all(&event, RuleIndex(0)).to_string(),
            r"+ all of
  + selection selection
    + all of
      + any of
        - Image: *\cmd.exe  (is /bin\sh)
        + Image: *\sh  (is /bin\sh)
      + all of
        + CommandLine: *a*  (is ba)
        + CommandLine: *b*  (is ba)
  + not
    - selection filter
      - User: x  (the field is missing)
"
        );
    }
}
