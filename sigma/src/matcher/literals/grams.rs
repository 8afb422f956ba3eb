//! Owns literals that may stand anywhere: a bit table over windows of the value, and comparisons only where it says so.
//!
//! A literal is filed under the rarest of its windows. Where there are few literals they are filed under several, one at
//! each distance modulo a stride, so that only every stride-th position of the value has to be tested: wherever the
//! literal stands, one of its windows falls on a tested position. For many literals that would make a table that no
//! first-level cache holds, which costs more than the positions that it saves.

use super::{Hits, Literal, Search, rarity};
use rustc_hash::FxHashMap;

/// The window, in bytes.
const GRAM: usize = 4;
/// At most this many literals share a window; what is left over goes to the automaton.
const SHARED: usize = 12;
/// Literals of at least this many bytes are searched apart from shorter ones, with a stride of at least four.
const LONG: usize = GRAM + 3;
/// The longest stride, and the most windows that a walk with a stride may file.
const STRIDE: usize = 8;
const STRIDED: usize = 4096;

/// Literals found by windows of their bytes.
#[derive(Debug, Default)]
pub(super) struct Grams {
    short: Pass,
    long: Pass,
    pairs: Pairs,
    entries: Box<[Entry]>,
    text: Box<[u8]>,
}

/// One walk over the value.
#[derive(Debug, Default)]
struct Pass {
    stride: usize,
    /// A bit for each hash of a window in use; a table of `1 << log` bits, empty where the walk has no literals.
    bits: Box<[u64]>,
    log: u32,
    table: Table,
}

/// Literals that are shorter than a window: two or three bytes by their first two, and single bytes.
#[derive(Debug, Default)]
struct Pairs {
    /// A bit for every pair of bytes.
    bits: Box<[u64]>,
    table: Table,
    bytes: Box<[(u8, u32)]>,
}

/// Buckets of entries by window, with open addressing.
#[derive(Debug, Default)]
struct Table {
    slots: Box<[Slot]>,
    shift: u32,
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

type Buckets<'l> = FxHashMap<u32, Vec<(usize, Literal<'l>)>>;

