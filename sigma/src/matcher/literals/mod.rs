//! Owns the search for many literals at once in one value: which of thousands of texts are it, start it, end it or
//! stand in it.
//!
//! Literals that are tied to an end of the value ([`affix`]) cost a handful of table look-ups, however many there are.
//! Literals that may stand anywhere ([`grams`]) are found by their rarest four bytes: every position of the value is
//! tested against a bit table that fits in the first-level cache, without one step waiting for the one before as in an
//! automaton, and only where four bytes of some literal stand is anything compared. Literals whose four bytes are
//! shared by too many others go to an [`automaton`], so that no choice of literals makes the search slow.
//!
//! Literals are bytes here; what they are folded by and which rule they belong to is the caller's concern.

mod affix;
mod automaton;
mod grams;
pub(super) mod rarity;

use affix::{Affixes, Side};
use automaton::Automaton;
use grams::Grams;

/// Where in a value a literal must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// Is all of it.
    Whole,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Anywhere in it.
    Anywhere,
}

/// A literal to be found, and the number that its hits are reported by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literal<'a> {
    pub place: Place,
    pub bytes: &'a [u8],
    pub id: u32,
}

/// What the caller wants after a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// To be told of further hits.
    Continue,
    /// Nothing more.
    Stop,
}

/// Takes the hits of a search.
pub(super) trait Hits {
    /// Whether a hit of this literal is known already, so that it need not be looked for.
    fn known(&self, id: u32) -> bool;
    /// Takes a hit.
    fn hit(&mut self, id: u32) -> Search;
}

/// A set of literals, ready to be searched for.
#[derive(Debug, Default)]
pub(super) struct Literals {
    start: Affixes,
    end: Affixes,
    grams: Grams,
    automaton: Option<Automaton>,
    /// Literals without bytes that stand at some place in every value.
    always: Box<[u32]>,
}

impl Literals {
    /// Prepares the literals; the order of hits within a value is not defined.
    pub fn new(literals: &[Literal<'_>]) -> Self {
        let (mut start, mut end, mut anywhere, mut always) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for literal in literals {
            match literal.place {
                Place::Start | Place::End | Place::Anywhere if literal.bytes.is_empty() => always.push(literal.id),
                Place::Start => start.push(*literal),
                Place::Whole | Place::End => end.push(*literal),
                Place::Anywhere => anywhere.push(*literal),
            }
        }
        let (grams, overflow) = Grams::new(&anywhere);
        Self {
            start: Affixes::new(Side::Start, &start),
            end: Affixes::new(Side::End, &end),
            grams,
            automaton: (!overflow.is_empty()).then(|| Automaton::new(&overflow)),
            always: always.into(),
        }
    }

    /// Reports the literals that stand in the value where they must; one may be reported several times.
    #[inline]
    pub fn search(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        for &id in &self.always {
            if hits.hit(id) == Search::Stop {
                return Search::Stop;
            }
        }
        if self.end.search(value, hits) == Search::Stop
            || self.start.search(value, hits) == Search::Stop
            || self.grams.search(value, hits) == Search::Stop
        {
            return Search::Stop;
        }
        match &self.automaton {
            Some(automaton) => automaton.search(value, hits),
            None => Search::Continue,
        }
    }
}

#[cfg(test)]
mod tests;
