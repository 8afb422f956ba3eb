//! Owns the typed values of BinXML and their bytes; knows nothing of templates' layout or chunks.

use super::template::Template;
use std::sync::Arc;

/// A point in time: 100-nanosecond steps since 1601-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(pub u64);

impl FileTime {
    /// 1970-01-01 in steps since 1601-01-01.
    const UNIX_EPOCH: u64 = 116_444_736_000_000_000;

    /// Takes microseconds since 1970-01-01 UTC.
    pub fn from_unix_micros(micros: u64) -> Self {
        Self(Self::UNIX_EPOCH + micros * 10)
    }
}

/// A GUID in the order in which it is written in text: `{d1-d2-d3-d4}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(pub u128);

impl Guid {
    /// The bytes as Windows stores them: the first three groups little-endian, the rest as written.
    pub fn to_bytes(self) -> [u8; 16] {
        uuid::Uuid::from_u128(self.0).to_bytes_le()
    }
}

/// A security identifier: the authority and its sub-authorities, as in `S-1-<authority>-<sub>-…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sid {
    /// The identifier authority, 5 for NT; its lower 48 bits are stored.
    pub authority: u64,
    /// At most 15 are stored.
    pub subs: Vec<u32>,
}

impl Sid {
    /// Local system, `S-1-5-18`.
    pub fn system() -> Self {
        Self { authority: 5, subs: vec![18] }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let subs = &self.subs[..self.subs.len().min(15)];
        out.extend([1, subs.len() as u8]);
        out.extend(&self.authority.to_be_bytes()[2..]);
        subs.iter().for_each(|sub| out.extend(sub.to_le_bytes()));
    }
}

/// A value that a record hands to a template.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    /// Nothing; what an optional substitution stands for is left out.
    Null,
    /// UTF-16 text.
    Str(String),
    /// Text in the system's code page; write ASCII.
    Ansi(String),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Binary(Vec<u8>),
    Guid(Guid),
    /// A pointer-sized number, written with 8 bytes.
    Size(u64),
    Time(FileTime),
    /// Year, month, day of the week, day, hour, minute, second, millisecond.
    SysTime([u16; 8]),
    Sid(Sid),
    Hex32(u32),
    Hex64(u64),
    /// Several texts; the element around the substitution is repeated for each.
    StrArray(Vec<String>),
    /// Several numbers; as [`Value::StrArray`].
    U32Array(Vec<u32>),
    /// An instance of another template, as `EventData` is in the template of the whole event.
    Nested(Arc<Template>, Vec<Value>),
}

impl Value {
    /// The type byte of BinXML.
    pub(super) fn type_code(&self) -> u8 {
        match self {
            Self::Null => 0x00,
            Self::Str(_) => 0x01,
            Self::Ansi(_) => 0x02,
            Self::I8(_) => 0x03,
            Self::U8(_) => 0x04,
            Self::I16(_) => 0x05,
            Self::U16(_) => 0x06,
            Self::I32(_) => 0x07,
            Self::U32(_) => 0x08,
            Self::I64(_) => 0x09,
            Self::U64(_) => 0x0a,
            Self::F32(_) => 0x0b,
            Self::F64(_) => 0x0c,
            Self::Bool(_) => 0x0d,
            Self::Binary(_) => 0x0e,
            Self::Guid(_) => 0x0f,
            Self::Size(_) => 0x10,
            Self::Time(_) => 0x11,
            Self::SysTime(_) => 0x12,
            Self::Sid(_) => 0x13,
            Self::Hex32(_) => 0x14,
            Self::Hex64(_) => 0x15,
            Self::Nested(..) => 0x21,
            Self::StrArray(_) => 0x81,
            Self::U32Array(_) => 0x88,
        }
    }

    /// Appends the bytes of a value that stands alone; a nested instance needs its chunk and is written there.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null | Self::Nested(..) => {}
            Self::Str(text) => utf16(text, out),
            Self::Ansi(text) => out.extend(text.as_bytes()),
            Self::I8(v) => out.extend(v.to_le_bytes()),
            Self::U8(v) => out.push(*v),
            Self::I16(v) => out.extend(v.to_le_bytes()),
            Self::U16(v) => out.extend(v.to_le_bytes()),
            Self::I32(v) => out.extend(v.to_le_bytes()),
            Self::U32(v) | Self::Hex32(v) => out.extend(v.to_le_bytes()),
            Self::I64(v) => out.extend(v.to_le_bytes()),
            Self::U64(v) | Self::Hex64(v) | Self::Size(v) => out.extend(v.to_le_bytes()),
            Self::F32(v) => out.extend(v.to_le_bytes()),
            Self::F64(v) => out.extend(v.to_le_bytes()),
            Self::Bool(v) => out.extend(u32::from(*v).to_le_bytes()),
            Self::Binary(bytes) => out.extend(bytes),
            Self::Guid(guid) => out.extend(guid.to_bytes()),
            Self::Time(time) => out.extend(time.0.to_le_bytes()),
            Self::SysTime(parts) => parts.iter().for_each(|part| out.extend(part.to_le_bytes())),
            Self::Sid(sid) => sid.write(out),
            Self::StrArray(texts) => texts.iter().for_each(|text| {
                utf16(text, out);
                out.extend([0, 0]);
            }),
            Self::U32Array(numbers) => numbers.iter().for_each(|v| out.extend(v.to_le_bytes())),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

/// Appends UTF-16LE without a terminator.
pub(super) fn utf16(text: &str, out: &mut Vec<u8>) {
    text.encode_utf16().for_each(|unit| out.extend(unit.to_le_bytes()));
}
