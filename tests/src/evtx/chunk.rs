//! Owns one chunk of 64 KiB: its records, its tables of names and templates, its checksums. Every offset in it is
//! relative to its start, so that a chunk can be read alone.

use super::template::{Element, Node, Template};
use super::value::{FileTime, Guid, Value, utf16};
use std::collections::HashMap;

/// Bytes of a chunk.
pub(super) const SIZE: usize = 65_536;
const HEADER: usize = 512;
const NAME_TABLE: usize = 128;
const NAME_BUCKETS: usize = 64;
const TEMPLATE_TABLE: usize = 384;
const TEMPLATE_BUCKETS: usize = 32;
const RECORD_HEADER: usize = 24;
/// An element that hangs on no value.
const NO_DEPENDENCY: u16 = 0xffff;

mod token {
    pub const END_OF_FRAGMENT: u8 = 0x00;
    pub const OPEN: u8 = 0x01;
    pub const CLOSE_START: u8 = 0x02;
    pub const CLOSE_EMPTY: u8 = 0x03;
    pub const END: u8 = 0x04;
    pub const TEXT: u8 = 0x05;
    pub const ATTRIBUTE: u8 = 0x06;
    pub const TEMPLATE: u8 = 0x0c;
    pub const VALUE: u8 = 0x0d;
    pub const OPTIONAL_VALUE: u8 = 0x0e;
    pub const FRAGMENT: u8 = 0x0f;
    pub const HAS_MORE: u8 = 0x40;
}

/// A chunk in the making.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    names: HashMap<String, u32>,
    name_buckets: [u32; NAME_BUCKETS],
    templates: HashMap<u128, u32>,
    template_buckets: [u32; TEMPLATE_BUCKETS],
    first: u64,
    last: u64,
    last_offset: usize,
}

