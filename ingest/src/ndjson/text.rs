//! Owns JSON strings: where they end, and their escapes, decoded straight to where the text is kept.

use super::{Cursor, Reason};
use sandsift_sigma::Event;

/// Reads an object's name; where it has escapes it is put in `buffer` and nothing is returned.
#[inline]
pub(super) fn key<'t>(cursor: &mut Cursor<'t>, buffer: &mut String) -> Result<Option<&'t str>, Reason> {
    let plain = open(cursor, "a name in quotes")?;
    if cursor.peek() == Some(b'"') {
        cursor.at += 1;
        return Ok(Some(plain));
    }
    buffer.clear();
    buffer.push_str(plain);
    rest(cursor, buffer)?;
    Ok(None)
}

/// Reads a string as the value of a field.
#[inline]
pub(super) fn string(cursor: &mut Cursor<'_>, event: &mut Event, name: &str) -> Result<(), Reason> {
    let plain = open(cursor, "a string")?;
    if cursor.peek() == Some(b'"') {
        cursor.at += 1;
        event.push_str(name, plain);
        return Ok(());
    }
    let read = event.push_with(name, |text| {
        text.push_str(plain);
        rest(cursor, text)
    });
    // Absent where the event is full, which it tells itself.
    read.unwrap_or(Ok(()))
}

/// Reads the opening quote and all text up to the first escape or the closing quote, where the cursor then stands.
#[inline]
fn open<'t>(cursor: &mut Cursor<'t>, what: &'static str) -> Result<&'t str, Reason> {
    cursor.expect(b'"', what)?;
    plain(cursor)
}

/// Reads text up to the next quote or backslash.
#[inline]
fn plain<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, Reason> {
    let start = cursor.at;
    match special(&cursor.text.as_bytes()[start..]) {
        Some(length) => {
            cursor.at = start + length;
            Ok(&cursor.text[start..cursor.at])
        }
        None => {
            cursor.at = cursor.text.len();
            Err(Reason::UnexpectedEnd)
        }
    }
}

/// The place of the first quote or backslash.
///
/// Names and values are short: eight bytes at a time without a call beat a vector search that has to be set up. What
/// is longer goes to the vector search.
#[inline]
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const QUOTE: u64 = ONES * b'"' as u64;
    const SLASH: u64 = ONES * b'\\' as u64;
    const SHORT: usize = 64;
    let mut at = 0;
    while let Some(Ok(chunk)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(chunk);
        let (quote, slash) = (word ^ QUOTE, word ^ SLASH);
        // The lowest bit set is exact; a borrow can only disturb the bytes above it.
        let zero = (quote.wrapping_sub(ONES) & !quote | slash.wrapping_sub(ONES) & !slash) & HIGH;
        if zero != 0 {
            return Some(at + zero.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at == SHORT {
            break;
        }
    }
    memchr::memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found)
}

/// Reads from an escape to the closing quote.
fn rest(cursor: &mut Cursor<'_>, out: &mut String) -> Result<(), Reason> {
    loop {
        if cursor.peek() == Some(b'"') {
            cursor.at += 1;
            return Ok(());
        }
        cursor.at += 1;
        escape(cursor, out)?;
        out.push_str(plain(cursor)?);
    }
}

/// Reads what follows a backslash.
#[inline]
fn escape(cursor: &mut Cursor<'_>, out: &mut String) -> Result<(), Reason> {
    let Some(letter) = cursor.peek() else { return Err(Reason::UnexpectedEnd) };
    cursor.at += 1;
    out.push(match letter {
        b'\\' => '\\',
        b'"' => '"',
        b'/' => '/',
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => unicode(cursor)?,
        _ => {
            cursor.at -= 1;
            return Err(Reason::BadEscape);
        }
    });
    Ok(())
}

/// Reads the digits of `\u`, and of a second one where a pair of surrogates makes one character.
fn unicode(cursor: &mut Cursor<'_>) -> Result<char, Reason> {
    let first = hex(cursor)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    let after_first = cursor.at;
    if cursor.text.as_bytes()[after_first..].starts_with(b"\\u") {
        cursor.at += 2;
        let second = hex(cursor)?;
        if (0xDC00..0xE000).contains(&second) {
            let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // Not a pair: the second escape stands for itself and is read next.
        cursor.at = after_first;
    }
    Ok(char::REPLACEMENT_CHARACTER)
}

fn hex(cursor: &mut Cursor<'_>) -> Result<u32, Reason> {
    let digits = cursor.text.as_bytes().get(cursor.at..cursor.at + 4).ok_or(Reason::UnexpectedEnd)?;
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16).ok_or(Reason::BadEscape)?;
    }
    cursor.at += 4;
    Ok(value)
}
