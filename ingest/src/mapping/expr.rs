//! Owns the expressions of mapping files: where a value comes from and what is done to it, as in
//! `environ.CommandLine | command` or `=SetValue`. Knows nothing of documents or events.

use super::node::Node;
use super::path::Path;
use super::process::Process;
use super::transform::{Around, Table, Transform, Val, glob};
use crate::Platform;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

/// What stands around one record while its fields are made.
pub(crate) struct Scene<'r> {
    pub(crate) record: &'r Node<'r>,
    /// The record that this one lies in.
    pub(crate) enclosing: Option<&'r Node<'r>>,
    pub(crate) process: Option<&'r Process>,
    pub(crate) parent: Option<&'r Process>,
    pub(crate) around: Around<'r>,
    /// The platform that the processes' paths speak for.
    pub(crate) guess: Option<Platform>,
    /// Which paths led somewhere, by number.
    pub(crate) found: &'r RefCell<Vec<bool>>,
}

/// A property of a process in the run's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Property {
    Pid,
    Image,
    CommandLine,
    Name,
    User,
}

impl Property {
    pub(crate) const NAMES: &'static [(&'static str, Property)] = &[
        ("pid", Property::Pid),
        ("image", Property::Image),
        ("command_line", Property::CommandLine),
        ("name", Property::Name),
        ("user", Property::User),
    ];
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// `=text`: the text itself, as a number where it is one.
    Constant(Constant),
    /// `a.b`: from the record, or with `^` from the one around it.
    Path { path: Path, enclosing: bool, number: usize },
    /// `$process.image`, `$parent.pid`: from the process table.
    Process { parent: bool, property: Property },
    /// `$platform`.
    Platform,
    /// `{concat: […]}`: the parts behind one another, where all give a value.
    Concat(Vec<Expr>),
    /// `$guess`: the platform that the processes' paths speak for.
    Guess,
}

#[derive(Debug, Clone)]
pub(crate) enum Constant {
    Int(i64),
    Text(Box<str>),
}

/// One source and the transforms behind it, under conditions of its own.
#[derive(Debug, Clone)]
pub(crate) struct Alternative {
    pub(crate) when: Vec<Condition>,
    pub(crate) source: Source,
    pub(crate) transforms: Vec<Transform>,
}

/// Alternatives, of which the first that gives a value counts; `all` takes the values of every one, and `join` makes
/// one text of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expr {
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) all: bool,
    pub(crate) join: Option<Box<str>>,
}

impl Expr {
    /// Evaluates to every value that the expression gives.
    pub(crate) fn values<'r>(&self, scene: &Scene<'r>) -> Vec<Val<'r>> {
        let mut all = Vec::new();
        for alternative in &self.alternatives {
            if !Condition::hold(&alternative.when, scene) {
                continue;
            }
            let values = alternative.values(scene);
            if self.all {
                all.extend(values);
            } else if !values.is_empty() {
                return values;
            }
        }
        match &self.join {
            Some(between) if !all.is_empty() => {
                let texts: Vec<_> = all.iter().filter_map(Val::text).collect();
                vec![Val::owned(texts.join(between))]
            }
            _ => all,
        }
    }

    /// Whether the expression says the same of every record.
    pub(crate) fn is_constant(&self) -> bool {
        let constant = |a: &Alternative| matches!(a.source, Source::Constant(_) | Source::Platform);
        self.alternatives.iter().all(constant)
    }

    /// The text of the first value.
    pub(crate) fn text(&self, scene: &Scene<'_>) -> Option<String> {
        self.values(scene).first().and_then(|value| value.text().map(Cow::into_owned))
    }
}

impl Alternative {
    fn values<'r>(&self, scene: &Scene<'r>) -> Vec<Val<'r>> {
        let mut values = self.source.values(scene);
        for transform in &self.transforms {
            if values.is_empty() {
                break;
            }
            values = transform.apply(values, &scene.around);
        }
        // Reports write an empty text for what they do not know; a constant or a transform that wants one makes it.
        values.retain(|value| match value {
            Val::Node(Node::Null) => false,
            Val::Node(Node::Str(text)) => !text.is_empty(),
            Val::Text(text) => !text.is_empty(),
            _ => true,
        });
        values
    }
}

