//! Owns the structure of a detection: selections of maps, lists and keywords become expressions over single tests.

use super::arrays::{self, Selector};
use super::condition::Name;
use super::modifier::{self, Modifier, Value};
use super::nearest::nearest;
use super::report::{Problem, Report};
use super::selections::conditions;
use super::text::Text;
use crate::rule::{Comparison, Elements, Expr, FieldRef, Number, Predicate, Quantifier, Regex, Test};
use crate::yaml::{Entry, Kind, Mark, Node, Scalar, ScalarType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What brackets in field names are (draft, SEP 212).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrays {
    /// Characters of the name.
    Literal,
    /// Selectors of array members.
    Selectors,
}

/// How deep selectors of arrays may nest.
const MAX_ARRAYS: usize = 8;

/// What the building of selections needs and finds.
pub(crate) struct Context<'c, 't> {
    pub report: &'c mut Report<'t>,
    pub placeholders: &'c BTreeMap<String, Vec<String>>,
    pub arrays: Arrays,
    /// Within the body of an array selector: the path of the array, which names of fields are relative to.
    pub prefix: String,
    /// How many array selectors the place lies in.
    pub depth: usize,
    /// What a placeholder without values counts as: `false`, and `true` where the selection is used under a `not`, so
    /// that a rule never fires on what is not known.
    pub unknown: bool,
    /// Whether such a placeholder was met.
    pub met_unknown: bool,
    /// Off for the second build of the same selection, which would only repeat the findings.
    pub quiet: bool,
}

impl Context<'_, '_> {
    fn error(&mut self, mark: Mark, text: &str, problem: Problem) {
        if !self.quiet {
            self.report.error(mark, text, problem);
        }
    }

    fn warning(&mut self, mark: Mark, text: &str, problem: Problem) {
        if !self.quiet {
            self.report.warning(mark, text, problem);
        }
    }

    fn note(&mut self, mark: Mark, text: &str, problem: Problem) {
        if !self.quiet {
            self.report.note(mark, text, problem);
        }
    }
}

/// Builds a selection: a map is all of its items, a list is any of its members, a scalar is a keyword.
///
/// Every part is built even after an error, so that one run reports all of them; `None` says there was one.
pub(crate) fn selection(context: &mut Context<'_, '_>, node: &Node<'_>) -> Option<Expr> {
    match &node.kind {
        Kind::Map(entries) if entries.is_empty() => empty(context, node),
        Kind::Map(entries) => {
            let items: Vec<Option<Expr>> = entries.iter().map(|entry| item(context, entry)).collect();
            items.into_iter().collect::<Option<Vec<_>>>().map(all)
        }
        Kind::List(members) if members.is_empty() => empty(context, node),
        Kind::List(members) => {
            let parts: Vec<Option<Expr>> = members
                .iter()
                .map(|member| match &member.kind {
                    Kind::Scalar(scalar) => keyword(context, scalar, member.mark),
                    _ => selection(context, member),
                })
                .collect();
            parts.into_iter().collect::<Option<Vec<_>>>().map(any)
        }
        Kind::Scalar(scalar) => keyword(context, scalar, node.mark),
    }
}

fn empty(context: &mut Context<'_, '_>, node: &Node<'_>) -> Option<Expr> {
    let help = "write at least one field or keyword, or remove the selection";
    context.error(node.mark, "", Problem::new("empty-selection", "the selection asks nothing", help));
    None
}

fn all(mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 { parts.swap_remove(0) } else { Expr::All(parts) }
}

fn any(mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Any(parts) }
}

/// A bare value in a list of keywords.
fn keyword(context: &mut Context<'_, '_>, scalar: &Scalar<'_>, mark: Mark) -> Option<Expr> {
    let item = Item { field: None, modifiers: Vec::new(), cased: false };
    any_value(context, &item, scalar, mark)
}

/// A field with its modifiers, without values.
struct Item {
    field: Option<Arc<str>>,
    modifiers: Vec<Modifier>,
    cased: bool,
}

impl Item {
    fn has(&self, wanted: Modifier) -> bool {
        self.modifiers.contains(&wanted)
    }
}

fn item(context: &mut Context<'_, '_>, entry: &Entry<'_>) -> Option<Expr> {
    if context.arrays == Arrays::Selectors {
        let (field, _) = entry.key.split_once('|').unwrap_or((&entry.key, ""));
        match arrays::cut(field) {
            Ok(Some(selector)) => return elements(context, entry, selector, &entry.key[field.len()..]),
            Ok(None) => {}
            Err(problem) => {
                context.error(entry.key_mark, &entry.key, problem);
                return None;
            }
        }
    }
    let item = header(context, entry)?;
    let negated = item.has(Modifier::NotEqual);
    if negated {
        context.unknown = !context.unknown;
    }
    let body = values(context, &item, entry);
    if negated {
        context.unknown = !context.unknown;
    }
    let body = body?;
    Some(if negated { Expr::Not(Box::new(body)) } else { body })
}

