//! Owns the first look at a content: what decoders recognise theirs by. Reads little and keeps less.

use memchr::memchr2;
use rustc_hash::FxHashMap;
use std::cell::OnceCell;

/// Bytes of a document that the look for its keys reads; reports put their telling keys anywhere, but not after this.
const SCAN: usize = 64 << 20;
/// Keys that the look for them keeps.
const KEYS: usize = 4096;
/// How deep the keys are kept.
const KEY_DEPTH: usize = 3;
/// Bytes of a text that is kept beside its key.
const TEXT: usize = 256;

/// A content before anyone reads it.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    bytes: &'a [u8],
    json: OnceCell<Option<JsonHead>>,
}

impl<'a> Head<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, json: OnceCell::new() }
    }

    /// The whole content as it came.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The content after a byte order mark of UTF-8 and white space.
    pub(crate) fn content(&self) -> &'a [u8] {
        self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.bytes).trim_ascii_start()
    }

    /// The first line that is not blank, without its end; at most 64 KiB of it.
    pub(crate) fn first_line(&self) -> &'a [u8] {
        let content = self.content();
        let content = &content[..content.len().min(64 << 10)];
        let end = memchr::memchr(b'\n', content).unwrap_or(content.len());
        content[..end].trim_ascii_end()
    }

    /// The keys of the first JSON value, where the content is JSON or lines of JSON.
    pub(crate) fn json(&self) -> Option<&JsonHead> {
        self.json
            .get_or_init(|| {
                let content = self.content();
                matches!(content.first(), Some(b'{' | b'[')).then(|| JsonHead::scan(content))
            })
            .as_ref()
    }
}

/// The keys of a JSON document's first value down to three levels, under dotted paths; a list counts as its first
/// member.
#[derive(Debug, Default)]
pub(crate) struct JsonHead {
    /// Key paths, and the text under them where it is one and short.
    paths: FxHashMap<String, Option<String>>,
}

impl JsonHead {
    /// Whether there is something under a dotted path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// The short text or the number under a dotted path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.paths.get(path)?.as_deref()
    }

    /// The keys of the first level.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str).filter(|path| !path.contains('.'))
    }

    /// Reads over the first value, keeping keys; what is not JSON ends the look, not the reading.
    fn scan(content: &[u8]) -> Self {
        let mut head = Self::default();
        let content = &content[..content.len().min(SCAN)];
        let mut at = 0;
        // Containers that are open: the length of the path outside, and whether it is an object. Deeper than
        // `KEY_DEPTH` objects only their number is kept.
        let mut open: Vec<(usize, bool, u32)> = Vec::new();
        let mut deeper = 0usize;
        let mut path = String::new();
        let mut key: Option<&[u8]> = None;
        loop {
            let Some(&byte) = content.get(at) else { return head };
            at += 1;
            match byte {
                b'{' | b'[' if deeper > 0 || open.len() > 2 * KEY_DEPTH => deeper += 1,
                b'{' | b'[' => {
                    let outside = path.len();
                    if let Some(key) = key.take() {
                        push_key(&mut path, key);
                        head.keep(&path, None);
                    }
                    open.push((outside, byte == b'{', 0));
                }
                b'}' | b']' if deeper > 0 => deeper -= 1,
                b'}' | b']' => {
                    let Some((outside, ..)) = open.pop() else { return head };
                    path.truncate(outside);
                    if open.is_empty() {
                        return head;
                    }
                }
                b'"' => {
                    let start = at;
                    let Some(end) = string_end(content, at) else { return head };
                    at = end + 1;
                    if deeper > 0 {
                        continue;
                    }
                    let text = &content[start..end];
                    let colon = content[at..].iter().position(|b| !b.is_ascii_whitespace()).map(|n| at + n);
                    let in_object = open.last().is_some_and(|(_, object, _)| *object);
                    if in_object && colon.is_some_and(|c| content[c] == b':') {
                        at = colon.map_or(at, |c| c + 1);
                        key = Some(text);
                    } else if let Some(key) = key.take() {
                        head.scalar(&mut path, &open, key, text);
                    }
                }
                b',' => {
                    // Only the first member of a list is looked at: the rest looks alike.
                    if deeper == 0
                        && let Some((_, false, members)) = open.last_mut()
                    {
                        *members += 1;
                        if open.len() == 1 {
                            return head;
                        }
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
                _ => {
                    let start = at - 1;
                    while content.get(at).is_some_and(|b| !matches!(b, b',' | b'}' | b']') && !b.is_ascii_whitespace())
                    {
                        at += 1;
                    }
                    if let Some(key) = key.take().filter(|_| deeper == 0) {
                        head.scalar(&mut path, &open, key, &content[start..at]);
                    }
                }
            }
        }
    }

    fn scalar(&mut self, path: &mut String, open: &[(usize, bool, u32)], key: &[u8], text: &[u8]) {
        let _ = open;
        let outside = path.len();
        push_key(path, key);
        let text = (text.len() <= TEXT).then(|| String::from_utf8_lossy(text).into_owned());
        self.keep(path, text);
        path.truncate(outside);
    }

    fn keep(&mut self, path: &str, text: Option<String>) {
        let levels = path.bytes().filter(|b| *b == b'.').count() + 1;
        if levels <= KEY_DEPTH && self.paths.len() < KEYS && !self.paths.contains_key(path) {
            self.paths.insert(path.to_owned(), text);
        }
    }
}

fn push_key(path: &mut String, key: &[u8]) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&String::from_utf8_lossy(&key[..key.len().min(TEXT)]));
}

/// Where the string that starts at `at` ends: the index of its closing quote.
fn string_end(content: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr2(b'"', b'\\', content.get(at..)?)?;
        if content[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_under_their_paths_and_lists_count_as_their_first_member() {
        let head = Head::new(b"\xef\xbb\xbf {\"data\": [{\"type\": \"file_behaviour\", \"n\": 3, \"a\\\"b\": {\"c\": {\"d\": 1}}}], \"x\": null}");
        let json = head.json().unwrap();
        assert_eq!(json.text("data.type"), Some("file_behaviour"));
        assert_eq!(json.text("data.n"), Some("3"));
        assert!(json.has("data.a\\\"b.c") && !json.has("data.a\\\"b.c.d") && json.has("x"));
    }

    #[test]
    fn only_the_first_line_of_many_is_looked_at() {
        let head = Head::new(b"{\"a\":1}\n{\"b\":2}\n");
        assert_eq!(head.json().unwrap().keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(head.first_line(), b"{\"a\":1}");
        let list = Head::new(b"[{\"a\":1},{\"b\":2}]");
        assert!(list.json().unwrap().has("a") && !list.json().unwrap().has("b"));
    }

    #[test]
    fn a_bomb_of_brackets_and_a_cut_document_end_the_look() {
        for text in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 18), "{\"a\": \"b".to_owned(), "}".to_owned()] {
            let head = Head::new(text.as_bytes());
            assert!(head.json().is_none_or(|j| j.keys().count() <= 1));
        }
    }
}
