//! Owns the modifiers: their names, what values each one takes, and what it makes of them, in written order.

use super::report::Problem;
use super::text::{Part, Text, Utf16};
use crate::number::Decimal;
use crate::rule::{Anchor, Cidr, Comparison, Flags, Number, TimePart};
use crate::yaml::{Scalar, ScalarType};
use std::collections::BTreeMap;

/// A modifier of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modifier {
    Contains,
    StartsWith,
    EndsWith,
    All,
    Cased,
    Re,
    IgnoreCase,
    MultiLine,
    DotAll,
    Cidr,
    Base64,
    Base64Offset,
    Utf16(Utf16),
    Windash,
    FieldRef,
    Expand,
    Exists,
    NotEqual,
    Compare(Comparison),
    Time(TimePart),
}

/// Every name that a rule may write, for reading and for suggestions.
const NAMES: &[(&str, Modifier)] = &[
    ("contains", Modifier::Contains),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("all", Modifier::All),
    ("cased", Modifier::Cased),
    ("re", Modifier::Re),
    ("i", Modifier::IgnoreCase),
    ("ignorecase", Modifier::IgnoreCase),
    ("m", Modifier::MultiLine),
    ("multiline", Modifier::MultiLine),
    ("s", Modifier::DotAll),
    ("dotall", Modifier::DotAll),
    ("cidr", Modifier::Cidr),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("wide", Modifier::Utf16(Utf16::LittleEndian)),
    ("utf16le", Modifier::Utf16(Utf16::LittleEndian)),
    ("utf16be", Modifier::Utf16(Utf16::BigEndian)),
    ("utf16", Modifier::Utf16(Utf16::Marked)),
    ("windash", Modifier::Windash),
    ("fieldref", Modifier::FieldRef),
    ("expand", Modifier::Expand),
    ("exists", Modifier::Exists),
    ("neq", Modifier::NotEqual),
    ("lt", Modifier::Compare(Comparison::Less)),
    ("lte", Modifier::Compare(Comparison::LessOrEqual)),
    ("gt", Modifier::Compare(Comparison::Greater)),
    ("gte", Modifier::Compare(Comparison::GreaterOrEqual)),
    ("minute", Modifier::Time(TimePart::Minute)),
    ("hour", Modifier::Time(TimePart::Hour)),
    ("day", Modifier::Time(TimePart::Day)),
    ("week", Modifier::Time(TimePart::Week)),
    ("month", Modifier::Time(TimePart::Month)),
    ("year", Modifier::Time(TimePart::Year)),
];

impl Modifier {
    pub fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, modifier)| modifier)
    }

    /// All names, for a suggestion.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|&(name, _)| name)
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, modifier)| *modifier == self).map_or("?", |&(name, _)| name)
    }
}