/// Builds `array[quantifier]` with its body: a map (a conjunction, or selections with a condition), or values for the
/// member itself.
fn elements(context: &mut Context<'_, '_>, entry: &Entry<'_>, selector: Selector, modifiers: &str) -> Option<Expr> {
    if context.depth >= MAX_ARRAYS {
        let message = format!("array selectors nest deeper than {MAX_ARRAYS} levels");
        context.error(entry.key_mark, &entry.key, Problem::new("nested-too-deep", message, "simplify the rule"));
        return None;
    }
    let array = path(&context.prefix, &selector.array);
    let outer = std::mem::replace(&mut context.prefix, array.clone());
    context.depth += 1;
    // No member holds, under a `not`, is what is unknown turned round.
    let negative = selector.quantifier == Quantifier::None;
    context.unknown ^= negative;
    let body = match (&entry.value.kind, selector.rest.is_empty() && modifiers.is_empty()) {
        (Kind::Map(inner), true) if inner.iter().any(|e| e.key == "condition") => block(context, &entry.value),
        (Kind::Map(_), true) => selection(context, &entry.value),
        _ => {
            let rest = if selector.rest.is_empty() { "." } else { &selector.rest };
            let key = format!("{rest}{modifiers}").into();
            item(context, &Entry { key, key_mark: entry.key_mark, value: entry.value.clone() })
        }
    };
    context.unknown ^= negative;
    context.prefix = outer;
    context.depth -= 1;
    let (array, quantifier) = (array.into(), selector.quantifier);
    Some(Expr::Elements(Box::new(Elements { array, quantifier, body: body? })))
}

/// Named parts with a condition over them, within one array member.
fn block(context: &mut Context<'_, '_>, node: &Node<'_>) -> Option<Expr> {
    let entries = node.as_map()?.iter().filter(|e| e.key != "condition");
    let mut bodies = Vec::new();
    let mut names = Vec::new();
    for entry in entries {
        // Both signs are built, since the condition may use either.
        for flipped in [false, true] {
            context.unknown ^= flipped;
            let quiet = context.quiet;
            context.quiet |= flipped;
            let body = selection(context, &entry.value);
            context.quiet = quiet;
            context.unknown ^= flipped;
            bodies.push(body?);
        }
        let positive = bodies.len() - 2;
        names.push(Name { name: &entry.key, mark: entry.key_mark, positive, negative: positive + 1 });
    }
    let condition = conditions(context.report, node, &names)?;
    let mut parts = 0;
    count(&condition, &bodies, &mut parts);
    if let Err(problem) = context.report.spend(parts) {
        context.error(node.mark, "", problem);
        return None;
    }
    Some(inlined(&condition, &bodies))
}

/// How many parts the inlined expression has.
fn count(expr: &Expr, bodies: &[Expr], parts: &mut usize) {
    *parts = parts.saturating_add(1);
    match expr {
        Expr::All(list) | Expr::Any(list) | Expr::AtLeast(_, list) => {
            list.iter().for_each(|part| count(part, bodies, parts));
        }
        Expr::Not(part) => count(part, bodies, parts),
        Expr::Elements(elements) => count(&elements.body, &[], parts),
        Expr::Selection(index) => {
            if let Some(body) = bodies.get(*index) {
                count(body, &[], parts);
            }
        }
        Expr::Test(_) | Expr::Constant(_) => {}
    }
}

/// The expression with each selection replaced by its body.
fn inlined(expr: &Expr, bodies: &[Expr]) -> Expr {
    let list = |parts: &[Expr]| parts.iter().map(|part| inlined(part, bodies)).collect();
    match expr {
        Expr::All(parts) => Expr::All(list(parts)),
        Expr::Any(parts) => Expr::Any(list(parts)),
        Expr::AtLeast(n, parts) => Expr::AtLeast(*n, list(parts)),
        Expr::Not(part) => Expr::Not(Box::new(inlined(part, bodies))),
        Expr::Selection(index) => bodies.get(*index).cloned().unwrap_or(Expr::Constant(false)),
        other => other.clone(),
    }
}

/// A field's full path from the array it is relative to; `.` is the member itself.
fn path(prefix: &str, field: &str) -> String {
    match (prefix, field) {
        ("", field) => field.to_owned(),
        (prefix, ".") => prefix.to_owned(),
        (prefix, field) => format!("{prefix}.{field}"),
    }
}