impl Source {
    fn values<'r>(&self, scene: &Scene<'r>) -> Vec<Val<'r>> {
        match self {
            Source::Constant(Constant::Int(number)) => vec![Val::Int(*number)],
            Source::Constant(Constant::Text(text)) => vec![Val::owned(&**text)],
            Source::Path { path, enclosing, number } => {
                let from = if *enclosing { scene.enclosing } else { Some(scene.record) };
                let mut values = Vec::new();
                if let Some(from) = from {
                    path.each(from, &mut |node| {
                        if !matches!(node, Node::Null) {
                            values.push(Val::Node(node));
                        }
                    });
                }
                if !values.is_empty() {
                    mark(scene, *number);
                }
                values
            }
            Source::Process { parent, property } => {
                let process = if *parent { scene.parent } else { scene.process };
                let text = process.and_then(|process| match property {
                    Property::Pid => process.pid.as_deref(),
                    Property::Image => process.image.as_deref(),
                    Property::CommandLine => process.command_line.as_deref(),
                    Property::Name => process.name.as_deref(),
                    Property::User => process.user.as_deref(),
                });
                text.map(|text| Val::Text(Cow::Borrowed(text))).into_iter().collect()
            }
            Source::Concat(parts) => {
                let parts: Option<String> = parts.iter().map(|part| part.text(scene)).collect();
                parts.map(Val::owned).into_iter().collect()
            }
            Source::Guess => scene.guess.map(|p| Val::Text(Cow::Borrowed(p.as_str()))).into_iter().collect(),
            Source::Platform => {
                scene.around.platform.map(|p| Val::Text(Cow::Borrowed(p.as_str()))).into_iter().collect()
            }
        }
    }
}

fn mark(scene: &Scene<'_>, number: usize) {
    if let Some(found) = scene.found.borrow_mut().get_mut(number) {
        *found = true;
    }
}

/// One condition on a record.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) source: Source,
    pub(crate) test: Test,
    /// Whether the condition holds where the test does not.
    pub(crate) negated: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Any value matches any pattern of `*` and `?`, without regard to case.
    Any(Box<[Box<str>]>),
    /// There is a value, or there is none.
    Exists(bool),
    /// Any value is the text of another source, without regard to case.
    Same(Source),
}

impl Condition {
    /// Every source that the condition looks at.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        let other = match &self.test {
            Test::Same(other) => Some(other),
            Test::Any(_) | Test::Exists(_) => None,
        };
        [&self.source].into_iter().chain(other)
    }

    /// Whether all conditions hold.
    pub(crate) fn hold(conditions: &[Condition], scene: &Scene<'_>) -> bool {
        conditions.iter().all(|condition| condition.holds(scene) != condition.negated)
    }

    fn holds(&self, scene: &Scene<'_>) -> bool {
        let values = self.source.values(scene);
        match &self.test {
            Test::Exists(wanted) => values.is_empty() != *wanted,
            Test::Same(other) => {
                let others = other.values(scene);
                let same = |a: &Val<'_>, b: &Val<'_>| match (a.text(), b.text()) {
                    (Some(a), Some(b)) => a.eq_ignore_ascii_case(&b),
                    _ => false,
                };
                values.iter().any(|value| others.iter().any(|other| same(value, other)))
            }
            Test::Any(patterns) => values
                .iter()
                .any(|value| value.text().is_some_and(|text| patterns.iter().any(|pattern| glob(pattern, &text)))),
        }
    }
}

/// What parsing an expression needs to know and keeps count of.
pub(crate) struct Parsing<'p> {
    pub(crate) tables: &'p FxHashMap<Box<str>, Arc<Table>>,
    /// The names of the indexes, by number.
    pub(crate) indexes: &'p [Box<str>],
    /// The text and line of every path, by number.
    pub(crate) paths: &'p mut Vec<(Box<str>, u32)>,
}

/// Why an expression was not taken: a code, what is wrong, what to do.
pub(crate) type Refusal = (&'static str, String, String);

/// Parses `source | transform | transform(argument, argument)`.
pub(crate) fn parse(text: &str, line: u32, parsing: &mut Parsing<'_>) -> Result<Alternative, Refusal> {
    let mut parts = split(text, '|');
    let first = parts.next().unwrap_or("");
    let source = source(first.trim(), line, parsing)?;
    let mut transforms = Vec::new();
    for part in parts {
        let part = part.trim();
        let (name, arguments) = match part.split_once('(') {
            None => (part, Vec::new()),
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| {
                    ("bad-expression", format!("'{part}' does not end with a bracket"), EXPRESSION.to_owned())
                })?;
                (name.trim(), split(inside, ',').map(unquote).collect())
            }
        };
        transforms.push(Transform::new(name, arguments, parsing.tables, parsing.indexes)?);
    }
    Ok(Alternative { when: Vec::new(), source, transforms })
}

