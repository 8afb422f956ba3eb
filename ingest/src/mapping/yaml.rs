//! Owns reading a mapping file as YAML with the line of every value, so that each finding can name its place.
//! Knows nothing of what the values mean.

use saphyr_parser::{Event, Parser};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Yaml {
    pub(super) value: Kind,
    /// From 1.
    pub(super) line: u32,
    /// From 1.
    pub(super) column: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(String),
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

/// Why a file is not YAML, and where.
pub(super) struct Broken {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
}

/// What a file may nest and hold; generous for hands, tight for a bomb.
const DEPTH: usize = 64;
const VALUES: usize = 200_000;

impl Yaml {
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list, or a single value as a list of one.
    pub(super) fn items(&self) -> &[Yaml] {
        match &self.value {
            Kind::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    pub(super) fn members(&self) -> Option<&[(Yaml, Yaml)]> {
        match &self.value {
            Kind::Map(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Yaml> {
        self.members()?.iter().find(|(key, _)| key.scalar() == Some(name)).map(|(_, value)| value)
    }
}

/// Reads the first document of a file.
pub(super) fn parse(text: &str) -> Result<Yaml, Broken> {
    let mut open: Vec<(Yaml, Option<Yaml>)> = Vec::new();
    let mut values = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| Broken {
            line: e.marker().line() as u32,
            column: e.marker().col() as u32 + 1,
            message: e.info().to_owned(),
        })?;
        let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
        let broken = |message: &str| Broken { line, column, message: message.to_owned() };
        values += 1;
        if values > VALUES || open.len() > DEPTH {
            return Err(broken("too many or too deeply nested values"));
        }
        let closed = match event {
            Event::Scalar(text, ..) => Yaml { value: Kind::Scalar(text.into_owned()), line, column },
            Event::SequenceStart(..) => {
                open.push((Yaml { value: Kind::List(Vec::new()), line, column }, None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Yaml { value: Kind::Map(Vec::new()), line, column }, None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((yaml, _)) => yaml,
                None => return Err(broken("unbalanced brackets")),
            },
            Event::Alias(_) => return Err(broken("aliases are not taken here: use `groups` and `use`")),
            _ => continue,
        };
        match open.last_mut() {
            None => return Ok(closed),
            Some((Yaml { value: Kind::List(items), .. }, _)) => items.push(closed),
            Some((Yaml { value: Kind::Map(members), .. }, key)) => match key.take() {
                None => *key = Some(closed),
                Some(key) => members.push((key, closed)),
            },
            Some(_) => return Err(broken("unbalanced brackets")),
        }
    }
    Ok(Yaml { value: Kind::Scalar(String::new()), line: 1, column: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let Ok(yaml) = parse("a: 1\nb:\n  - x\n  - y: '2'\n") else { panic!("valid") };
        let b = yaml.get("b").map(Yaml::items).unwrap_or_default();
        assert_eq!(b.iter().map(|i| i.line).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(b[1].get("y").and_then(Yaml::scalar), Some("2"));
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        let Err(broken) = parse("a: [1,\nb: }") else { panic!("broken") };
        assert!(broken.line >= 1 && !broken.message.is_empty());
    }
}
