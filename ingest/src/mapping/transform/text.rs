//! Owns the transforms of plain text and of several values at once.

use super::{Around, Val};
use std::borrow::Cow;

type Arguments = [Box<str>];

pub(super) fn lower(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.to_lowercase())
}

pub(super) fn upper(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.to_uppercase())
}

pub(super) fn trim(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.trim().to_owned())
}

pub(super) fn prefix(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(format!("{}{text}", arguments[0]))
}

pub(super) fn suffix(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(format!("{text}{}", arguments[0]))
}

pub(super) fn strip(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    let text = text.strip_prefix(&*arguments[0]).unwrap_or(text);
    Some(text.strip_suffix(&*arguments[0]).unwrap_or(text).to_owned())
}

pub(super) fn replace(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    if arguments[0].is_empty() {
        return Some(text.to_owned());
    }
    Some(text.replace(&*arguments[0], &arguments[1]))
}

pub(super) fn before(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.split_once(&*arguments[0]).map_or(text, |(before, _)| before).to_owned())
}

pub(super) fn after(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    text.split_once(&*arguments[0]).map(|(_, after)| after.to_owned())
}

pub(super) fn after_last(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.rsplit_once(&*arguments[0]).map_or(text, |(_, after)| after).to_owned())
}

pub(super) fn filename(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let name = text.rsplit(['\\', '/']).next().unwrap_or(text);
    (!name.is_empty()).then(|| name.to_owned())
}

pub(super) fn dirname(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    text.rfind(['\\', '/']).map(|end| text[..end].to_owned())
}

pub(super) fn drop(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    (!arguments.iter().any(|a| a.eq_ignore_ascii_case(text))).then(|| text.to_owned())
}

pub(super) fn only(text: &str, arguments: &Arguments, _: &Around<'_>) -> Option<String> {
    arguments.iter().any(|pattern| glob(pattern, text)).then(|| text.to_owned())
}

pub(super) fn boolean(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("true".to_owned()),
        "false" | "no" | "off" | "0" => Some("false".to_owned()),
        _ => None,
    }
}

/// A decimal or hexadecimal number, as far as 128 bits go.
pub(super) fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

pub(super) fn int(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    number(text).map(|n| n.to_string())
}

pub(super) fn hex(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    number(text).filter(|n| *n >= 0).map(|n| format!("0x{n:x}"))
}

pub(super) fn unhex(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() % 2 == 1 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Some(text.to_owned());
    }
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect();
    // auditd puts NUL between the arguments of a title.
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " "))
}

pub(super) fn base64(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    use ::base64::Engine;
    let bytes = ::base64::engine::general_purpose::STANDARD.decode(text.trim());
    Some(bytes.map_or_else(|_| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn unescape(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    Some(text.replace("\\\\", "\\"))
}

/// Message codes of the Security log that stand for a word which rules ask by.
const CODES: &[(&str, &str)] = &[
    ("%%1936", "TokenElevationTypeDefault (1)"),
    ("%%1937", "TokenElevationTypeFull (2)"),
    ("%%1938", "TokenElevationTypeLimited (3)"),
    ("%%1872", "REG_NONE"),
    ("%%1873", "REG_SZ"),
    ("%%1874", "REG_EXPAND_SZ"),
    ("%%1875", "REG_BINARY"),
    ("%%1876", "REG_DWORD"),
    ("%%1879", "REG_MULTI_SZ"),
    ("%%1883", "REG_QWORD"),
    ("%%1904", "New registry value created"),
    ("%%1905", "Existing registry value modified"),
    ("%%1906", "Registry value deleted"),
    ("%%1842", "Yes"),
    ("%%1843", "No"),
    ("%%14592", "Inbound"),
    ("%%14593", "Outbound"),
];

pub(super) fn codes(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let code = text.trim();
    Some(CODES.iter().find(|(known, _)| *known == code).map_or(text, |(_, word)| word).to_owned())
}

pub(super) fn first<'r>(values: Vec<Val<'r>>, _: &Arguments) -> Vec<Val<'r>> {
    values.into_iter().take(1).collect()
}

pub(super) fn last<'r>(mut values: Vec<Val<'r>>, _: &Arguments) -> Vec<Val<'r>> {
    values.pop().into_iter().collect()
}