/// A value on its way through the modifiers.
#[derive(Debug, Clone)]
pub(crate) enum Value<'n> {
    /// As the file has it; wildcards are not read yet, since `re` has none.
    Raw(&'n str),
    Text(Text),
    /// `base64offset` without a later anchor: stands anywhere, as an encoded part does.
    Encoded(Text),
    Number(Number, &'n str),
    Bool(bool, &'n str),
    Null,
    Regex(String, Flags),
    Cidr(Cidr),
    Exists(bool),
    Ref(String, Anchor),
    Compare(Comparison, Number),
    Time(TimePart, Comparison, i64),
    /// A placeholder that nothing is known about.
    Unknown,
}

impl<'n> Value<'n> {
    pub fn of(scalar: &'n Scalar<'_>) -> Self {
        let text = &*scalar.text;
        match scalar.kind() {
            ScalarType::Null => Value::Null,
            ScalarType::Bool(truth) => Value::Bool(truth, text),
            ScalarType::Int | ScalarType::Float => match Number::parse(text) {
                Some(number) => Value::Number(number, text),
                None => Value::Raw(text),
            },
            ScalarType::Text => Value::Raw(text),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Value::Raw(_) | Value::Text(_) | Value::Encoded(_) | Value::Unknown => "text",
            Value::Number(..) => "a number",
            Value::Bool(..) => "a truth value",
            Value::Null => "null",
            Value::Regex(..) => "a regular expression",
            Value::Cidr(_) => "a network",
            Value::Exists(_) => "a test of existence",
            Value::Ref(..) => "a field reference",
            Value::Compare(..) => "a comparison",
            Value::Time(..) => "a part of a time",
        }
    }

    /// As text with wildcards, where the value can be that.
    fn into_text(self) -> Result<Text, Self> {
        match self {
            Value::Raw(raw) => Ok(Text::parse(raw)),
            Value::Text(text) | Value::Encoded(text) => Ok(text),
            Value::Number(_, text) | Value::Bool(_, text) => Ok(Text::literal(text)),
            other => Err(other),
        }
    }

    /// The text of a value without wildcards.
    fn plain(&self) -> Option<&str> {
        match self {
            Value::Raw(raw) => Some(raw),
            Value::Text(text) => match text.parts.as_slice() {
                [Part::Literal(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// As the value of `lt` and its like, or of a part of a time.
    fn number(&self) -> Option<Number> {
        match self {
            Value::Number(number, _) => Some(number.clone()),
            other => other.plain().filter(|text| Decimal::parse(text).is_some()).and_then(Number::parse),
        }
    }
}

/// Applies one modifier to one value; several values that come of it are alternatives.
pub(crate) fn apply<'n>(
    modifier: Modifier,
    value: Value<'n>,
    placeholders: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<Value<'n>>, Problem> {
    if matches!(value, Value::Unknown) {
        return Ok(vec![value]);
    }
    match modifier {
        Modifier::All | Modifier::NotEqual | Modifier::Cased => Ok(vec![value]),
        Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith => Ok(vec![anchor(modifier, value)?]),
        Modifier::Re => match value {
            Value::Raw(raw) => Ok(vec![Value::Regex(raw.to_owned(), Flags::default())]),
            Value::Number(_, text) | Value::Bool(_, text) => Ok(vec![Value::Regex(text.to_owned(), Flags::default())]),
            other => Err(order(modifier, &other)),
        },
        Modifier::IgnoreCase | Modifier::MultiLine | Modifier::DotAll => match value {
            Value::Regex(pattern, mut flags) => {
                match modifier {
                    Modifier::IgnoreCase => flags.ignore_case = true,
                    Modifier::MultiLine => flags.multi_line = true,
                    _ => flags.dot_matches_new_line = true,
                }
                Ok(vec![Value::Regex(pattern, flags)])
            }
            _ => Err(Problem::new(
                "modifier-not-applicable",
                format!("'{}' is a flag of 're'", modifier.name()),
                format!("write 're|{}'", modifier.name()),
            )),
        },
        Modifier::Cidr => {
            let Some(text) = value.plain() else { return Err(order(modifier, &value)) };
            let invalid = || {
                let help = "write an address with the length of its prefix, such as '10.0.0.0/8' or '2001:db8::/32'";
                Problem::new("invalid-cidr", format!("'{text}' is no network"), help)
            };
            Ok(vec![Value::Cidr(Cidr::parse(text).ok_or_else(invalid)?)])
        }
        Modifier::Base64 => Ok(text_of(modifier, value)?.base64()?.into_iter().map(Value::Text).collect()),
        Modifier::Base64Offset => {
            Ok(text_of(modifier, value)?.base64_offset()?.into_iter().map(Value::Encoded).collect())
        }
        Modifier::Utf16(kind) => Ok(text_of(modifier, value)?.utf16(kind)?.into_iter().map(Value::Text).collect()),
        Modifier::Windash => {
            let mut text = text_of(modifier, value)?;
            text.windash();
            Ok(vec![Value::Text(text)])
        }
        Modifier::FieldRef => Ok(vec![field_ref(value)?]),
        Modifier::Expand => expand(value, placeholders),
        Modifier::Exists => match value {
            Value::Bool(truth, _) => Ok(vec![Value::Exists(truth)]),
            Value::Raw("true" | "yes") => Ok(vec![Value::Exists(true)]),
            Value::Raw("false" | "no") => Ok(vec![Value::Exists(false)]),
            other => Err(wrong_type(modifier, &other, "write 'true' or 'false'")),
        },
        Modifier::Compare(comparison) => match value {
            Value::Time(part, _, number) => Ok(vec![Value::Time(part, comparison, number)]),
            other => match other.number() {
                Some(number) => Ok(vec![Value::Compare(comparison, number)]),
                None => Err(wrong_type(modifier, &other, "write a number")),
            },
        },
        Modifier::Time(part) => {
            let (comparison, number) = match &value {
                Value::Compare(comparison, number) => (*comparison, Some(number.clone())),
                other => (Comparison::Equal, other.number()),
            };
            match number {
                Some(Number::Int(int)) if i64::try_from(int).is_ok() => {
                    Ok(vec![Value::Time(part, comparison, int as i64)])
                }
                _ => Err(wrong_type(modifier, &value, "write an integer")),
            }
        }
    }
}

fn anchor<'n>(modifier: Modifier, value: Value<'n>) -> Result<Value<'n>, Problem> {
    match value {
        Value::Regex(pattern, flags) => Ok(Value::Regex(
            match modifier {
                Modifier::StartsWith => format!("\\A(?:{pattern})"),
                Modifier::EndsWith => format!("(?:{pattern})\\z"),
                _ => pattern,
            },
            flags,
        )),
        Value::Ref(field, _) => Ok(Value::Ref(
            field,
            match modifier {
                Modifier::StartsWith => Anchor::Start,
                Modifier::EndsWith => Anchor::End,
                _ => Anchor::Anywhere,
            },
        )),
        value => {
            let mut text = text_of(modifier, value)?;
            if matches!(modifier, Modifier::Contains | Modifier::EndsWith) {
                text.prepend_any();
            }
            if matches!(modifier, Modifier::Contains | Modifier::StartsWith) {
                text.append_any();
            }
            Ok(Value::Text(text))
        }
    }
}

/// A reference may also come after its anchor (`contains|fieldref`): the anchor is then read off the wildcards.
fn field_ref<'n>(value: Value<'n>) -> Result<Value<'n>, Problem> {
    if let Value::Raw(name) = value {
        return Ok(Value::Ref(name.to_owned(), Anchor::Whole));
    }
    let text = text_of(Modifier::FieldRef, value)?;
    match text.parts.as_slice() {
        [Part::Literal(name)] => Ok(Value::Ref(name.clone(), Anchor::Whole)),
        [Part::Literal(name), Part::Any] => Ok(Value::Ref(name.clone(), Anchor::Start)),
        [Part::Any, Part::Literal(name)] => Ok(Value::Ref(name.clone(), Anchor::End)),
        [Part::Any, Part::Literal(name), Part::Any] => Ok(Value::Ref(name.clone(), Anchor::Anywhere)),
        _ => Err(Problem::new(
            "modifier-not-applicable",
            "'fieldref' takes the name of a field, without wildcards",
            "write the other field's name",
        )),
    }
}

fn text_of<'n>(modifier: Modifier, value: Value<'n>) -> Result<Text, Problem> {
    value.into_text().map_err(|value| order(modifier, &value))
}

fn order(modifier: Modifier, value: &Value<'_>) -> Problem {
    Problem::new(
        "modifier-not-applicable",
        format!("'{}' does not apply to {}", modifier.name(), value.describe()),
        match modifier {
            Modifier::Re | Modifier::Cidr => format!("'{}' comes first and takes text", modifier.name()),
            _ => "modifiers apply from left to right; remove this one or change the order".to_owned(),
        },
    )
}

fn wrong_type(modifier: Modifier, value: &Value<'_>, help: &str) -> Problem {
    Problem::new(
        "modifier-value-type",
        format!("'{}' does not take {}", modifier.name(), value.describe()),
        help.to_owned(),
    )
}

/// How many values one placeholder value may become.
const MAX_EXPANDED: usize = 10_000;

fn expand<'n>(value: Value<'n>, placeholders: &BTreeMap<String, Vec<String>>) -> Result<Vec<Value<'n>>, Problem> {
    if let Value::Regex(pattern, flags) = value {
        let filled = fill(&pattern, placeholders)?;
        return Ok(match filled {
            Some(patterns) => patterns.into_iter().map(|p| Value::Regex(p, flags)).collect(),
            None => vec![Value::Unknown],
        });
    }
    let text = match value {
        Value::Number(..) | Value::Bool(..) | Value::Null => return Ok(vec![value]),
        value => text_of(Modifier::Expand, value)?,
    };
    let mut expanded = vec![Text::default()];
    for part in text.parts {
        let Part::Literal(literal) = part else {
            expanded.iter_mut().for_each(|text| text.parts.push(part.clone()));
            continue;
        };
        for piece in split_placeholders(&literal) {
            let alternatives: Vec<Text> = match piece {
                Piece::Literal(text) => vec![Text::literal(text)],
                Piece::Placeholder(name) => match placeholders.get(name).filter(|values| !values.is_empty()) {
                    Some(values) => values.iter().map(|value| Text::parse(value)).collect(),
                    None => return Ok(vec![Value::Unknown]),
                },
            };
            if expanded.len().saturating_mul(alternatives.len()) > MAX_EXPANDED {
                return Err(too_many());
            }
            expanded = expanded
                .iter()
                .flat_map(|text| {
                    alternatives.iter().map(|alternative| {
                        let mut text = text.clone();
                        text.parts.extend(alternative.parts.iter().cloned());
                        text
                    })
                })
                .collect();
        }
    }
    Ok(expanded.into_iter().map(Value::Text).collect())
}

