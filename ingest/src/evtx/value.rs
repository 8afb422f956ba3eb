//! Owns BinXML's typed values: bytes to what an event holds, written as Windows writes them. Source: [MS-EVEN6] 2.2.4.

use sandsift_sigma::Value;

/// Type bytes of values; an array has the high bit set.
pub(super) mod kind {
    pub const NULL: u8 = 0x00;
    pub const STRING: u8 = 0x01;
    pub const ANSI: u8 = 0x02;
    pub const BINARY: u8 = 0x0e;
    pub const FILETIME: u8 = 0x11;
    pub const BINXML: u8 = 0x21;
    pub const STRINGS: u8 = 0x81;
}

/// A value in a record: its type byte and its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub kind: u8,
    /// Where its bytes are in the chunk.
    pub at: usize,
    pub bytes: &'a [u8],
}

impl Raw<'_> {
    /// Whether there is nothing: null, or a text or bytes of no length.
    pub(super) fn is_nothing(&self) -> bool {
        self.kind == kind::NULL || self.bytes.is_empty()
    }

    /// The value for an event, texts written to `buffer`; `None` for a type that is not read here.
    pub(super) fn value<'b>(&self, buffer: &'b mut String) -> Option<Value<'b>> {
        let bytes = self.bytes;
        let signed = match self.kind {
            0x03 => Some(i64::from(i8::from_le_bytes(fixed(bytes)?))),
            0x05 => Some(i64::from(i16::from_le_bytes(fixed(bytes)?))),
            0x07 => Some(i64::from(i32::from_le_bytes(fixed(bytes)?))),
            0x09 => Some(i64::from_le_bytes(fixed(bytes)?)),
            0x04 => Some(i64::from(u8::from_le_bytes(fixed(bytes)?))),
            0x06 => Some(i64::from(u16::from_le_bytes(fixed(bytes)?))),
            0x08 => Some(i64::from(u32::from_le_bytes(fixed(bytes)?))),
            0x0d => match i32::from_le_bytes(fixed(bytes)?) {
                0 => return Some(Value::Bool(false)),
                1 => return Some(Value::Bool(true)),
                // Windows writes masks into some of these.
                mask => Some(i64::from(mask)),
            },
            0x0a => match i64::try_from(u64::from_le_bytes(fixed(bytes)?)) {
                Ok(n) => Some(n),
                Err(_) => {
                    buffer.clear();
                    self.write(buffer)?;
                    return Some(Value::Number(buffer));
                }
            },
            _ => None,
        };
        if let Some(n) = signed {
            return Some(Value::Int(n));
        }
        buffer.clear();
        self.write(buffer)?;
        Some(match self.kind {
            0x0b | 0x0c => Value::Number(buffer),
            _ => Value::Str(buffer),
        })
    }

    /// Appends the value's text; `None` for a type that is not read here.
    pub(super) fn write(&self, out: &mut String) -> Option<()> {
        use std::fmt::Write;
        let bytes = self.bytes;
        match self.kind {
            kind::NULL => {}
            kind::STRING => utf16(bytes, out),
            kind::ANSI => out
                .push_str(&crate::windows::decode_text(&bytes.iter().copied().filter(|b| *b != 0).collect::<Vec<_>>())),
            0x03 => write!(out, "{}", i8::from_le_bytes(fixed(bytes)?)).ok()?,
            0x04 => write!(out, "{}", u8::from_le_bytes(fixed(bytes)?)).ok()?,
            0x05 => write!(out, "{}", i16::from_le_bytes(fixed(bytes)?)).ok()?,
            0x06 => write!(out, "{}", u16::from_le_bytes(fixed(bytes)?)).ok()?,
            0x07 => write!(out, "{}", i32::from_le_bytes(fixed(bytes)?)).ok()?,
            0x08 => write!(out, "{}", u32::from_le_bytes(fixed(bytes)?)).ok()?,
            0x09 => write!(out, "{}", i64::from_le_bytes(fixed(bytes)?)).ok()?,
            0x0a => write!(out, "{}", u64::from_le_bytes(fixed(bytes)?)).ok()?,
            0x0b => write!(out, "{}", f32::from_le_bytes(fixed(bytes)?)).ok()?,
            0x0c => write!(out, "{}", f64::from_le_bytes(fixed(bytes)?)).ok()?,
            0x0d => match i32::from_le_bytes(fixed(bytes)?) {
                0 => out.push_str("false"),
                1 => out.push_str("true"),
                mask => write!(out, "{mask}").ok()?,
            },
            kind::BINARY => hex(bytes, out),
            0x0f => guid(&fixed(bytes)?, out),
            0x10 => match bytes.len() {
                4 => write!(out, "{:#x}", u32::from_le_bytes(fixed(bytes)?)).ok()?,
                _ => write!(out, "{:#x}", u64::from_le_bytes(fixed(bytes)?)).ok()?,
            },
            0x14 => write!(out, "{:#x}", u32::from_le_bytes(fixed(bytes)?)).ok()?,
            0x15 => write!(out, "{:#x}", u64::from_le_bytes(fixed(bytes)?)).ok()?,
            kind::FILETIME => filetime(u64::from_le_bytes(fixed(bytes)?), out)?,
            0x12 => systemtime(&fixed(bytes)?, out)?,
            0x13 => sid(bytes, out)?,
            _ => return None,
        }
        Some(())
    }
}

