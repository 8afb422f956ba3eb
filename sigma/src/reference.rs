//! Owns the plain evaluator: what a rule means, written straight from the specification, small and obvious.
//!
//! It is the oracle that the compiled matcher is tested against and stays in the tree for that. It knows nothing of
//! speed: every question is answered from the event anew.

use crate::event::{Event, Value};
use crate::fold::{equal, fold};
use crate::rule::{Anchor, DASHES, Expr, FieldRef, Number, Pattern, Piece, Predicate, Quantifier, Rule, Test};
use crate::time::DateTime;
use std::borrow::Cow;

/// Whether a rule fires on an event; the logsource is the caller's to ask about.
pub fn fires(rule: &Rule, event: &Event) -> bool {
    holds(&rule.condition, rule, event)
}

/// Whether an expression of a rule holds for an event.
pub fn holds(expr: &Expr, rule: &Rule, event: &Event) -> bool {
    holds_within(expr, rule, event, Scope::Member(0))
}

/// What is looked at.
#[derive(Clone, Copy)]
enum Scope {
    /// A member of an array, by its number; 0 is the event as a whole.
    Member(u32),
    /// The value of this index, as a member of an array that the decoder told nothing of.
    Value(usize),
}

fn holds_within(expr: &Expr, rule: &Rule, event: &Event, scope: Scope) -> bool {
    let part_holds = |part: &Expr| holds_within(part, rule, event, scope);
    match expr {
        Expr::All(parts) => parts.iter().all(part_holds),
        Expr::Any(parts) => parts.iter().any(part_holds),
        Expr::AtLeast(n, parts) => parts.iter().filter(|part| part_holds(part)).count() >= *n,
        Expr::Not(part) => !part_holds(part),
        Expr::Selection(index) => rule.selections.get(*index).is_some_and(|s| part_holds(&s.body)),
        Expr::Test(predicate) => answers(predicate, event, scope),
        Expr::Elements(elements) => {
            let members = members(&elements.array, event, scope);
            let member_holds = |member: &Scope| holds_within(&elements.body, rule, event, *member);
            match elements.quantifier {
                Quantifier::Any => members.iter().any(member_holds),
                Quantifier::All => !members.is_empty() && members.iter().all(member_holds),
                Quantifier::AllOrEmpty => members.iter().all(member_holds),
                Quantifier::None => !members.iter().any(member_holds),
                Quantifier::At(index) => {
                    let at = if index < 0 { index.saturating_add(members.len() as i64) } else { index };
                    usize::try_from(at).ok().and_then(|at| members.get(at)).is_some_and(member_holds)
                }
            }
        }
        Expr::Constant(truth) => *truth,
    }
}

/// The members of an array; where the decoder told of none, each value under its path is one.
fn members(array: &str, event: &Event, scope: Scope) -> Vec<Scope> {
    let Scope::Member(within) = scope else { return Vec::new() };
    let told: Vec<Scope> = event.members().at(array, within).map(Scope::Member).collect();
    if !told.is_empty() {
        return told;
    }
    let values = event.iter().enumerate().filter(|(_, (name, value))| *name == array && *value != Value::Empty);
    let own = values.filter(|(at, _)| event.members().is_within(event.members().of(*at), within));
    own.map(|(at, _)| Scope::Value(at)).collect()
}

/// Whether a question about a field is answered with yes.
fn answers(predicate: &Predicate, event: &Event, scope: Scope) -> bool {
    let in_scope = |at: usize| match scope {
        Scope::Member(0) => true,
        Scope::Member(within) => event.members().is_within(event.members().of(at), within),
        Scope::Value(value) => at == value,
    };
    let asked = |name: &str| predicate.field.as_deref().is_none_or(|field| field == name);
    let values = || {
        let of_field = event.iter().enumerate().filter(|(at, (name, _))| asked(name) && in_scope(*at));
        of_field.map(|(_, (_, value))| value)
    };
    match &predicate.test {
        Test::Exists(wanted) => values().next().is_some() == *wanted,
        Test::Null => values().next().is_none() || values().any(|value| value == Value::Null),
        _ => values().any(|value| accepts(&predicate.test, value, event)),
    }
}