const EXPRESSION: &str = "write `path | transform | transform(argument)`, `=constant`, `^path` or `$process.image`";

/// Parses what may stand before the first transform.
pub(crate) fn source(text: &str, line: u32, parsing: &mut Parsing<'_>) -> Result<Source, Refusal> {
    if let Some(constant) = text.strip_prefix('=') {
        let constant = unquote(constant);
        return Ok(Source::Constant(match constant.parse::<i64>() {
            Ok(number) if number.to_string() == *constant => Constant::Int(number),
            _ => Constant::Text(constant),
        }));
    }
    if let Some(name) = text.strip_prefix('$') {
        match name {
            "platform" => return Ok(Source::Platform),
            "guess" => return Ok(Source::Guess),
            _ => {}
        }
        let (whose, property) = name.split_once('.').unwrap_or((name, ""));
        let known = Property::NAMES.iter().find(|(known, _)| *known == property).map(|(_, p)| *p);
        return match (whose, known) {
            ("process", Some(property)) => Ok(Source::Process { parent: false, property }),
            ("parent", Some(property)) => Ok(Source::Process { parent: true, property }),
            _ => {
                let names: Vec<_> = Property::NAMES.iter().map(|(name, _)| *name).collect();
                let help =
                    format!("there are `$platform`, `$guess`, `$process.…` and `$parent.…` with {}", names.join(", "));
                Err(("unknown-name", format!("unknown name '{text}'"), help))
            }
        };
    }
    let (enclosing, path) = match text.strip_prefix('^') {
        Some(path) => (true, path),
        None => (false, text),
    };
    if text.is_empty() {
        return Err(("bad-expression", "an expression is empty".to_owned(), EXPRESSION.to_owned()));
    }
    let path = Path::parse(path)
        .map_err(|why| ("bad-path", why, "docs/mappings.md tells how a path is written".to_owned()))?;
    let number = parsing.paths.len();
    parsing.paths.push((text.into(), line));
    Ok(Source::Path { path, enclosing, number })
}

/// Splits outside of quotes, backquotes and brackets.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quote: Option<char> = None;
    let mut depth = 0_i32;
    text.split(move |c| {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        c == separator && quote.is_none() && depth <= 0
    })
}

fn unquote(text: &str) -> Box<str> {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inside.into();
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Alternative, Refusal> {
        let mut paths = Vec::new();
        parse(text, 1, &mut Parsing { tables: &FxHashMap::default(), indexes: &[], paths: &mut paths })
    }

    fn evaluate(text: &str, record: &Node<'_>) -> Vec<String> {
        let expr = Expr { alternatives: vec![parsed(text).expect("an expression")], ..Expr::default() };
        let found = RefCell::new(vec![false; 4]);
        let around = Around::NOWHERE;
        let scene = Scene { record, enclosing: None, process: None, parent: None, around, guess: None, found: &found };
        expr.values(&scene).iter().filter_map(|v| v.text().map(Cow::into_owned)).collect()
    }

    #[test]
    fn an_expression_is_a_source_and_transforms() {
        let record = Node::Map(vec![("a".into(), Node::Str("X|Y".into())), ("e".into(), Node::Str("".into()))]);
        assert_eq!(evaluate("a | lower", &record), ["x|y"]);
        assert_eq!(evaluate("a | replace('|', ', ') | prefix(>)", &record), [">X, Y"]);
        assert_eq!(evaluate("=SetValue", &record), ["SetValue"]);
        assert_eq!(evaluate("e", &record), [""; 0], "an empty text is absent");
        assert_eq!(evaluate("nothing", &record), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, code) in [
            ("a | lowr", "unknown-transform"),
            ("a..b", "bad-path"),
            ("", "bad-expression"),
            ("a | replace(x", "bad-expression"),
            ("$process.colour", "unknown-name"),
            ("a | lookup(t)", "unknown-table"),
            ("a | prefix", "transform-arguments"),
        ] {
            assert_eq!(parsed(text).err().map(|e| e.0), Some(code), "{text}");
        }
    }
}
