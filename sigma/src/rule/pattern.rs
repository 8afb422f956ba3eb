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
    /// One of the five characters of `windash` (`-` `/` `–` `—` `―`), where it starts a flag.
    Dash,
}
