//! Owns the text test in its compiled form: which of the simple shapes a pattern has, and the exact answer on one value.

use crate::fold::fold_into;
use crate::rule::{DASHES, Pattern, Piece};
use memchr::memmem;

/// A pattern in the form that answers fastest. Bytes are folded unless the pattern is cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum TextTest {
    /// Any text at all.
    Anything,
    /// Is this text.
    Whole(Box<[u8]>),
    /// Starts with it.
    Start(Box<[u8]>),
    /// Ends with it.
    End(Box<[u8]>),
    /// Holds it.
    Anywhere(Box<[u8]>),
    /// Has wildcards inside.
    Glob(Box<[GlobPiece]>),
}

/// A piece of a pattern with wildcards inside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum GlobPiece {
    Literal(Box<[u8]>),
    Any,
    One,
    Dash,
}

impl TextTest {
    pub fn new(pattern: &Pattern) -> Self {
        use GlobPiece::{Any, Literal};
        let mut pieces: Vec<GlobPiece> = Vec::with_capacity(pattern.pieces.len());
        for piece in &pattern.pieces {
            match (piece, pieces.last_mut()) {
                (Piece::Any, Some(Any)) => {}
                (Piece::Any, _) => pieces.push(Any),
                (Piece::One, _) => pieces.push(GlobPiece::One),
                (Piece::Dash, _) => pieces.push(GlobPiece::Dash),
                (Piece::Literal(text), _) => pieces.push(Literal(fold_unless(pattern.cased, text))),
            }
        }
        match pieces.as_mut_slice() {
            [] => Self::Whole(Box::default()),
            [Any] => Self::Anything,
            [Literal(text)] => Self::Whole(std::mem::take(text)),
            [Literal(text), Any] => Self::Start(std::mem::take(text)),
            [Any, Literal(text)] => Self::End(std::mem::take(text)),
            [Any, Literal(text), Any] => Self::Anywhere(std::mem::take(text)),
            _ => Self::Glob(pieces.into()),
        }
    }

    /// Whether the whole of a text matches; `text` is UTF-8, folded unless the pattern is cased.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Whole(literal) => text == &literal[..],
            Self::Start(literal) => text.starts_with(literal),
            Self::End(literal) => text.ends_with(literal),
            Self::Anywhere(literal) => memmem::find(text, literal).is_some(),
            Self::Glob(pieces) => glob(pieces, text),
        }
    }
}

/// The bytes of a literal as they are compared.
fn fold_unless(cased: bool, text: &str) -> Box<[u8]> {
    if cased {
        return text.as_bytes().into();
    }
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded.into_bytes().into()
}

/// Matches by runs of pieces between wildcards: the first must stand at the start, the last at the end, each other one
/// is taken where it first fits. No run is tried again once it fits, so the time is bounded by text times pattern.
fn glob(pieces: &[GlobPiece], text: &[u8]) -> bool {
    let mut runs = pieces.split(|piece| *piece == GlobPiece::Any);
    let Some(first) = runs.next() else { return text.is_empty() };
    let Some(mut at) = fit(first, text, 0) else { return false };
    let Some(last) = runs.next_back() else { return at == text.len() };
    for run in runs {
        match find(run, text, at) {
            Some(end) => at = end,
            None => return false,
        }
    }
    fit_at_end(last, text, at)
}

/// Where a run ends that starts at `at`.
fn fit(run: &[GlobPiece], text: &[u8], mut at: usize) -> Option<usize> {
    for piece in run {
        let rest = text.get(at..)?;
        at += match piece {
            GlobPiece::Literal(literal) => rest.starts_with(literal).then_some(literal.len())?,
            GlobPiece::One => character(rest)?,
            GlobPiece::Dash => dash(rest)?,
            GlobPiece::Any => return None,
        };
    }
    Some(at)
}

/// Where a run ends that starts at `from` or later, as early as it can.
fn find(run: &[GlobPiece], text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        if let Some(GlobPiece::Literal(literal)) = run.first() {
            at += memmem::find(text.get(at..)?, literal)?;
        }
        if let Some(end) = fit(run, text, at) {
            return Some(end);
        }
        at += character(text.get(at..)?)?;
    }
}

/// Whether a run ends the text and starts at `from` or later.
fn fit_at_end(run: &[GlobPiece], text: &[u8], from: usize) -> bool {
    let mut end = text.len();
    for piece in run.iter().rev() {
        let Some(rest) = text.get(from..end) else { return false };
        let length = match piece {
            GlobPiece::Literal(literal) => rest.ends_with(literal).then_some(literal.len()),
            GlobPiece::One => last_character(rest),
            GlobPiece::Dash => {
                last_character(rest).filter(|&length| dash(&rest[rest.len() - length..]) == Some(length))
            }
            GlobPiece::Any => None,
        };
        match length {
            Some(length) => end -= length,
            None => return false,
        }
    }
    true
}

/// The length of the first character.
fn character(text: &[u8]) -> Option<usize> {
    let rest = text.get(1..)?;
    Some(1 + rest.iter().take_while(|&&byte| is_continuation(byte)).count())
}

fn last_character(text: &[u8]) -> Option<usize> {
    let start = text.iter().rposition(|&byte| !is_continuation(byte))?;
    Some(text.len() - start)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The length of the dash that starts the text.
fn dash(text: &[u8]) -> Option<usize> {
    DASHES.iter().find_map(|dash| {
        let mut buffer = [0; 4];
        let dash = dash.encode_utf8(&mut buffer).as_bytes();
        text.starts_with(dash).then_some(dash.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn pieces() -> impl proptest::strategy::Strategy<Value = Vec<Piece>> {
        use proptest::prelude::*;
        let piece = prop_oneof![
            3 => "[aB\\-é]{1,3}".prop_map(|text| Piece::Literal(text.into())),
            2 => Just(Piece::Any),
            1 => Just(Piece::One),
            1 => Just(Piece::Dash),
        ];
        proptest::collection::vec(piece, 0..7)
    }

    proptest::proptest! {
        #[test]
        fn answers_as_the_plain_evaluator(pieces in pieces(), cased: bool, text in "[aAbBéÉ–/\\-]{0,9}") {
            let pattern = Pattern::new(pieces, cased);
            let mut folded = String::new();
            fold_into(&text, &mut folded);
            let bytes = if cased { text.as_bytes() } else { folded.as_bytes() };
            proptest::prop_assert_eq!(TextTest::new(&pattern).matches(bytes), reference::matches(&pattern, &text));
        }
    }
}