/// Whether one value answers a question.
pub fn accepts(test: &Test, value: Value<'_>, event: &Event) -> bool {
    match test {
        Test::Text(pattern) => text(value).is_some_and(|text| matches(pattern, &text)),
        Test::Number(number) => is_number(number, value),
        Test::Bool(truth) => match value {
            Value::Bool(other) => other == *truth,
            Value::Str(text) => equal(text, if *truth { "true" } else { "false" }),
            _ => false,
        },
        Test::Regex(regex) => text(value).is_some_and(|text| regex.is_match(&text)),
        Test::Cidr(cidr) => text(value).is_some_and(|text| cidr.contains(&text)),
        Test::Compare(comparison, number) => {
            text(value).and_then(|text| number.compare_with(&text)).is_some_and(|order| comparison.holds(order))
        }
        Test::TimePart(part, comparison, number) => text(value)
            .and_then(|text| DateTime::parse(&text))
            .is_some_and(|time| comparison.holds(time.part(*part).cmp(number))),
        Test::FieldRef(reference) => event.get_all(&reference.field).any(|other| refers(reference, value, other)),
        Test::Exists(wanted) => *wanted,
        Test::Null => value == Value::Null,
    }
}

/// The text of a value; null and what is empty have none.
pub fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Empty => None,
        Value::Bool(true) => Some("true".into()),
        Value::Bool(false) => Some("false".into()),
        Value::Int(int) => Some(int.to_string().into()),
        Value::Number(text) | Value::Str(text) => Some(text.into()),
    }
}

fn is_number(number: &Number, value: Value<'_>) -> bool {
    match value {
        Value::Int(int) => number.compare_with(&int.to_string()).is_some_and(|order| order.is_eq()),
        Value::Number(text) => number.compare_with(text).is_some_and(|order| order.is_eq()),
        Value::Str(text) => number.to_string() == text,
        _ => false,
    }
}

fn refers(reference: &FieldRef, own: Value<'_>, other: Value<'_>) -> bool {
    let (Some(own), Some(other)) = (text(own), text(other)) else { return false };
    let normal =
        |text: &str| -> String { if reference.cased { text.into() } else { text.chars().map(fold).collect() } };
    let (own, other) = (normal(&own), normal(&other));
    match reference.anchor {
        Anchor::Whole => own == other,
        Anchor::Start => own.starts_with(&other),
        Anchor::End => own.ends_with(&other),
        Anchor::Anywhere => own.contains(&other),
    }
}

/// One step of a pattern, by characters.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Char(char),
    One,
    Dash,
    Any,
}

/// Whether a pattern matches the whole of a text.
///
/// Where the rest fails, the last `*` takes one character more; earlier ones need not be tried again.
pub fn matches(pattern: &Pattern, text: &str) -> bool {
    let normal = |c: char| if pattern.cased { c } else { fold(c) };
    let steps: Vec<Step> = pattern.pieces.iter().flat_map(|piece| steps(piece, normal)).collect();
    let text: Vec<char> = text.chars().map(normal).collect();
    let (mut at, mut step) = (0, 0);
    let mut last_any = None;
    while at < text.len() {
        match steps.get(step) {
            Some(Step::Any) => {
                last_any = Some((step, at));
                step += 1;
            }
            Some(Step::One) => (at, step) = (at + 1, step + 1),
            Some(Step::Char(c)) if *c == text[at] => (at, step) = (at + 1, step + 1),
            Some(Step::Dash) if DASHES.contains(&text[at]) => (at, step) = (at + 1, step + 1),
            _ => match last_any {
                Some((any, taken)) => {
                    last_any = Some((any, taken + 1));
                    (at, step) = (taken + 1, any + 1);
                }
                None => return false,
            },
        }
    }
    steps[step..].iter().all(|step| *step == Step::Any)
}

fn steps(piece: &Piece, normal: impl Fn(char) -> char) -> Vec<Step> {
    match piece {
        Piece::Literal(text) => text.chars().map(|c| Step::Char(normal(c))).collect(),
        Piece::Any => vec![Step::Any],
        Piece::One => vec![Step::One],
        Piece::Dash => vec![Step::Dash],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let pattern = |pieces: &[Piece]| Pattern::new(pieces.iter().cloned(), false);
        let literal = |text: &str| Piece::Literal(text.into());
        let contains = pattern(&[Piece::Any, literal("A"), Piece::Any, literal("b"), Piece::Any]);
        assert!(matches(&contains, "xxa--Byy"));
        assert!(!matches(&contains, "xxb--ayy"));
        assert!(matches(&pattern(&[Piece::Any]), ""));
        assert!(!matches(&pattern(&[Piece::One]), ""));
        assert!(matches(&pattern(&[]), ""));
        assert!(!matches(&pattern(&[]), "x"));
        assert!(matches(&pattern(&[literal("a"), Piece::Any, literal("b")]), "a\nb\r\nb"));
        assert!(matches(&pattern(&[Piece::Dash, literal("f")]), "\u{2015}F"));
    }
}