impl Grams {
    /// Prepares the literals, none of which is empty; returns those that share their windows with too many others.
    pub fn new<'l>(literals: &[Literal<'l>]) -> (Self, Vec<Literal<'l>>) {
        let (mut short, mut long, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let mut pairs = Buckets::default();
        for literal in literals {
            match *literal.bytes {
                [byte] => bytes.push((byte, literal.id)),
                [a, b] | [a, b, _] => pairs.entry(pair(a, b)).or_default().push((0, *literal)),
                _ if literal.bytes.len() < LONG => short.push(*literal),
                _ => long.push(*literal),
            }
        }
        if long.len() * (LONG + 1 - GRAM) > STRIDED {
            // One walk over every position is cheaper than two then.
            short.append(&mut long);
        }
        let mut store = Store::default();
        let mut overflow = Vec::new();
        let mut grams = Self {
            short: Pass::new(&short, &mut store, &mut overflow),
            long: Pass::new(&long, &mut store, &mut overflow),
            ..Self::default()
        };
        grams.pairs.bytes = bytes.into();
        if !pairs.is_empty() {
            grams.pairs.bits = vec![0; (1 << 16) / 64].into();
            for &pair in pairs.keys() {
                grams.pairs.bits[pair as usize / 64] |= 1 << (pair % 64);
            }
            grams.pairs.table = store.table(pairs);
        }
        grams.entries = store.entries.into();
        grams.text = store.text.into();
        (grams, overflow)
    }

    #[inline]
    pub fn search(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        for pass in [&self.long, &self.short] {
            if !pass.bits.is_empty() && self.walk(pass, value, hits) == Search::Stop {
                return Search::Stop;
            }
        }
        if self.pairs.bits.is_empty() && self.pairs.bytes.is_empty() {
            return Search::Continue;
        }
        self.search_pairs(value, hits)
    }

    fn walk(&self, pass: &Pass, value: &[u8], hits: &mut impl Hits) -> Search {
        let found = |gram, at| self.look_up(&pass.table, gram, value, at, hits);
        // The size is a constant in each, so that no index needs to be checked.
        match pass.log {
            SMALL => walk::<SMALL>(&pass.bits, value, pass.stride, found),
            MEDIUM => walk::<MEDIUM>(&pass.bits, value, pass.stride, found),
            LARGE => walk::<LARGE>(&pass.bits, value, pass.stride, found),
            _ => walk::<HUGE>(&pass.bits, value, pass.stride, found),
        }
    }

    fn search_pairs(&self, value: &[u8], hits: &mut impl Hits) -> Search {
        if !self.pairs.bits.is_empty() {
            let bits = &self.pairs.bits[..(1 << 16) / 64];
            for (at, window) in value.windows(2).enumerate() {
                let pair = pair(window[0], window[1]);
                if bits[(pair as u16 / 64) as usize] >> (pair % 64) & 1 != 0
                    && self.look_up(&self.pairs.table, pair, value, at, hits) == Search::Stop
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

    #[inline(never)]
    fn look_up(&self, table: &Table, gram: u32, value: &[u8], at: usize, hits: &mut impl Hits) -> Search {
        let mut slot = hash(gram, table.shift);
        loop {
            let Slot { gram: found, first, count } = table.slots[slot];
            if count == 0 {
                return Search::Continue;
            }
            if found == gram {
                return self.compare(&self.entries[first as usize..][..count as usize], value, at, hits);
            }
            slot = (slot + 1) & (table.slots.len() - 1);
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

/// Sizes of bit tables, as powers of two: the last does not fit in the first-level cache, but is read rarely.
const SMALL: u32 = 10;
const MEDIUM: u32 = 14;
const LARGE: u32 = 17;
const HUGE: u32 = 20;
/// Bits of a table for each window in use.
const BITS_A_GRAM: usize = 16;

impl Pass {
    fn new<'l>(literals: &[Literal<'l>], store: &mut Store, overflow: &mut Vec<Literal<'l>>) -> Self {
        let Some(shortest) = literals.iter().map(|literal| literal.bytes.len()).min() else { return Self::default() };
        let stride = (shortest + 1 - GRAM).min(STRIDE).min(STRIDED / literals.len()).max(1);
        // A window that many of the literals have is frequent in what they look for, too.
        let mut common: FxHashMap<u32, u32> = FxHashMap::default();
        for window in literals.iter().flat_map(|literal| literal.bytes.windows(GRAM)) {
            *common.entry(gram(window)).or_default() += 1;
        }
        let mut buckets = Buckets::default();
        let mut chosen = Vec::with_capacity(stride);
        // Those with the fewest windows choose first.
        let mut by_length = literals.to_vec();
        by_length.sort_by_key(|literal| literal.bytes.len());
        for literal in &by_length {
            chosen.clear();
            chosen
                .extend((0..stride).filter_map(|distance| rarest(literal.bytes, distance, stride, &buckets, &common)));
            if chosen.len() < stride {
                overflow.push(*literal);
                continue;
            }
            for &offset in &chosen {
                buckets.entry(gram(&literal.bytes[offset..])).or_default().push((offset, *literal));
            }
        }
        if buckets.is_empty() {
            return Self::default();
        }
        let wanted = (buckets.len() * BITS_A_GRAM).ilog2();
        let log = [SMALL, MEDIUM, LARGE].into_iter().find(|&log| wanted <= log).unwrap_or(HUGE);
        let mut bits = vec![0u64; (1 << log) / 64].into_boxed_slice();
        for &gram in buckets.keys() {
            let bit = hash(gram, 32 - log);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { stride, bits, log, table: store.table(buckets) }
    }
}

/// The rarest window of a literal at a distance, among those that are not full.
fn rarest(
    literal: &[u8],
    distance: usize,
    stride: usize,
    buckets: &Buckets<'_>,
    common: &FxHashMap<u32, u32>,
) -> Option<usize> {
    (distance..=literal.len() - GRAM)
        .step_by(stride)
        .filter_map(|offset| {
            let window = &literal[offset..offset + GRAM];
            let load = buckets.get(&gram(window)).map_or(0, Vec::len);
            let common = common.get(&gram(window)).copied().unwrap_or(0);
            (load < SHARED).then(|| (rarity::gram(window) + 2 * common.min(50) + load as u32, offset))
        })
        .min()
        .map(|(_, offset)| offset)
}

/// Positions that are tested without a branch between them.
const BLOCK: usize = 8;

/// Reports every tested window whose bit is set.
#[inline(always)]
fn walk<const LOG: u32>(
    bits: &[u64],
    value: &[u8],
    stride: usize,
    mut found: impl FnMut(u32, usize) -> Search,
) -> Search {
    let bits = &bits[..1 << (LOG - 6)];
    let test = |gram: u32| {
        let bit = hash(gram, 32 - LOG);
        bits[bit / 64] >> (bit % 64) & 1
    };
    let mut at = 0;
    if stride == 1 {
        while let Some(block) = value.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + GRAM - 1 }>) {
            let mut set = 0;
            for position in 0..BLOCK {
                set |= test(gram(&block[position..position + GRAM])) << position;
            }
            while set != 0 {
                let position = set.trailing_zeros() as usize;
                set &= set - 1;
                if found(gram(&block[position..position + GRAM]), at + position) == Search::Stop {
                    return Search::Stop;
                }
            }
            at += BLOCK;
        }
    }
    while let Some(window) = value.get(at..).and_then(<[u8]>::first_chunk::<GRAM>) {
        let gram = u32::from_le_bytes(*window);
        if test(gram) != 0 && found(gram, at) == Search::Stop {
            return Search::Stop;
        }
        at += stride;
    }
    Search::Continue
}

/// Entries and literals of all tables, as they are filed.
#[derive(Default)]
struct Store {
    entries: Vec<Entry>,
    text: Vec<u8>,
    /// Where a literal stands that is filed under several windows.
    known: FxHashMap<(*const u8, usize), u32>,
}

impl Store {
    fn table(&mut self, buckets: Buckets<'_>) -> Table {
        let size = (buckets.len() * 2).next_power_of_two().max(2);
        let shift = 32 - size.trailing_zeros();
        let mut slots = vec![Slot::default(); size].into_boxed_slice();
        for (gram, literals) in buckets {
            let first = self.entries.len() as u32;
            for &(offset, literal) in &literals {
                let text = self.keep(literal.bytes);
                self.entries.push(Entry {
                    text,
                    length: literal.bytes.len() as u32,
                    offset: offset as u32,
                    id: literal.id,
                });
            }
            let mut at = hash(gram, shift);
            while slots[at].count > 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = Slot { gram, first, count: literals.len() as u32 };
        }
        Table { slots, shift }
    }

    fn keep(&mut self, literal: &[u8]) -> u32 {
        *self.known.entry((literal.as_ptr(), literal.len())).or_insert_with(|| {
            self.text.extend_from_slice(literal);
            (self.text.len() - literal.len()) as u32
        })
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