/// Reads `Field|modifier|…`.
fn header(context: &mut Context<'_, '_>, entry: &Entry<'_>) -> Option<Item> {
    let mut parts = entry.key.split('|');
    let field = parts.next().unwrap_or_default();
    let mut modifiers = Vec::new();
    let mut good = true;
    for name in parts {
        match Modifier::by_name(name) {
            Some(modifier) => modifiers.push(modifier),
            None => {
                good = false;
                let help = match nearest(name, Modifier::names()) {
                    Some(known) => format!("did you mean '{known}'?"),
                    None => "docs/sigma.md lists the modifiers".to_owned(),
                };
                let problem = Problem::new("unknown-modifier", format!("unknown modifier '{name}'"), help);
                context.error(entry.key_mark, &entry.key, problem);
            }
        }
    }
    // A value that is read as something else than text cannot hold a placeholder any more, so it is filled in first.
    if let Some(expand) = modifiers.iter().position(|m| *m == Modifier::Expand) {
        let typed =
            |m: &Modifier| matches!(m, Modifier::Cidr | Modifier::FieldRef | Modifier::Compare(_) | Modifier::Time(_));
        if let Some(first) = modifiers[..expand].iter().position(typed) {
            modifiers[first..=expand].rotate_right(1);
        }
    }
    let cased = modifiers.contains(&Modifier::Cased);
    let field = match (field, context.arrays) {
        ("", _) => None,
        (field, Arrays::Literal) => Some(Arc::from(field)),
        (field, Arrays::Selectors) => Some(Arc::from(path(&context.prefix, &arrays::unescaped(field)))),
    };
    good.then_some(Item { field, modifiers, cased })
}

fn values(context: &mut Context<'_, '_>, item: &Item, entry: &Entry<'_>) -> Option<Expr> {
    let node = &entry.value;
    let members = match &node.kind {
        Kind::Scalar(scalar) => {
            if item.has(Modifier::All) {
                single_all(context, entry);
            }
            return any_value(context, item, scalar, node.mark);
        }
        Kind::List(members) => members,
        Kind::Map(_) => {
            let help = "a field takes a value or a list of values; for a nested field write its path, 'a.b'";
            context.error(node.mark, &entry.key, Problem::new("nested-map", "a map stands as a field's value", help));
            return None;
        }
    };
    if members.is_empty() {
        let help = "write 'null' if the field should be missing, else list values";
        let message = "an empty list asks whether the field is missing or null";
        context.warning(node.mark, &entry.key, Problem::new("empty-list", message, help));
        return predicate(context, item, Test::Null, node.mark);
    }
    if members.len() == 1 && item.has(Modifier::All) {
        single_all(context, entry);
    }
    let mut parts = Vec::with_capacity(members.len());
    let mut good = true;
    for member in members {
        let Kind::Scalar(scalar) = &member.kind else {
            let message = format!("{} stands among a field's values", member.describe());
            context.error(member.mark, &entry.key, Problem::new("nested-value", message, "list plain values only"));
            good = false;
            continue;
        };
        if scalar.kind() == ScalarType::Null {
            let message = "null stands in a list, where the specification does not know it";
            let help = "make it a selection of its own; here it asks whether the field is missing or null";
            context.note(member.mark, &entry.key, Problem::new("null-in-list", message, help));
        }
        match any_value(context, item, scalar, member.mark) {
            // The alternatives of one value stay together under `all`, and join the list otherwise.
            Some(Expr::Any(alternatives)) if !item.has(Modifier::All) => parts.extend(alternatives),
            Some(part) => parts.push(part),
            None => good = false,
        }
    }
    good.then(|| if item.has(Modifier::All) { all(parts) } else { any(parts) })
}

fn single_all(context: &mut Context<'_, '_>, entry: &Entry<'_>) {
    let problem = Problem::new("all-of-one", "'all' stands at a single value", "remove 'all' or list more values");
    context.warning(entry.key_mark, &entry.key, problem);
}

/// Takes one value through the modifiers; what comes of it are alternatives.
fn any_value(context: &mut Context<'_, '_>, item: &Item, scalar: &Scalar<'_>, mark: Mark) -> Option<Expr> {
    let mut values = vec![Value::of(scalar)];
    for &modifier in &item.modifiers {
        let mut next = Vec::with_capacity(values.len());
        for value in values {
            match modifier::apply(modifier, value, context.placeholders) {
                Ok(alternatives) => next.extend(alternatives),
                Err(problem) => {
                    context.error(mark, &scalar.text, problem);
                    return None;
                }
            }
        }
        values = next;
    }
    // A pattern costs more than a text to check and to keep.
    let cost = if item.has(Modifier::Re) { 50 } else { 1 };
    if let Err(problem) = context.report.spend(values.len().saturating_mul(cost)) {
        context.error(mark, &scalar.text, problem);
        return None;
    }
    let tests: Vec<Option<Expr>> = values.into_iter().map(|value| test(context, item, value, scalar, mark)).collect();
    tests.into_iter().collect::<Option<Vec<_>>>().map(any)
}