pub(super) fn unique<'r>(values: Vec<Val<'r>>, _: &Arguments) -> Vec<Val<'r>> {
    let mut seen = rustc_hash::FxHashSet::default();
    values.into_iter().filter(|value| value.text().is_none_or(|text| seen.insert(text.into_owned()))).collect()
}

/// The texts of all values; a list's members count one by one.
pub(super) fn texts<'v>(values: &'v [Val<'_>]) -> Vec<Cow<'v, str>> {
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Val::Node(super::Node::List(items)) => texts.extend(items.iter().filter_map(super::Node::text)),
            other => texts.extend(other.text()),
        }
    }
    texts
}

pub(super) fn join<'r>(values: Vec<Val<'r>>, arguments: &Arguments) -> Vec<Val<'r>> {
    let texts = texts(&values);
    if texts.is_empty() {
        return Vec::new();
    }
    vec![Val::owned(texts.join(arguments.first().map_or(" ", |a| a)))]
}

pub(super) fn split<'r>(values: Vec<Val<'r>>, arguments: &Arguments) -> Vec<Val<'r>> {
    if arguments[0].is_empty() {
        return values;
    }
    let parts = |value: &Val<'r>| -> Vec<Val<'r>> {
        let text = value.text().unwrap_or_default();
        text.split(&*arguments[0]).map(str::trim).filter(|p| !p.is_empty()).map(Val::owned).collect()
    };
    values.iter().flat_map(parts).collect()
}

pub(super) fn keys<'r>(values: Vec<Val<'r>>, _: &Arguments) -> Vec<Val<'r>> {
    let mut keys = Vec::new();
    for value in values {
        if let Val::Node(super::Node::Map(members)) = value {
            keys.extend(members.iter().map(|(key, _)| Val::Text(Cow::Borrowed(&**key))));
        }
    }
    keys
}

/// Whether a text matches a pattern of `*` and `?`, without regard to case; linear but for one step back a star.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t += 1;
            }
            Some(c) if same(*c, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Around<'static> = Around::NOWHERE;

    #[test]
    fn patterns_match_without_regard_to_case() {
        assert!(glob("*-cape", "2.4-CAPE") && glob("a?c*", "ABCdef") && glob("*", ""));
        assert!(!glob("*-cape", "2.4-cuckoo") && !glob("", "x"));
    }

    #[test]
    fn hex_is_decoded_as_auditd_means_it() {
        assert_eq!(unhex("6C73002D6C61", &[], &NOWHERE).as_deref(), Some("ls -la"));
        assert_eq!(unhex("ls", &[], &NOWHERE).as_deref(), Some("ls"));
        assert_eq!(hex("1000", &[], &NOWHERE).as_deref(), Some("0x3e8"));
        assert_eq!(int("0x400", &[], &NOWHERE).as_deref(), Some("1024"));
        assert_eq!(int("many", &[], &NOWHERE), None);
    }

    #[test]
    fn message_codes_are_told_in_words() {
        assert_eq!(codes("%%1936", &[], &NOWHERE).as_deref(), Some("TokenElevationTypeDefault (1)"));
        assert_eq!(codes("%%9", &[], &NOWHERE).as_deref(), Some("%%9"));
    }

    #[test]
    fn lists_are_joined_split_and_made_unique() {
        let values = vec![Val::owned("a"), Val::owned("b"), Val::owned("a")];
        assert_eq!(join(unique(values, &[]), &[", ".into()]), [Val::owned("a, b")]);
        assert_eq!(split(vec![Val::owned("a; b;")], &[";".into()]), [Val::owned("a"), Val::owned("b")]);
    }
}
