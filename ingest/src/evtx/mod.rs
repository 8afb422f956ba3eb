//! Owns the binary event log of Windows (EVTX): chunks and records to fields. What a record means is not known here.

use crate::decode::{Decoder, Emitter, Head, Input};
use crate::windows::{Repeats, WindowsRecord, xml_record};
use crate::{Config, Kind};
use std::borrow::Cow;

/// Event log files.
pub(crate) struct Evtx;

const KIND: Kind = Kind(Cow::Borrowed("evtx"));

impl Decoder for Evtx {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        head.bytes().starts_with(b"ElfFile\0").then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        kind == "evtx"
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        let mut parser = match evtx::EvtxParser::from_buffer(input.bytes.to_vec()) {
            Ok(parser) => parser.with_configuration(evtx::ParserSettings::new().indent(false)),
            Err(error) => {
                out.lost("file-unreadable", || format!("'{}': {error}", input.name));
                return;
            }
        };
        let mut record = WindowsRecord::default();
        for found in parser.records() {
            let text = match found {
                Ok(found) => found,
                Err(error) => {
                    out.lost("record-unreadable", || error.to_string());
                    continue;
                }
            };
            record.clear();
            match xml_record(&text.data, out.limits().depth as usize, &mut record) {
                Ok(()) => {
                    if record.finish(Repeats::Drop, out).is_break() {
                        return;
                    }
                }
                Err(problem) => out.lost("record-unreadable", || problem),
            }
        }
    }
}