/// The bytes of a value of known size; more than it needs is left over, as Windows writes it now and then.
fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk::<N>().copied()
}

/// Appends UTF-16 up to its first NUL. Unpaired surrogates become U+FFFD: a name that an attacker chose must not make
/// its record unreadable.
pub(super) fn utf16(bytes: &[u8], out: &mut String) {
    const BLOCK: usize = 64;
    let mut rest = bytes;
    let mut ascii = [0u8; BLOCK];
    loop {
        // Nearly all of it is ASCII: narrow a block, and look at the block's high bits at once.
        let units = (rest.len() / 2).min(BLOCK);
        let mut high = 0u8;
        let mut nul = false;
        for (narrow, unit) in ascii.iter_mut().zip(rest.chunks_exact(2)) {
            *narrow = unit[0];
            high |= unit[1] | (unit[0] & 0x80);
            nul |= unit[0] == 0;
        }
        if units == 0 {
            return;
        }
        if high != 0 || nul {
            break;
        }
        if let Ok(text) = std::str::from_utf8(&ascii[..units]) {
            out.push_str(text);
        }
        rest = &rest[units * 2..];
    }
    let units = rest.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])).take_while(|u| *u != 0);
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn guid(bytes: &[u8; 16], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    out.push('{');
    for (place, index) in ORDER.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(DIGITS[usize::from(bytes[index] >> 4)]));
        out.push(char::from(DIGITS[usize::from(bytes[index] & 15)]));
    }
    out.push('}');
}

fn sid(bytes: &[u8], out: &mut String) -> Option<()> {
    use std::fmt::Write;
    let [revision, count, authority @ ..] = bytes.first_chunk::<8>()?;
    let authority = authority.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    write!(out, "S-{revision}-{authority}").ok()?;
    for sub in bytes[8..].chunks_exact(4).take(usize::from(*count)) {
        write!(out, "-{}", u32::from_le_bytes(sub.try_into().ok()?)).ok()?;
    }
    Some(())
}

fn filetime(ticks: u64, out: &mut String) -> Option<()> {
    const PER_SECOND: u64 = 10_000_000;
    if ticks > i64::MAX as u64 {
        // Windows renders zeros.
        out.push_str("0000-00-00T00:00:00.0000000Z");
        return Some(());
    }
    let seconds = ticks / PER_SECOND;
    // Days since 0000-03-01, in eras of 400 years: the leap day ends the year.
    let day = seconds / 86_400 + 584_694;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    stamp([year % 10_000, month, day, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, ticks % PER_SECOND], out);
    Some(())
}

fn systemtime(bytes: &[u8; 16], out: &mut String) -> Option<()> {
    let field = |at: usize| u64::from(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]));
    let (year, month, day) = (field(0), field(1), field(3));
    let (hour, minute, second, milli) = (field(4), field(5), field(6), field(7));
    let valid = (1601..=30_827).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && milli < 1000;
    let parts = if valid {
        [year % 10_000, month, day, hour, minute, second, milli * 10_000]
    } else {
        // What Windows renders for one that is unset.
        [1601, 1, 1, 0, 0, 0, 0]
    };
    stamp(parts, out);
    Some(())
}

fn stamp(parts: [u64; 7], out: &mut String) {
    let mut text = *b"0000-00-00T00:00:00.0000000Z";
    let places = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..27];
    for (mut value, place) in parts.into_iter().zip(places) {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    if let Ok(text) = std::str::from_utf8(&text) {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: u8, bytes: &[u8]) -> String {
        let mut out = String::new();
        Raw { kind, at: 0, bytes }.write(&mut out).unwrap();
        out
    }

    #[test]
    fn values_are_written_as_windows_writes_them() {
        assert_eq!(
            text(0x0f, &[0x5f, 0x38, 0x70, 0x57, 0x2a, 0xc2, 0xe0, 0x43, 0xbf, 0x4c, 6, 0xf5, 0x69, 0x8f, 0xfb, 0xd9]),
            "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"
        );
        assert_eq!(text(0x13, &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]), "S-1-5-18");
        assert_eq!(text(0x15, &0x8000_0000_0000_0000u64.to_le_bytes()), "0x8000000000000000");
        assert_eq!(text(0x11, &132_000_000_012_345_678u64.to_le_bytes()), "2019-04-17T18:40:01.2345678Z");
        assert_eq!(text(0x0e, &[0xde, 0xad]), "DEAD");
    }

    #[test]
    fn texts_end_at_their_nul_and_survive_lone_surrogates() {
        let le = |units: &[u16]| units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(text(0x01, &le(&[0x61, 0, 0x62])), "a");
        assert_eq!(text(0x01, &le(&[0x61, 0xd83d, 0xde00, 0xd800, 0x62])), "a😀\u{fffd}b");
        let long: Vec<u16> = "x".repeat(200).encode_utf16().chain("é".encode_utf16()).collect();
        assert_eq!(text(0x01, &le(&long)), "x".repeat(200) + "é");
    }

    #[test]
    fn short_bytes_and_unknown_types_are_no_value() {
        let mut out = String::new();
        for kind in [0x03, 0x07, 0x0a, 0x0f, 0x11, 0x12, 0x13, 0x15, 0x40, 0x95] {
            assert!(Raw { kind, at: 0, bytes: &[] }.value(&mut out).is_none(), "{kind:#x}");
        }
    }
}