/// The text with every combination of values; `None` where a placeholder has none.
fn fill(text: &str, placeholders: &BTreeMap<String, Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let mut filled = vec![String::new()];
    for piece in split_placeholders(text) {
        match piece {
            Piece::Literal(literal) => filled.iter_mut().for_each(|text| text.push_str(&literal)),
            Piece::Placeholder(name) => match placeholders.get(name).filter(|values| !values.is_empty()) {
                Some(values) if filled.len().saturating_mul(values.len()) > MAX_EXPANDED => return Err(too_many()),
                Some(values) => {
                    filled = filled.iter().flat_map(|t| values.iter().map(move |v| format!("{t}{v}"))).collect();
                }
                None => return Ok(None),
            },
        }
    }
    Ok(Some(filled))
}

fn too_many() -> Problem {
    Problem::new(
        "too-many-variants",
        format!("the placeholders of one value make more than {MAX_EXPANDED} values"),
        "use one placeholder a value or shorter lists",
    )
}

enum Piece<'t> {
    Literal(String),
    Placeholder(&'t str),
}

/// Splits at `%name%`; `\%` is a literal percent sign.
fn split_placeholders(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        if rest[..at].ends_with('\\') {
            literal.push_str(&rest[..at - 1]);
            literal.push('%');
            rest = &rest[at + 1..];
            continue;
        }
        let name = rest[at + 1..].find('%').map(|end| &rest[at + 1..at + 1 + end]);
        match name.filter(|name| is_placeholder_name(name)) {
            Some(name) => {
                literal.push_str(&rest[..at]);
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Placeholder(name));
                rest = &rest[at + name.len() + 2..];
            }
            None => {
                literal.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

fn is_placeholder_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The placeholders that a text names and that have no values.
pub(crate) fn missing_placeholders(text: &str, placeholders: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let known = |name: &str| placeholders.get(name).is_some_and(|values| !values.is_empty());
    split_placeholders(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Placeholder(name) if !known(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect()
}
