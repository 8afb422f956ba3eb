//! Owns the binary event log of Windows (EVTX): files to chunks to records to fields. What a record means is not known
//! here.
//!
//! The `evtx` crate gives records as text alone, which costs twice what reading them into an event does. So the usual
//! shape of a record, one template for the event and one for its data, is read here, straight into the event; every
//! other goes to the crate, the second reader. Tests hold the two to the same fields.

mod chunk;
mod cursor;
mod record;
mod second;
mod template;
mod value;

use crate::decode::{Decoder, Emitter, Head, Input};
use crate::windows::WindowsRecord;
use crate::{Config, Kind};
use memchr::memmem;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Event log files, one or several after another.
pub(crate) struct Evtx;

const KIND: Kind = Kind(Cow::Borrowed("evtx"));
const FILE: &[u8] = b"ElfFile\0";
const CHUNK: &[u8] = b"ElfChnk\0";
/// Bytes of a file's header.
const FILE_HEADER: usize = 4096;

impl Decoder for Evtx {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        (head.bytes().starts_with(FILE) || head.bytes().starts_with(CHUNK)).then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        kind == "evtx"
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        // Windows alone writes these, also where no record can be read.
        out.platform(crate::Platform::Windows);
        // A `Break` has been noted by the emitter.
        let _ = read(input.bytes, out);
    }
}

/// Reads chunk after chunk, wherever in the file they are: the header's counts are an attacker's word.
fn read(bytes: &[u8], out: &mut Emitter<'_>) -> ControlFlow<()> {
    let mut record = WindowsRecord::default();
    let mut at = 0;
    // Chunks that the file's header promises and that are still to come.
    let mut promised = 0u64;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(FILE) {
            truncated(promised, out);
            promised = rest.get(42..44).map_or(0, |n| u64::from(u16::from_le_bytes([n[0], n[1]])));
            at += FILE_HEADER;
            continue;
        }
        let slot = &rest[..rest.len().min(chunk::SIZE)];
        if slot.starts_with(CHUNK) {
            chunk::read(slot, at, &mut record, out)?;
            promised = promised.saturating_sub(1);
        } else if slot.iter().all(|b| *b == 0) {
            // Logs grow ahead of their records.
            promised = promised.saturating_sub(1);
        } else {
            // Neither: look for the next chunk or file, at whatever offset it is.
            out.lost("chunk-unreadable", || format!("no chunk at byte {at}"));
            promised = promised.saturating_sub(1);
            let starts = |n: &usize| rest[1 + n..].starts_with(FILE) || rest[1 + n..].starts_with(CHUNK);
            match memmem::find_iter(&rest[1..], b"Elf").find(starts) {
                Some(next) => at += 1 + next,
                None => break,
            }
            continue;
        }
        at += slot.len();
    }
    truncated(promised, out);
    ControlFlow::Continue(())
}

/// Counts chunks that are missing at a file's end.
fn truncated(promised: u64, out: &mut Emitter<'_>) {
    if promised > 0 {
        out.lost("file-truncated", || format!("the file ends {promised} chunks early"));
    }
}