/// What a finished value asks.
fn test(context: &mut Context<'_, '_>, item: &Item, value: Value<'_>, scalar: &Scalar<'_>, mark: Mark) -> Option<Expr> {
    let anchored = item.has(Modifier::Contains) || item.has(Modifier::StartsWith) || item.has(Modifier::EndsWith);
    let test = match value {
        Value::Raw(raw) => return predicate(context, item, text_test(item, Text::parse(raw), anchored), mark),
        Value::Text(text) => text_test(item, text, anchored),
        Value::Encoded(mut text) => {
            text.prepend_any();
            text.append_any();
            text_test(item, text, true)
        }
        Value::Number(_, text) | Value::Bool(_, text) if item.field.is_none() => {
            text_test(item, Text::literal(text), anchored)
        }
        Value::Number(number, text) => return number_test(context, item, number, text, mark),
        Value::Bool(truth, _) => Test::Bool(truth),
        Value::Null => Test::Null,
        Value::Regex(pattern, flags) => match Regex::new(&pattern, flags) {
            Ok(regex) => {
                if regex.engine() == crate::rule::Engine::Backtracking {
                    let message = "the regular expression needs backtracking";
                    let help = "it runs with a limit of steps, slower than others; \
                                without look-around, back-references, possessive and atomic parts it would not";
                    context.note(mark, &pattern, Problem::new("regex-backtracking", message, help));
                }
                Test::Regex(regex)
            }
            Err(reason) => {
                let message = format!("the regular expression cannot be used: {reason}");
                let help = "fix or simplify the pattern; the dialect is PCRE";
                context.error(mark, &pattern, Problem::new("invalid-regex", message, help));
                return None;
            }
        },
        Value::Cidr(cidr) => Test::Cidr(cidr),
        Value::Exists(exists) => Test::Exists(exists),
        Value::Ref(field, anchor) => Test::FieldRef(FieldRef { field: field.into(), anchor, cased: item.cased }),
        Value::Compare(comparison, number) => Test::Compare(comparison, number),
        Value::Time(part, comparison, number) => Test::TimePart(part, comparison, number),
        Value::Unknown => {
            unknown(context, scalar, mark);
            return Some(Expr::Constant(context.unknown));
        }
    };
    predicate(context, item, test, mark)
}

/// A keyword stands anywhere in a value, unless the rule anchors it itself.
fn text_test(item: &Item, mut text: Text, anchored: bool) -> Test {
    if item.field.is_none() && !anchored {
        text.prepend_any();
        text.append_any();
    }
    Test::Text(text.into_pattern(item.cased))
}

/// A number as the file writes it. `0x1410`, `007` and `+1` also stand for their text, since events hold such texts and
/// authors forget the quotes.
fn number_test(context: &mut Context<'_, '_>, item: &Item, number: Number, text: &str, mark: Mark) -> Option<Expr> {
    let canonical = match &number {
        Number::Int(int) => int.to_string() == text,
        Number::Decimal(_) => true,
    };
    let number = predicate(context, item, Test::Number(number), mark)?;
    if canonical {
        return Some(number);
    }
    let message = format!("unquoted '{text}' is a number to YAML");
    context.note(mark, text, Problem::new("ambiguous-number", message, "quote it; both its text and its value match"));
    let text = predicate(context, item, Test::Text(Text::literal(text).into_pattern(item.cased)), mark)?;
    Some(Expr::Any(vec![text, number]))
}

fn unknown(context: &mut Context<'_, '_>, scalar: &Scalar<'_>, mark: Mark) {
    context.met_unknown = true;
    for name in modifier::missing_placeholders(&scalar.text, context.placeholders) {
        let message = format!("placeholder '%{name}%' has no values");
        let help = format!("configure values for '{name}'; until then the rule cannot fire where they decide");
        context.warning(mark, &scalar.text, Problem::new("placeholder-without-values", message, help));
    }
}

fn predicate(context: &mut Context<'_, '_>, item: &Item, test: Test, mark: Mark) -> Option<Expr> {
    let needs_field = match &test {
        Test::Text(_) | Test::Regex(_) | Test::Cidr(_) | Test::Number(_) | Test::Bool(_) => false,
        Test::Null | Test::Exists(_) | Test::Compare(..) | Test::TimePart(..) | Test::FieldRef(_) => true,
    };
    if needs_field && item.field.is_none() {
        let message = match &test {
            Test::Null => "null stands as a keyword".to_owned(),
            Test::Compare(Comparison::Equal, _) => "a number stands as a keyword".to_owned(),
            _ => "the modifier asks about a field, and a keyword has none".to_owned(),
        };
        context.error(mark, "", Problem::new("field-required", message, "name the field before the modifier"));
        return None;
    }
    Some(Expr::Test(Predicate { field: item.field.clone(), test }))
}
