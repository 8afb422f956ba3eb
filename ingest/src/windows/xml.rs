//! Owns event logs as XML, as `wevtutil` and the like write them: `<Event>` after `<Event>`, in a list or not, in any
//! order, in any encoding. Each event is cut out and read by itself, so that a damaged one costs itself alone.

use super::record::WindowsRecord;
use super::text;
use crate::decode::{Decoder, Emitter, Head, Input, Repeats};
use crate::{Config, Kind};
use memchr::memmem;
use quick_xml::events::{BytesRef, BytesStart, Event as Token};
use quick_xml::{Reader, XmlVersion};
use sandsift_sigma::Value;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// XML of Windows event logs.
pub(crate) struct EventXml;

const KIND: Kind = Kind(Cow::Borrowed("evtx.xml"));

impl Decoder for EventXml {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let start = &head.bytes()[..head.bytes().len().min(8 << 10)];
        let start = text::to_utf8(start);
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
        (start.starts_with(b"<") && next_start(start, 0).is_some() && memmem::find(start, b"Linux-Sysmon").is_none())
            .then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "evtx.xml" | "sysmon.xml" | "xml")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let content = text::to_utf8(input.bytes);
        let mut record = WindowsRecord::default();
        let mut ends = memmem::find_iter(&content, b"</Event>").map(|n| n + b"</Event>".len()).peekable();
        let mut start = next_start(&content, 0);
        while let Some(at) = start {
            // Both searches only move on, so that a content of starts alone costs one pass.
            while ends.next_if(|end| *end <= at).is_some() {}
            let end = ends.peek().copied();
            start = next_start(&content, at + 1);
            // Another event before this one's end: this one was cut.
            let cut = start.filter(|next| end.is_none_or(|end| *next < end));
            let stop = cut.or(end).unwrap_or(content.len());
            let whole = cut.is_none() && end.is_some();
            if read_one(&content[at..stop], whole, &mut record, out).is_break() {
                return;
            }
        }
    }
}

/// Where the next `<Event>` starts; `<Events>` and `<EventData>` are other elements.
fn next_start(content: &[u8], from: usize) -> Option<usize> {
    let content = content.get(from..)?;
    memmem::find_iter(content, b"<Event")
        .find(|n| matches!(content.get(n + b"<Event".len()), Some(b'>' | b' ' | b'\t' | b'\r' | b'\n')))
        .map(|n| from + n)
}

fn read_one(bytes: &[u8], whole: bool, record: &mut WindowsRecord, out: &mut Emitter<'_>) -> ControlFlow<()> {
    let limit = out.limits().record_bytes;
    let problem = if bytes.len() as u64 > limit {
        Some(("record-bytes", format!("a record has {} bytes, more than {limit} (limits.record_bytes)", bytes.len())))
    } else if !whole {
        Some(("record-unreadable", "an <Event> has no end".to_owned()))
    } else {
        let text = text::decode(bytes);
        record.clear();
        match fill(&text, out.limits().depth as usize, record) {
            Ok(()) => None,
            Err(problem) => Some(("record-unreadable", problem)),
        }
    };
    match problem {
        None => record.finish(Repeats::Drop, out),
        Some((code, detail)) => {
            out.begin()?;
            out.skip(code, || detail);
            ControlFlow::Continue(())
        }
    }
}

/// What part of the event a path of elements leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    System,
    EventData,
    /// `UserData` and what is like it: a wrapper element, then fields.
    UserData,
    Rendering,
    Other,
}

/// One open element below a part.
struct Open {
    /// The path's length outside it.
    outside: usize,
    /// Whether an element stood in it: then its own text is only white space between them.
    parent: bool,
}

