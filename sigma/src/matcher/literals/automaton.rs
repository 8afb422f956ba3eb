//! Owns the search for literals whose windows tell them apart too badly: an Aho-Corasick automaton, linear whatever the
//! literals are.

use super::{Hits, Literal, Search};
use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use rustc_hash::FxHashMap;

const NONE: u32 = u32::MAX;

/// Literals found by an automaton.
#[derive(Debug)]
pub(super) struct Automaton {
    nfa: Option<NFA>,
    /// For each distinct literal its ids and the longest other literal that ends it.
    patterns: Box<[Pattern]>,
    ids: Box<[u32]>,
}

#[derive(Debug, Clone, Copy)]
struct Pattern {
    first: u32,
    count: u32,
    shorter: u32,
}

impl Automaton {
    pub fn new(literals: &[Literal<'_>]) -> Self {
        let mut distinct: FxHashMap<&[u8], Vec<u32>> = FxHashMap::default();
        for literal in literals {
            distinct.entry(literal.bytes).or_default().push(literal.id);
        }
        let mut texts: Vec<&[u8]> = distinct.keys().copied().collect();
        texts.sort_unstable();
        let nfa = aho_corasick::nfa::contiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(&texts)
            .ok();
        let mut ids = Vec::new();
        let mut patterns = Vec::with_capacity(texts.len());
        for text in &texts {
            let first = ids.len() as u32;
            ids.extend_from_slice(&distinct[text]);
            let shorter = nfa.as_ref().map_or(NONE, |nfa| shorter(nfa, text));
            patterns.push(Pattern { first, count: ids.len() as u32 - first, shorter });
        }
        Self { nfa, patterns: patterns.into(), ids: ids.into() }
    }

    /// Reports every literal that stands in the value, most of them once.
    ///
    /// A literal ends wherever a longer one does that it ends itself. The walk from a literal to its shorter ones stops
    /// at the first that is known, since all after it are known then too: time is linear in the value, not in its hits.
    pub fn search(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        let Some(nfa) = &self.nfa else { return Search::Continue };
        let Ok(mut state) = nfa.start_state(Anchored::No) else { return Search::Continue };
        for &byte in value {
            state = nfa.next_state(Anchored::No, state, byte);
            if !nfa.is_match(state) {
                continue;
            }
            let mut at = nfa.match_pattern(state, 0).as_u32();
            while at != NONE {
                let Pattern { first, count, shorter } = self.patterns[at as usize];
                let ids = &self.ids[first as usize..][..count as usize];
                if ids.iter().all(|&id| hits.known(id)) {
                    break;
                }
                for &id in ids {
                    if hits.hit(id) == Search::Stop {
                        return Search::Stop;
                    }
                }
                at = shorter;
            }
        }
        Search::Continue
    }
}

/// The longest literal that ends this one and is shorter.
fn shorter(nfa: &NFA, text: &[u8]) -> u32 {
    let Ok(mut state) = nfa.start_state(Anchored::No) else { return NONE };
    for &byte in text {
        state = nfa.next_state(Anchored::No, state, byte);
    }
    match nfa.match_len(state) {
        0 | 1 => NONE,
        _ => nfa.match_pattern(state, 1).as_u32(),
    }
}
