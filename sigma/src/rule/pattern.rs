//! Owns the text pattern: literals and wildcards, after every modifier was applied.

/// A pattern that a whole text matches or does not.
///
/// `contains` is a pattern that starts and ends with [`Piece::Any`], `startswith` one that ends with it. No piece is
/// an empty literal, no two literals and no two `Any` follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The pieces in order; none matches the empty text alone.
    pub pieces: Vec<Piece>,
    /// Whether case counts; otherwise both sides are compared by Unicode simple case folding.
    pub cased: bool,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// This text, as written in the rule.
    Literal(Box<str>),
    /// Any run of characters, also none; line breaks too.
    Any,
    /// Exactly one character, a line break too.
    One,
    /// One of the five characters of `windash` (`-` `/` `–` `—` `―`). The parser puts it only where the rule's value
    /// has one of them at the start of a flag, so nothing around it need be looked at in the event.
    Dash,
}

/// The characters that `windash` takes for one another.
pub const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

impl Pattern {
    /// A pattern of these pieces, brought to the normal form that the type promises.
    pub fn new(pieces: impl IntoIterator<Item = Piece>, cased: bool) -> Self {
        let mut normal: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (normal.last_mut(), piece) {
                (_, Piece::Literal(text)) if text.is_empty() => {}
                (Some(Piece::Literal(before)), Piece::Literal(text)) => *before = format!("{before}{text}").into(),
                (Some(Piece::Any), Piece::Any) => {}
                (_, piece) => normal.push(piece),
            }
        }
        Self { pieces: normal, cased }
    }
}

impl std::fmt::Display for Pattern {
    /// Writes the pattern as a rule would, with wildcards and escapes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Any => f.write_str("*")?,
                Piece::One => f.write_str("?")?,
                Piece::Dash => f.write_str("-")?,
                Piece::Literal(text) => {
                    for c in text.chars() {
                        match c {
                            '*' | '?' => write!(f, "\\{c}")?,
                            _ => write!(f, "{c}")?,
                        }
                    }
                    let wildcard_follows = matches!(self.pieces.get(index + 1), Some(Piece::Any | Piece::One));
                    if text.ends_with('\\') && wildcard_follows {
                        f.write_str("\\")?;
                    }
                }
            }
        }
        Ok(())
    }
}
