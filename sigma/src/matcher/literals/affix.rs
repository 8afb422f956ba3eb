//! Owns literals that are tied to the start or the end of a value.
//!
//! A literal is filed under its outermost bytes, eight at most; a value looks up one key for each length of key in use.
//! Where many literals share a key they are sorted, and one binary search finds the longest that fits: all others that
//! fit are affixes of it and are linked from it.

use super::{Hits, Literal, Place, Search};
use std::cmp::Ordering;

/// The end of the value that literals are tied to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Side {
    #[default]
    Start,
    End,
}

/// Buckets of up to this many literals are walked, longer ones are searched.
const WALKED: usize = 8;
/// The longest key, in bytes.
const KEY: usize = 8;
/// Bits for each slot of the table, of which at most half are in use.
const BITS_A_SLOT: usize = 8;
const NONE: u32 = u32::MAX;

/// Literals tied to one side.
#[derive(Debug, Default)]
pub(super) struct Affixes {
    side: Side,
    /// Bit `n - 1` is set where keys of `n` bytes are in use.
    lengths: u8,
    /// A bit for the hash of each key in use: most values have none of them, and that is told from a small table.
    bits: Box<[u64]>,
    /// Open addressing by key and its length; a bucket of no entries ends a probe.
    table: Box<[Slot]>,
    shift: u32,
    entries: Box<[Entry]>,
    text: Box<[u8]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    length: u32,
    /// The bucket's first entry and the number of its entries.
    first: u32,
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    text: u32,
    length: u32,
    id: u32,
    /// Whether nothing else may stand in the value.
    whole: bool,
    /// In a sorted bucket: the next entry that is an affix of this one.
    link: u32,
}

