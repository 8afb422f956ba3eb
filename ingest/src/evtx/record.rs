//! Owns the way from a record's bytes to its fields: reads its values and runs the template's steps over them.

use super::cursor::Cursor;
use super::template::{Content, Root, Step, Template};
use super::value::{Raw, kind, utf16};
use crate::windows::{Role, WindowsRecord};
use rustc_hash::FxHashMap;
use sandsift_sigma::Value;
use std::rc::Rc;

/// Why a record gave no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is damaged, or of a shape that the second reader knows.
    Unusual,
    /// It would make more of its chunk than a chunk can hold in good faith.
    Excessive,
}

/// Bytes that the records of one chunk may expand to, templates too: five hundred times the chunk.
const BUDGET: usize = 32 << 20;

/// Reads the records of one chunk.
pub(super) struct Fields<'c> {
    chunk: &'c [u8],
    templates: FxHashMap<(u32, Root), Option<Rc<Template>>>,
    /// The values of the record and of the part in it, kept for their memory.
    values: [Vec<Raw<'c>>; 2],
    buffer: String,
    budget: usize,
}

impl<'c> Fields<'c> {
    pub(super) fn new(chunk: &'c [u8]) -> Self {
        Self {
            chunk,
            templates: FxHashMap::default(),
            values: [Vec::new(), Vec::new()],
            buffer: String::new(),
            budget: BUDGET,
        }
    }

    /// Fills `record` from the BinXML between two offsets of the chunk.
    pub(super) fn read(&mut self, start: usize, end: usize, record: &mut WindowsRecord) -> Result<(), Problem> {
        self.instance(start, end, Root::Record, record)
    }

    fn instance(&mut self, start: usize, end: usize, root: Root, record: &mut WindowsRecord) -> Result<(), Problem> {
        let mut values = std::mem::take(&mut self.values[root as usize]);
        values.clear();
        let template = self.open(start, end, root, &mut values);
        let result = template.and_then(|template| self.run(&template, &values, record));
        self.values[root as usize] = values;
        result
    }

    /// Reads a fragment that is one instance of a template: its values, and the template.
    fn open(
        &mut self,
        start: usize,
        end: usize,
        root: Root,
        values: &mut Vec<Raw<'c>>,
    ) -> Result<Rc<Template>, Problem> {
        let mut cursor = Cursor::new(self.chunk, start, end);
        let offset = values_of(&mut cursor, values).ok_or(Problem::Unusual)?;
        // After the instance the fragment ends; some records are padded behind it.
        if cursor.u8().is_some_and(|token| token != 0) {
            return Err(Problem::Unusual);
        }
        if let Some(template) = self.templates.get(&(offset, root)) {
            return template.clone().ok_or(Problem::Unusual);
        }
        let compiled = Template::compile(self.chunk, offset as usize, root);
        // A definition that fails is paid for as if it were as long as it can be.
        let size = compiled.as_ref().map_or(4096, |(_, size)| *size);
        self.budget = self.budget.checked_sub(size).ok_or(Problem::Excessive)?;
        let template = compiled.map(|(template, _)| Rc::new(template));
        self.templates.insert((offset, root), template.clone());
        template.ok_or(Problem::Unusual)
    }

