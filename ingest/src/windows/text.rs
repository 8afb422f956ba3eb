//! Owns texts of unsure encoding: exports of event logs come in UTF-8, UTF-16 and code pages, with and without marks.

use std::borrow::Cow;

/// Gives a content as UTF-8 as far as it says or shows that it is UTF-16; anything else stays as it is.
pub(crate) fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let big = match bytes {
        [0xff, 0xfe, ..] | [b'<' | b'{' | b'[', 0, ..] => false,
        [0xfe, 0xff, ..] | [0, b'<' | b'{' | b'[', ..] => true,
        _ => return Cow::Borrowed(bytes),
    };
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    });
    let mut text = String::with_capacity(bytes.len() / 2);
    let characters = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    text.extend(characters.skip_while(|c| *c == '\u{feff}'));
    Cow::Owned(text.into_bytes())
}

/// Gives a piece of text as UTF-8; what is not is read as Windows-1252, which has a character for every byte.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|b| windows_1252(*b)).collect()),
    }
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_read_by_its_mark_or_by_its_look() {
        let le: Vec<u8> = "<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = "\u{feff}<a>é</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(&*to_utf8(&le), "<a>é</a>".as_bytes());
        assert_eq!(&*to_utf8(&be), "<a>é</a>".as_bytes());
        assert_eq!(&*to_utf8(b"<a>"), b"<a>");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_read_by_the_western_code_page() {
        assert_eq!(decode(b"caf\xe9 \x80"), "café €");
        assert_eq!(decode("café".as_bytes()), "café");
    }
}
