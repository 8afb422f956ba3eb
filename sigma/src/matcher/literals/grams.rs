//! Owns literals that may stand anywhere: a bit table over windows of the value, and comparisons only where it says so.

use super::{Hits, Literal, Search, rarity};
use rustc_hash::FxHashMap;

/// The window, in bytes.
const GRAM: usize = 4;
/// At most this many literals share a window; what is left over goes to the automaton.
const SHARED: usize = 12;
/// Bits of the table for each window in use, and the bounds of its size; the upper one is the first-level cache.
const BITS_A_GRAM: usize = 16;
const MIN_BITS: usize = 1 << 9;
const MAX_BITS: usize = 1 << 18;

/// Literals found by windows of their bytes.
#[derive(Debug, Default)]
pub(super) struct Grams {
    /// A bit for each hash of a window in use; empty where no literal has as many bytes.
    bits: Box<[u64]>,
    shift: u32,
    /// Open addressing by window.
    table: Box<[Slot]>,
    table_shift: u32,
    pairs: Pairs,
    entries: Box<[Entry]>,
    text: Box<[u8]>,
}

/// Literals that are shorter than a window: two or three bytes by their first two, and single bytes.
#[derive(Debug, Default)]
struct Pairs {
    /// A bit for every pair of bytes.
    bits: Box<[u64]>,
    table: Box<[Slot]>,
    bytes: Box<[(u8, u32)]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    gram: u32,
    first: u32,
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    text: u32,
    length: u32,
    /// Where in the literal its window stands.
    offset: u32,
    id: u32,
}

impl Grams {
    /// Prepares the literals, none of which is empty; returns those that share their windows with too many others.
    pub fn new<'l>(literals: &[Literal<'l>]) -> (Self, Vec<Literal<'l>>) {
        let mut buckets: FxHashMap<u32, Vec<(usize, &Literal<'l>)>> = FxHashMap::default();
        let mut pairs: FxHashMap<u32, Vec<(usize, &Literal<'l>)>> = FxHashMap::default();
        let mut bytes = Vec::new();
        let mut overflow = Vec::new();
        for literal in literals {
            match *literal.bytes {
                [byte] => bytes.push((byte, literal.id)),
                [a, b] | [a, b, _] => pairs.entry(pair(a, b)).or_default().push((0, literal)),
                _ => {
                    let choice = literal
                        .bytes
                        .windows(GRAM)
                        .enumerate()
                        .filter_map(|(offset, window)| {
                            let load = buckets.get(&gram(window)).map_or(0, Vec::len);
                            (load < SHARED).then(|| (rarity::gram(window) + 4 * load as u32, offset))
                        })
                        .min();
                    match choice {
                        Some((_, offset)) => {
                            buckets.entry(gram(&literal.bytes[offset..])).or_default().push((offset, literal));
                        }
                        None => overflow.push(*literal),
                    }
                }
            }
        }
        let mut store = Store::default();
        let mut grams = Self::default();
        if !buckets.is_empty() {
            let bits = (buckets.len() * BITS_A_GRAM).next_power_of_two().clamp(MIN_BITS, MAX_BITS);
            grams.shift = 32 - bits.trailing_zeros();
            grams.bits = vec![0; bits / 64].into();
            for &gram in buckets.keys() {
                let bit = hash(gram, grams.shift);
                grams.bits[bit / 64] |= 1 << (bit % 64);
            }
            (grams.table, grams.table_shift) = store.table(buckets);
        }
        grams.pairs.bytes = bytes.into();
        if !pairs.is_empty() {
            grams.pairs.bits = vec![0; (1 << 16) / 64].into();
            for &pair in pairs.keys() {
                grams.pairs.bits[pair as usize / 64] |= 1 << (pair % 64);
            }
            (grams.pairs.table, _) = store.table(pairs);
        }
        grams.entries = store.entries.into();
        grams.text = store.text.into();
        (grams, overflow)
    }

    #[inline]
    pub fn search(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        if !self.bits.is_empty() {
            for (at, window) in value.windows(GRAM).enumerate() {
                let gram = gram(window);
                let bit = hash(gram, self.shift);
                if self.bits[bit / 64] >> (bit % 64) & 1 != 0
                    && self.look_up(&self.table, self.table_shift, gram, value, at, hits) == Search::Stop
                {
                    return Search::Stop;
                }
            }
        }
        if self.pairs.bits.is_empty() && self.pairs.bytes.is_empty() {
            return Search::Continue;
        }
        self.search_short(value, hits)
    }

    fn search_short(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        if !self.pairs.bits.is_empty() {
            let shift = 32 - self.pairs.table.len().trailing_zeros();
            for (at, window) in value.windows(2).enumerate() {
                let pair = pair(window[0], window[1]);
                if self.pairs.bits[pair as usize / 64] >> (pair % 64) & 1 != 0
                    && self.look_up(&self.pairs.table, shift, pair, value, at, hits) == Search::Stop
                {
                    return Search::Stop;
                }
            }
        }
        for &(byte, id) in &self.pairs.bytes {
            if !hits.known(id) && memchr::memchr(byte, value).is_some() && hits.hit(id) == Search::Stop {
                return Search::Stop;
            }
        }
        Search::Continue
    }

    #[inline]
    fn look_up(&self, table: &[Slot], shift: u32, gram: u32, value: &[u8], at: usize, hits: &mut impl Hits) -> Search {
        let mut slot = hash(gram, shift);
        loop {
            let Slot { gram: found, first, count } = table[slot];
            if count == 0 {
                return Search::Continue;
            }
            if found == gram {
                return self.compare(&self.entries[first as usize..][..count as usize], value, at, hits);
            }
            slot = (slot + 1) & (table.len() - 1);
        }
    }

    fn compare(&self, entries: &[Entry], value: &[u8], at: usize, hits: &mut impl Hits) -> Search {
        for entry in entries {
            let literal = &self.text[entry.text as usize..][..entry.length as usize];
            let Some(start) = at.checked_sub(entry.offset as usize) else { continue };
            if value[start..].starts_with(literal) && !hits.known(entry.id) && hits.hit(entry.id) == Search::Stop {
                return Search::Stop;
            }
        }
        Search::Continue
    }
}

/// Entries and literals of all tables, as they are filed.
#[derive(Default)]
struct Store {
    entries: Vec<Entry>,
    text: Vec<u8>,
}

impl Store {
    fn table(&mut self, buckets: FxHashMap<u32, Vec<(usize, &Literal<'_>)>>) -> (Box<[Slot]>, u32) {
        let size = (buckets.len() * 2).next_power_of_two().max(2);
        let shift = 32 - size.trailing_zeros();
        let mut table = vec![Slot::default(); size].into_boxed_slice();
        for (gram, literals) in buckets {
            let first = self.entries.len() as u32;
            for &(offset, literal) in &literals {
                self.entries.push(Entry {
                    text: self.text.len() as u32,
                    length: literal.bytes.len() as u32,
                    offset: offset as u32,
                    id: literal.id,
                });
                self.text.extend_from_slice(literal.bytes);
            }
            let mut at = hash(gram, shift);
            while table[at].count > 0 {
                at = (at + 1) & (size - 1);
            }
            table[at] = Slot { gram, first, count: literals.len() as u32 };
        }
        (table, shift)
    }
}

#[inline]
fn gram(window: &[u8]) -> u32 {
    u32::from_le_bytes([window[0], window[1], window[2], window[3]])
}

#[inline]
fn pair(a: u8, b: u8) -> u32 {
    u32::from(a) | u32::from(b) << 8
}

#[inline]
fn hash(gram: u32, shift: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> shift) as usize
}
