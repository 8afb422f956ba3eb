//! Owns a text value on its way through the modifiers: wildcards and escapes, the characters of `windash`, encodings.

use super::report::Problem;
use crate::rule::{DASHES, Pattern, Piece};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How many texts one value may stand for when dashes are encoded.
const MAX_VARIANTS: usize = 256;

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    /// What an encoding to UTF-16 left.
    Bytes(Vec<u8>),
    Any,
    One,
    Dash,
}

/// A text value: parts in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub parts: Vec<Part>,
}

/// How UTF-16 is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Utf16 {
    LittleEndian,
    BigEndian,
    /// Little endian after a byte order mark.
    Marked,
}

impl Text {
    /// Reads wildcards and escapes as the specification writes them: `\*` and `\?` are literal, `\\` is one backslash,
    /// a backslash before anything else, or at the end, is itself.
    pub fn parse(raw: &str) -> Self {
        let mut parts = Vec::new();
        if !raw.bytes().any(|b| matches!(b, b'*' | b'?' | b'\\')) {
            if !raw.is_empty() {
                parts.push(Part::Literal(raw.to_owned()));
            }
            return Self { parts };
        }
        let mut literal = String::with_capacity(raw.len());
        let mut chars = raw.chars().peekable();
        while let Some(c) = chars.next() {
            let wildcard = match c {
                '\\' => {
                    let escaped = chars.next_if(|next| matches!(next, '*' | '?' | '\\'));
                    literal.push(escaped.unwrap_or('\\'));
                    continue;
                }
                '*' => Part::Any,
                '?' => Part::One,
                _ => {
                    literal.push(c);
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(wildcard);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    /// A text without wildcards.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Literal(text.into())] }
    }

    pub fn prepend_any(&mut self) {
        self.parts.insert(0, Part::Any);
    }

    pub fn append_any(&mut self) {
        self.parts.push(Part::Any);
    }

    /// Turns every dash that starts a flag into the class of all five: what stands before it is no word character and
    /// what follows is one, so that a path or a date keeps its own.
    pub fn windash(&mut self) {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            let Part::Literal(text) = part else {
                parts.push(part);
                continue;
            };
            let mut literal = String::new();
            let mut before = None;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let starts_flag = DASHES.contains(&c)
                    && !before.is_some_and(is_word_character)
                    && chars.peek().copied().is_some_and(is_word_character);
                if starts_flag {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Dash);
                } else {
                    literal.push(c);
                }
                before = Some(c);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal));
            }
        }
        self.parts = parts;
    }

    /// Encodes literals as UTF-16; wildcards stay.
    pub fn utf16(self, kind: Utf16) -> Result<Vec<Text>, Problem> {
        let encode = |text: &Text| {
            let mut mark = kind == Utf16::Marked;
            let parts = text.parts.iter().map(|part| match part {
                Part::Literal(text) => {
                    let mut bytes = if std::mem::take(&mut mark) { vec![0xff, 0xfe] } else { Vec::new() };
                    for unit in text.encode_utf16() {
                        bytes.extend(match kind {
                            Utf16::BigEndian => unit.to_be_bytes(),
                            Utf16::LittleEndian | Utf16::Marked => unit.to_le_bytes(),
                        });
                    }
                    Part::Bytes(bytes)
                }
                other => other.clone(),
            });
            Text { parts: parts.collect() }
        };
        if self.parts.iter().any(|part| matches!(part, Part::Bytes(_))) {
            return Err(Problem::new(
                "modifier-not-applicable",
                "the value is encoded as UTF-16 twice",
                "use one of 'wide', 'utf16le', 'utf16be', 'utf16'",
            ));
        }
        Ok(self.without_dashes()?.iter().map(encode).collect())
    }

    /// Encodes as Base64 with its padding.
    pub fn base64(self) -> Result<Vec<Text>, Problem> {
        let texts = self.without_dashes()?;
        texts.iter().map(|text| Ok(Text::literal(STANDARD.encode(text.bytes("base64")?)))).collect()
    }

    /// Encodes as Base64 at each of the three offsets, without the characters that neighbours decide.
    pub fn base64_offset(self) -> Result<Vec<Text>, Problem> {
        const START: [usize; 3] = [0, 2, 3];
        const END: [usize; 3] = [0, 3, 2];
        let mut variants = Vec::new();
        for text in self.without_dashes()? {
            let bytes = text.bytes("base64offset")?;
            for (offset, start) in START.into_iter().enumerate() {
                let mut shifted = vec![b' '; offset];
                shifted.extend(&bytes);
                let encoded = STANDARD.encode(&shifted);
                let end = encoded.len() - END[shifted.len() % 3];
                variants.push(Text::literal(encoded.get(start..end).unwrap_or_default()));
            }
        }
        Ok(variants)
    }

    fn bytes(&self, modifier: &str) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => bytes.extend(text.as_bytes()),
                Part::Bytes(encoded) => bytes.extend(encoded),
                Part::Any | Part::One | Part::Dash => {
                    return Err(Problem::new(
                        "wildcard-in-encoding",
                        format!("a value with a wildcard cannot be encoded by '{modifier}'"),
                        "escape the wildcard as '\\*' or '\\?', or put 'contains', 'startswith', 'endswith' after the encoding",
                    ));
                }
            }
        }
        if bytes.is_empty() {
            return Err(Problem::new(
                "empty-encoding",
                format!("'{modifier}' of an empty value finds nothing"),
                "remove the value",
            ));
        }
        Ok(bytes)
    }

    /// Writes every dash out, since an encoding hides which one it was.
    fn without_dashes(self) -> Result<Vec<Text>, Problem> {
        let mut texts = vec![Text::default()];
        for part in self.parts {
            if part != Part::Dash {
                texts.iter_mut().for_each(|text| text.parts.push(part.clone()));
                continue;
            }
            if texts.len() * DASHES.len() > MAX_VARIANTS {
                return Err(Problem::new(
                    "too-many-variants",
                    format!("'windash' before an encoding makes more than {MAX_VARIANTS} values"),
                    "split the value",
                ));
            }
            let with = |text: &Text, dash: char| {
                let mut text = text.clone();
                text.parts.push(Part::Literal(dash.to_string()));
                text
            };
            texts = texts.iter().flat_map(|text| DASHES.map(|dash| with(text, dash))).collect();
        }
        for text in &mut texts {
            text.join_literals();
        }
        Ok(texts)
    }

    fn join_literals(&mut self) {
        let mut joined: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            match (joined.last_mut(), part) {
                (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        self.parts = joined;
    }

    /// The finished pattern. Bytes that are no text are read one character a byte, as an event would show them.
    pub fn into_pattern(self, cased: bool) -> Pattern {
        let piece = |part| match part {
            Part::Literal(text) => Piece::Literal(text.into()),
            Part::Bytes(bytes) => Piece::Literal(match String::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(error) => error.as_bytes().iter().map(|&b| char::from(b)).collect::<String>().into(),
            }),
            Part::Any => Piece::Any,
            Part::One => Piece::One,
            Part::Dash => Piece::Dash,
        };
        Pattern::new(self.parts.into_iter().map(piece), cased)
    }
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str) -> String {
        Text::parse(raw).into_pattern(false).to_string()
    }

    #[test]
    fn escapes_follow_the_specification() {
        use Part::{Any, Literal, One};
        let literal = |text: &str| Literal(text.to_owned());
        for (raw, parts) in [
            (r"a\*b", vec![literal("a*b")]),
            (r"a\?b", vec![literal("a?b")]),
            (r"a\\*b", vec![literal(r"a\"), Any, literal("b")]),
            (r"a\\\*b", vec![literal(r"a\*b")]),
            (r"C:\x", vec![literal(r"C:\x")]),
            (r"C:\\x", vec![literal(r"C:\x")]),
            (r"\\\\srv", vec![literal(r"\\srv")]),
            (r"\\\", vec![literal(r"\\")]),
            (r"end\", vec![literal(r"end\")]),
            ("?a*", vec![One, literal("a"), Any]),
            ("", vec![]),
        ] {
            assert_eq!(Text::parse(raw).parts, parts, "{raw}");
        }
        assert_eq!(shown(r"a\*b\\*"), r"a\*b\\*");
    }

    #[test]
    fn a_dash_counts_where_it_starts_a_flag() {
        let parts = |raw: &str| {
            let mut text = Text::parse(raw);
            text.windash();
            text.parts.iter().filter(|p| **p == Part::Dash).count()
        };
        for (raw, dashes) in
            [(" -f", 1), ("-foo-bar", 1), ("dir*-s", 1), ("a/b", 0), ("/a /b", 2), ("- x", 0), ("--x", 1), ("–x", 1)]
        {
            assert_eq!(parts(raw), dashes, "{raw}");
        }
    }

    #[test]
    fn offsets_trim_what_neighbours_decide() {
        let variants = Text::literal("foobar!").base64_offset().unwrap();
        let shown: Vec<_> = variants.into_iter().map(|t| t.into_pattern(true).to_string()).collect();
        assert_eq!(shown, ["Zm9vYmFyI", "Zvb2Jhci", "mb29iYXIh"]);
    }
}