/// Reads one `<Event>…</Event>` into `record`; an error says what is wrong with it.
pub(crate) fn fill(text: &str, depth: usize, record: &mut WindowsRecord) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut walk =
        Walk { part: Part::Other, level: 0, path: String::new(), open: Vec::new(), text: String::new(), record };
    loop {
        match reader.read_event().map_err(|e| format!("at byte {}: {e}", reader.error_position()))? {
            Token::Start(start) => {
                if walk.level >= depth {
                    return Err(format!("elements nest deeper than {depth} (limits.depth)"));
                }
                walk.start(&start)?;
            }
            Token::Empty(start) => {
                walk.start(&start)?;
                walk.end();
            }
            Token::End(_) => walk.end(),
            Token::Text(text) => walk.text.push_str(&text),
            Token::CData(text) => walk.text.push_str(&text),
            Token::GeneralRef(reference) => walk.reference(&reference),
            Token::Eof => break,
            _ => {}
        }
    }
    if walk.level == 0 { Ok(()) } else { Err("the record ends inside an element".to_owned()) }
}

struct Walk<'w> {
    part: Part,
    /// Open elements: 1 inside `<Event>`, 2 inside a part.
    level: usize,
    /// The field's name so far: an element of `System`, a `Data`'s name, a dotted path in `UserData`.
    path: String,
    open: Vec<Open>,
    text: String,
    record: &'w mut WindowsRecord,
}

impl Walk<'_> {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        self.level += 1;
        self.text.clear();
        let name = start.local_name();
        let name = name.as_ref();
        if self.level == 2 {
            self.part = match name {
                "System" => Part::System,
                "EventData" => Part::EventData,
                "UserData" => Part::UserData,
                "ProcessingErrorData" | "DebugData" | "BinaryEventData" => Part::EventData,
                "RenderingInfo" => Part::Rendering,
                _ => Part::Other,
            };
            return Ok(());
        }
        if self.level < 3 {
            return Ok(());
        }
        if let Some(parent) = self.open.last_mut() {
            parent.parent = true;
        }
        let outside = self.path.len();
        self.open.push(Open { outside, parent: false });
        // The wrapper in `UserData` names the event, not a field.
        let wrapper = self.part == Part::UserData && self.level == 3;
        let mut named = None;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| format!("attribute of <{name}>: {e}"))?;
            let key = attribute.key.as_ref();
            if key.starts_with("xmlns") {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|e| format!("attribute of <{name}>: {e}"))?
                .into_owned();
            match self.part {
                Part::System => self.record.system(&format!("{name}_{key}"), Value::Str(&value)),
                Part::EventData | Part::UserData if key == "Name" && !wrapper => named = Some(value),
                _ => {}
            }
        }
        if !wrapper {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            let data = self.part == Part::EventData && self.level == 3 && name == "Data";
            match named {
                Some(named) => self.path.push_str(&named),
                None if data => {}
                None => self.path.push_str(name),
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.level = self.level.saturating_sub(1);
        let Some(open) = self.open.pop() else {
            // White space between the parts.
            self.text.clear();
            return;
        };
        if !open.parent {
            let value = Value::Str(&self.text);
            match self.part {
                Part::System if self.text.is_empty() => {}
                Part::System => self.record.system(&self.path, value),
                Part::EventData | Part::UserData if self.path.is_empty() => {
                    // A wrapper without fields holds no value either, nor does a lone `<Data/>`.
                    if self.part == Part::EventData && !self.text.is_empty() {
                        self.record.unnamed(value);
                    }
                }
                Part::EventData | Part::UserData => self.record.data(&self.path, value),
                Part::Rendering if self.path == "Message" => self.record.system("Message", value),
                Part::Rendering | Part::Other => {}
            }
        }
        self.path.truncate(open.outside);
        self.text.clear();
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        if let Ok(Some(character)) = reference.resolve_char_ref() {
            self.text.push(character);
            return;
        }
        match &**reference {
            "lt" => self.text.push('<'),
            "gt" => self.text.push('>'),
            "amp" => self.text.push('&'),
            "quot" => self.text.push('"'),
            "apos" => self.text.push('\''),
            // An entity that no document type declares stays as it was written.
            other => self.text.extend(["&", other, ";"]),
        }
    }
}