impl Affixes {
    pub fn new(side: Side, literals: &[Literal<'_>]) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let mut sorted: Vec<(u64, usize, Literal<'_>)> = literals
            .iter()
            .map(|literal| {
                let length = literal.bytes.len().min(KEY);
                let key = if length == 0 { 0 } else { key(side, outermost(side, literal.bytes), length) };
                (key, length, *literal)
            })
            .collect();
        sorted.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| compare(side, a.2.bytes, b.2.bytes)));

        let mut affixes = Self { side, ..Self::default() };
        let mut entries = Vec::with_capacity(sorted.len());
        let mut text = Vec::new();
        let mut buckets = Vec::new();
        for bucket in sorted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let first = entries.len();
            for (_, _, literal) in bucket {
                let link = match entries.last() {
                    Some(_) if entries.len() > first => link(side, &entries, &text, first, literal.bytes),
                    _ => NONE,
                };
                entries.push(Entry {
                    text: text.len() as u32,
                    length: literal.bytes.len() as u32,
                    id: literal.id,
                    whole: literal.place == Place::Whole,
                    link,
                });
                text.extend_from_slice(literal.bytes);
            }
            let (key, length, _) = bucket[0];
            // The empty text is a whole value only, and is told apart before any look-up.
            affixes.lengths |= (1u16 << length >> 1) as u8;
            buckets.push(Slot { key, length: length as u32, first: first as u32, count: bucket.len() as u32 });
        }
        let size = (buckets.len() * 2).next_power_of_two().max(2);
        affixes.shift = 64 - size.trailing_zeros();
        affixes.bits = vec![0; (size * BITS_A_SLOT / 64).max(1)].into();
        let mut table = vec![Slot::default(); size].into_boxed_slice();
        for bucket in buckets {
            let mixed = mix(bucket.key, bucket.length as usize);
            let bit = affixes.bit(mixed);
            affixes.bits[bit / 64] |= 1 << (bit % 64);
            let mut at = (mixed >> affixes.shift) as usize;
            while table[at].count > 0 {
                at = (at + 1) & (size - 1);
            }
            table[at] = bucket;
        }
        affixes.table = table;
        affixes.entries = entries.into();
        affixes.text = text.into();
        affixes
    }

    #[inline]
    pub fn search(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        if self.table.is_empty() {
            return Search::Continue;
        }
        if value.is_empty() {
            return self.bucket(value, 0, 0, hits);
        }
        let outermost = outermost(self.side, value);
        let mut lengths = self.lengths;
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize + 1;
            if length > value.len() {
                break;
            }
            lengths &= lengths - 1;
            if self.bucket(value, key(self.side, outermost, length), length, hits) == Search::Stop {
                return Search::Stop;
            }
        }
        Search::Continue
    }

    #[inline]
    fn bucket(&self, value: &[u8], key: u64, length: usize, hits: &mut impl Hits) -> Search {
        let mixed = mix(key, length);
        let bit = self.bit(mixed);
        if self.bits[bit / 64] >> (bit % 64) & 1 == 0 {
            return Search::Continue;
        }
        let mut at = (mixed >> self.shift) as usize;
        loop {
            let slot = &self.table[at];
            if slot.count == 0 {
                return Search::Continue;
            }
            if slot.key == key && slot.length as usize == length {
                return self.compare_all(value, slot, hits);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// The bit of a mixed key.
    #[inline]
    fn bit(&self, mixed: u64) -> usize {
        (mixed >> 20) as usize & (self.bits.len() * 64 - 1)
    }

    fn compare_all(&self, value: &[u8], slot: &Slot, hits: &mut impl Hits) -> Search {
        let bucket = &self.entries[slot.first as usize..][..slot.count as usize];
        if bucket.len() <= WALKED {
            for entry in bucket {
                if fits(self.side, value, self.literal(entry)) && self.report(value, entry, hits) == Search::Stop {
                    return Search::Stop;
                }
            }
            return Search::Continue;
        }
        let after = bucket.partition_point(|e| compare(self.side, self.literal(e), value) != Ordering::Greater);
        let Some(mut at) = after.checked_sub(1) else { return Search::Continue };
        while !fits(self.side, value, self.literal(&bucket[at])) {
            match bucket[at].link {
                NONE => return Search::Continue,
                link => at = (link - slot.first) as usize,
            }
        }
        loop {
            if self.report(value, &bucket[at], hits) == Search::Stop {
                return Search::Stop;
            }
            match bucket[at].link {
                NONE => return Search::Continue,
                link => at = (link - slot.first) as usize,
            }
        }
    }

    #[inline]
    fn report(&self, value: &[u8], entry: &Entry, hits: &mut impl Hits) -> Search {
        if entry.whole && entry.length as usize != value.len() { Search::Continue } else { hits.hit(entry.id) }
    }

    fn literal(&self, entry: &Entry) -> &[u8] {
        &self.text[entry.text as usize..][..entry.length as usize]
    }
}

/// The nearest entry before that is an affix of the literal, or equal to it.
fn link(side: Side, entries: &[Entry], text: &[u8], first: usize, literal: &[u8]) -> u32 {
    let mut at = entries.len() - 1;
    loop {
        let entry = &entries[at];
        if fits(side, literal, &text[entry.text as usize..][..entry.length as usize]) {
            return at as u32;
        }
        if entry.link == NONE {
            return NONE;
        }
        at = entry.link as usize;
        debug_assert!(at >= first, "links stay in their bucket");
    }
}

#[inline]
fn fits(side: Side, value: &[u8], literal: &[u8]) -> bool {
    match side {
        Side::Start => value.starts_with(literal),
        Side::End => value.ends_with(literal),
    }
}

/// Orders texts as they are read from the side.
fn compare(side: Side, left: &[u8], right: &[u8]) -> Ordering {
    match side {
        Side::Start => left.cmp(right),
        Side::End => left.iter().rev().cmp(right.iter().rev()),
    }
}

/// The outermost [`KEY`] bytes as one number, from which the keys of all lengths are cut.
#[inline]
fn outermost(side: Side, value: &[u8]) -> u64 {
    let whole = match side {
        Side::Start => value.first_chunk::<KEY>(),
        Side::End => value.last_chunk::<KEY>(),
    };
    match whole {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let mut bytes = [0; KEY];
            match side {
                Side::Start => bytes[..value.len()].copy_from_slice(value),
                Side::End => bytes[KEY - value.len()..].copy_from_slice(value),
            }
            u64::from_le_bytes(bytes)
        }
    }
}

/// The key of this many bytes, from 1 to [`KEY`].
#[inline]
fn key(side: Side, outermost: u64, length: usize) -> u64 {
    let unused = 64 - 8 * length as u32;
    match side {
        Side::Start => outermost << unused >> unused,
        Side::End => outermost >> unused,
    }
}

#[inline]
fn mix(key: u64, length: usize) -> u64 {
    (key ^ (length as u64) << 61).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