impl Chunk {
    /// Starts a chunk whose first record has this number.
    pub(super) fn new(first: u64) -> Self {
        Self {
            bytes: vec![0; HEADER],
            names: HashMap::new(),
            name_buckets: [0; NAME_BUCKETS],
            templates: HashMap::new(),
            template_buckets: [0; TEMPLATE_BUCKETS],
            first,
            last: first.wrapping_sub(1),
            last_offset: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER
    }

    /// Adds a record; says `false`, and takes nothing, where it does not fit. A chunk that refused a record takes no
    /// more, since its tables may name what was taken back.
    pub(super) fn push(&mut self, number: u64, written: FileTime, template: &Template, values: &[Value]) -> bool {
        let start = self.bytes.len();
        let buckets = (self.name_buckets, self.template_buckets);
        self.bytes.extend(0x0000_2a2a_u32.to_le_bytes());
        self.u32(0);
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend(written.0.to_le_bytes());
        debug_assert_eq!(self.bytes.len() - start, RECORD_HEADER);
        let fits = self.instance(template, values);
        self.bytes.push(token::END_OF_FRAGMENT);
        while !(self.bytes.len() + 4).is_multiple_of(8) {
            self.bytes.push(0);
        }
        let size = self.bytes.len() + 4 - start;
        if !fits || start + size > SIZE {
            self.bytes.truncate(start);
            (self.name_buckets, self.template_buckets) = buckets;
            return false;
        }
        self.u32(size as u32);
        self.patch(start + 4, size as u32);
        self.last = number;
        self.last_offset = start;
        true
    }

    /// Ends the chunk: header, tables, checksums, zeros up to its size.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let free = self.bytes.len();
        let checksum = crc32fast::hash(&self.bytes[HEADER..]);
        self.bytes[..8].copy_from_slice(b"ElfChnk\0");
        for (at, value) in [(8, self.first), (16, self.last), (24, self.first), (32, self.last)] {
            self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        self.patch(40, 128);
        self.patch(44, self.last_offset as u32);
        self.patch(48, free as u32);
        self.patch(52, checksum);
        for (index, offset) in self.name_buckets.into_iter().enumerate() {
            self.patch(NAME_TABLE + index * 4, offset);
        }
        for (index, offset) in self.template_buckets.into_iter().enumerate() {
            self.patch(TEMPLATE_TABLE + index * 4, offset);
        }
        let mut header = crc32fast::Hasher::new();
        header.update(&self.bytes[..120]);
        header.update(&self.bytes[NAME_TABLE..HEADER]);
        self.patch(124, header.finalize());
        self.bytes.resize(SIZE, 0);
        self.bytes
    }

    /// Writes a fragment that instantiates a template, defining it first where this chunk does not have it yet. Says
    /// `false` where a value is larger than its size field.
    fn instance(&mut self, template: &Template, values: &[Value]) -> bool {
        self.bytes.extend([token::FRAGMENT, 1, 1, 0, token::TEMPLATE, 1]);
        let guid = Guid(template.id()).to_bytes();
        self.bytes.extend(&guid[..4]);
        let here = self.bytes.len() as u32 + 4;
        match self.templates.get(&template.id()) {
            Some(&offset) => self.u32(offset),
            None => {
                self.u32(here);
                self.definition(template, &guid, here);
            }
        }
        self.u32(values.len() as u32);
        let mut descriptor = self.bytes.len();
        for value in values {
            self.bytes.extend([0, 0, value.type_code(), 0]);
        }
        for value in values {
            let start = self.bytes.len();
            if let Value::Nested(template, values) = value {
                if !self.instance(template, values) {
                    return false;
                }
                self.bytes.push(token::END_OF_FRAGMENT);
            } else {
                value.write(&mut self.bytes);
            }
            let Ok(size) = u16::try_from(self.bytes.len() - start) else { return false };
            self.bytes[descriptor..descriptor + 2].copy_from_slice(&size.to_le_bytes());
            descriptor += 4;
        }
        true
    }

    fn definition(&mut self, template: &Template, guid: &[u8; 16], offset: u32) {
        let id = u32::from_le_bytes([guid[0], guid[1], guid[2], guid[3]]);
        let bucket = id as usize % TEMPLATE_BUCKETS;
        let next = std::mem::replace(&mut self.template_buckets[bucket], offset);
        self.templates.insert(template.id(), offset);
        self.u32(next);
        self.bytes.extend(guid);
        let size = self.reserve();
        self.bytes.extend([token::FRAGMENT, 1, 1, 0]);
        self.element(template.root());
        self.bytes.push(token::END_OF_FRAGMENT);
        self.fill(size);
    }

    fn element(&mut self, element: &Element) {
        let has_attributes = !element.attributes.is_empty();
        self.bytes.push(token::OPEN | if has_attributes { token::HAS_MORE } else { 0 });
        self.bytes.extend(NO_DEPENDENCY.to_le_bytes());
        let size = self.reserve();
        self.name(&element.name);
        if has_attributes {
            let list = self.reserve();
            for (index, (name, node)) in element.attributes.iter().enumerate() {
                let more = index + 1 < element.attributes.len();
                self.bytes.push(token::ATTRIBUTE | if more { token::HAS_MORE } else { 0 });
                self.name(name);
                self.node(node);
            }
            self.fill(list);
        }
        if element.children.is_empty() {
            self.bytes.push(token::CLOSE_EMPTY);
        } else {
            self.bytes.push(token::CLOSE_START);
            element.children.iter().for_each(|node| self.node(node));
            self.bytes.push(token::END);
        }
        self.fill(size);
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Text(text) => {
                self.bytes.extend([token::TEXT, 0x01]);
                let units = text.encode_utf16().count() as u16;
                self.bytes.extend(units.to_le_bytes());
                utf16(text, &mut self.bytes);
            }
            Node::Value { index, kind, optional } => {
                self.bytes.push(if *optional { token::OPTIONAL_VALUE } else { token::VALUE });
                self.bytes.extend(index.to_le_bytes());
                self.bytes.push(*kind);
            }
            Node::Element(element) => self.element(element),
        }
    }

    /// Writes a reference to a name, and the name itself where this chunk does not have it yet.
    fn name(&mut self, name: &str) {
        let here = self.bytes.len() as u32 + 4;
        if let Some(&offset) = self.names.get(name) {
            return self.u32(offset);
        }
        self.u32(here);
        let units: Vec<u16> = name.encode_utf16().collect();
        let hash = units.iter().fold(0_u32, |hash, &unit| hash.wrapping_mul(65_599).wrapping_add(unit.into())) as u16;
        let bucket = usize::from(hash) % NAME_BUCKETS;
        let next = std::mem::replace(&mut self.name_buckets[bucket], here);
        self.names.insert(name.to_owned(), here);
        self.u32(next);
        self.bytes.extend(hash.to_le_bytes());
        self.bytes.extend((units.len() as u16).to_le_bytes());
        units.iter().for_each(|unit| self.bytes.extend(unit.to_le_bytes()));
        self.bytes.extend([0, 0]);
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    /// Leaves room for a size that [`Self::fill`] writes.
    fn reserve(&mut self) -> usize {
        self.u32(0);
        self.bytes.len()
    }

    fn fill(&mut self, after: usize) {
        let size = (self.bytes.len() - after) as u32;
        self.patch(after - 4, size);
    }

    fn patch(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}