    fn run(&mut self, template: &Template, values: &[Raw<'c>], record: &mut WindowsRecord) -> Result<(), Problem> {
        const NULL: Raw<'static> = Raw { kind: kind::NULL, at: 0, bytes: &[] };
        let get = |index: u16| values.get(usize::from(index)).copied().unwrap_or(NULL);
        let mut steps = template.steps.iter();
        while let Some(step) = steps.next() {
            self.budget = self.budget.checked_sub(32).ok_or(Problem::Excessive)?;
            match step {
                Step::System { name, content } => match content {
                    Content::Value(index) => {
                        let raw = get(*index);
                        if !raw.is_nothing() {
                            let value = self.value(raw)?;
                            record.system(name, value);
                        }
                    }
                    Content::Text(text) => record.system(name, Value::Str(text)),
                    Content::Mixed(parts) => {
                        self.mixed(parts, &get)?;
                        record.system(name, Value::Str(&self.buffer));
                    }
                },
                Step::Data { name, role, content } => self.data(name, *role, content, &get, record)?,
                Step::Named { name, content } => {
                    let raw = get(*name);
                    let mut name = String::new();
                    raw.write(&mut name).ok_or(Problem::Unusual)?;
                    self.data(&name, Role::of(&name), content, &get, record)?;
                }
                Step::Unnamed { content } => self.unnamed(content, &get, record)?,
                Step::Part { value } => {
                    let raw = get(*value);
                    match raw.kind {
                        kind::BINXML if raw.bytes.is_empty() => {}
                        kind::BINXML => self.instance(raw.at, raw.at + raw.bytes.len(), Root::Part, record)?,
                        _ if raw.is_nothing() => {}
                        _ => return Err(Problem::Unusual),
                    }
                }
                Step::Inner { value } => {
                    let raw = get(*value);
                    if raw.kind == kind::BINXML && !raw.bytes.is_empty() {
                        return Err(Problem::Unusual);
                    }
                }
                Step::Unless { value, skip } => {
                    if get(*value).kind == kind::NULL {
                        for _ in 0..*skip {
                            steps.next();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn data(
        &mut self,
        name: &str,
        role: Role,
        content: &Content,
        get: &dyn Fn(u16) -> Raw<'c>,
        record: &mut WindowsRecord,
    ) -> Result<(), Problem> {
        match content {
            Content::Text(text) => record.data_as(name, role, Value::Str(text)),
            Content::Mixed(parts) => {
                self.mixed(parts, get)?;
                record.data_as(name, role, Value::Str(&self.buffer));
            }
            Content::Value(index) => {
                let raw = get(*index);
                match raw.kind {
                    // The element is there and empty, as Windows writes it.
                    kind::NULL => record.data_as(name, role, Value::Str("")),
                    kind::STRING if role.is_plain() => {
                        self.pay(raw)?;
                        record.data_with(name, |text| utf16(raw.bytes, text));
                    }
                    kind::STRINGS => {
                        self.pay(raw)?;
                        for item in strings(raw.bytes) {
                            self.buffer.clear();
                            utf16(item, &mut self.buffer);
                            record.data_as(name, role, Value::Str(&self.buffer));
                        }
                    }
                    _ if raw.bytes.is_empty() => record.data_as(name, role, Value::Str("")),
                    _ => {
                        let value = self.value(raw)?;
                        record.data_as(name, role, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn unnamed(
        &mut self,
        content: &Content,
        get: &dyn Fn(u16) -> Raw<'c>,
        record: &mut WindowsRecord,
    ) -> Result<(), Problem> {
        match content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => record.unnamed(Value::Str(text)),
            Content::Mixed(parts) => {
                self.mixed(parts, get)?;
                record.unnamed(Value::Str(&self.buffer));
            }
            Content::Value(index) => {
                let raw = get(*index);
                if raw.kind == kind::STRINGS {
                    self.pay(raw)?;
                    for item in strings(raw.bytes).filter(|item| !item.is_empty()) {
                        self.buffer.clear();
                        utf16(item, &mut self.buffer);
                        record.unnamed(Value::Str(&self.buffer));
                    }
                } else if !raw.is_nothing() {
                    let value = self.value(raw)?;
                    if value != Value::Str("") {
                        record.unnamed(value);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes pieces of text and values to the buffer.
    fn mixed(&mut self, parts: &[Content], get: &dyn Fn(u16) -> Raw<'c>) -> Result<(), Problem> {
        self.buffer.clear();
        for part in parts {
            match part {
                Content::Text(text) => self.buffer.push_str(text),
                Content::Value(index) => {
                    let raw = get(*index);
                    self.pay(raw)?;
                    raw.write(&mut self.buffer).ok_or(Problem::Unusual)?;
                }
                Content::Mixed(_) => return Err(Problem::Unusual),
            }
        }
        Ok(())
    }

    fn value(&mut self, raw: Raw<'_>) -> Result<Value<'_>, Problem> {
        self.pay(raw)?;
        raw.value(&mut self.buffer).ok_or(Problem::Unusual)
    }

    fn pay(&mut self, raw: Raw<'_>) -> Result<(), Problem> {
        self.budget = self.budget.checked_sub(raw.bytes.len()).ok_or(Problem::Excessive)?;
        Ok(())
    }
}

/// Reads the values of a template's instance into `values`; gives the offset of the template's definition.
fn values_of<'c>(cursor: &mut Cursor<'c>, values: &mut Vec<Raw<'c>>) -> Option<u32> {
    let mut token = cursor.u8()?;
    if token == 0x0f {
        cursor.take(3)?;
        token = cursor.u8()?;
    }
    if token != 0x0c {
        return None;
    }
    cursor.take(5)?;
    let offset = cursor.u32()?;
    if offset as usize == cursor.at() {
        // The definition stands here: it is read by its offset.
        cursor.take(20)?;
        let size = cursor.u32()? as usize;
        cursor.take(size)?;
    }
    let count = cursor.u32()? as usize;
    let descriptors = cursor.take(count.checked_mul(4)?)?;
    for descriptor in descriptors.chunks_exact(4) {
        let size = usize::from(u16::from_le_bytes([descriptor[0], descriptor[1]]));
        let at = cursor.at();
        values.push(Raw { kind: descriptor[2], at, bytes: cursor.take(size)? });
    }
    Some(offset)
}

/// The members of an array of texts, each with its NUL.
fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 2 {
            return None;
        }
        let units = rest.chunks_exact(2).position(|u| u == [0, 0]).unwrap_or(rest.len() / 2);
        let (item, after) = rest.split_at(units * 2);
        rest = after.get(2..).unwrap_or(&[]);
        Some(item)
    })
}
