//! Owns Sysmon for Linux: events in XML inside the lines of syslog or the journal, whatever stands before them.

use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::linux::{lines::Lines, sources};
use crate::windows::{WindowsRecord, xml_record};
use crate::{Config, Context, Kind, Platform};
use sandsift_sigma::{Event, Value};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Syslog or journal text of Sysmon for Linux.
pub(crate) struct Sysmon;

const KIND: Kind = Kind(Cow::Borrowed("sysmon.linux"));
const CHANNEL: &str = "Linux-Sysmon/Operational";
/// Bytes in which the first event has to stand; the journal opens with lines about the service.
const LOOK: usize = 256 << 10;

impl Decoder for Sysmon {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let start = &head.content()[..head.content().len().min(LOOK)];
        // Inside JSON the XML's quotes are escaped: that is for the decoders of JSON.
        (!start.starts_with(b"{") && memchr::memmem::find(start, b"<Provider Name=\"Linux-Sysmon\"").is_some())
            .then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "sysmon.linux" | "sysmon.data" | "sysmon.syslog")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        out.platform(Platform::Linux);
        let depth = out.limits().depth as usize;
        let mut reader = Reader { record: WindowsRecord::default(), event: Event::new(), depth };
        for line in Lines::new(input.bytes, out.limits().record_bytes) {
            let flow = match line.text() {
                Err(problem) => skip(out, problem.code(), problem.to_string()),
                Ok(text) => reader.line(&text, line.number, out),
            };
            if flow.is_break() {
                return;
            }
        }
    }
}

fn skip(out: &mut Emitter<'_>, code: &'static str, detail: String) -> ControlFlow<()> {
    out.begin()?;
    out.skip(code, || detail);
    ControlFlow::Continue(())
}

struct Reader {
    record: WindowsRecord,
    event: Event,
    depth: usize,
}

impl Reader {
    /// Reads the events of one line; one without any is counted as such.
    fn line(&mut self, text: &str, number: u64, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let mut rest = text;
        let mut found = false;
        while let Some(start) = rest.find("<Event>") {
            found = true;
            let event = &rest[start..];
            let Some(end) = event.find("</Event>").map(|end| end + "</Event>".len()) else {
                return skip(out, "record-unreadable", format!("line {number}: an <Event> has no end"));
            };
            out.begin()?;
            self.record.clear();
            match xml_record(&event[..end], self.depth, &mut self.record) {
                Ok(()) => self.emit(number, out)?,
                Err(problem) => out.skip("record-unreadable", || format!("line {number}: {problem}")),
            }
            rest = &event[end..];
        }
        if found { ControlFlow::Continue(()) } else { skip(out, "line-without-event", format!("line {number}")) }
    }

    fn emit(&mut self, number: u64, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let raw = self.record.event();
        let id = match raw.get("EventID") {
            Some(Value::Int(id)) => u32::try_from(id).unwrap_or(0),
            _ => 0,
        };
        let (mut record_id, mut time) = (None, None);
        self.event.clear();
        for (name, value) in raw.iter() {
            let Value::Str(text) = value else {
                self.event.push(name, value);
                continue;
            };
            match name {
                "EventRecordID" => record_id = text.parse().ok(),
                "TimeCreated_SystemTime" => time = crate::linux::time::parse(text),
                _ => {}
            }
            if absent(text) {
                continue;
            }
            let text = if is_image(name) { text.strip_suffix(" (deleted)").unwrap_or(text) } else { text };
            self.event.push_str(name, text);
        }
        self.event.set_time(time);
        self.event.set_source(sources::sysmon(id));
        let place =
            Place { channel: Some(CHANNEL), id: record_id.or(Some(number)), context: Context::Whole, partial: false };
        out.emit(&self.event, &place)
    }
}

/// What Sysmon for Linux writes where it has nothing to say.
fn absent(text: &str) -> bool {
    matches!(text, "" | "-" | "(null)" | "<unknown process>")
}

fn is_image(name: &str) -> bool {
    matches!(name, "Image" | "ParentImage" | "SourceImage" | "TargetImage")
}
