//! Owns one chunk of an event log: finds its records, past damage too, and hands each to the reader of fields.

use super::cursor::Cursor;
use super::record::{Fields, Problem};
use super::second;
use crate::decode::Emitter;
use crate::decode::Repeats;
use crate::windows::WindowsRecord;
use memchr::memmem;
use std::ops::ControlFlow;

/// Bytes of a whole chunk.
pub(super) const SIZE: usize = 0x1_0000;
/// Bytes of a chunk's header with its tables.
const HEADER: usize = 512;
/// Bytes before a record's BinXML.
const RECORD_HEADER: usize = 24;
const MAGIC: &[u8] = b"\x2a\x2a\0\0";

/// Reads the records of a chunk, which may be cut; `at` is its offset in the file, for messages.
pub(super) fn read(chunk: &[u8], at: usize, record: &mut WindowsRecord, out: &mut Emitter<'_>) -> ControlFlow<()> {
    let mut header = Cursor::new(chunk, 8, chunk.len());
    let (first, last) = (header.u64().unwrap_or(0), header.u64().unwrap_or(0));
    let free = Cursor::new(chunk, 48, chunk.len()).u32().map_or(0, |n| n as usize);
    let cut = chunk.len() < SIZE && free > chunk.len();
    // Behind the free space lie records of an earlier use of the chunk.
    let live = if (HEADER..=chunk.len()).contains(&free) { free } else { chunk.len() };
    let mut fields = Fields::new(chunk);
    let mut unusual = Vec::new();
    let mut seen = 0u64;
    let mut offset = HEADER;
    while let Some(end) = next(chunk, &mut offset, live, at, out) {
        seen += 1;
        let start = offset;
        offset = end;
        record.clear();
        match fields.read(start + RECORD_HEADER, end - 4, record) {
            Ok(()) => record.finish(Repeats::Drop, out)?,
            Err(Problem::Unusual) => unusual.push(start),
            Err(Problem::Excessive) => {
                out.begin()?;
                out.skip("chunk-budget", || format!("the records of the chunk at byte {at} expand beyond reason"));
            }
        }
    }
    if cut {
        // The header tells how many records there were.
        let lost = last.wrapping_sub(first).wrapping_add(1).saturating_sub(seen);
        let lost = if lost <= SIZE as u64 / 32 { lost.max(1) } else { 1 };
        out.lost_many("chunk-truncated", lost, || format!("the file ends inside the chunk at byte {at}"));
    }
    second::read(chunk, at, &unusual, record, out)
}

/// Finds the next record at or after `offset` and where it ends; moves `offset` to its start. Damage before it is
/// counted once.
fn next(chunk: &[u8], offset: &mut usize, live: usize, at: usize, out: &mut Emitter<'_>) -> Option<usize> {
    if let Some(end) = record_end(chunk, *offset, live) {
        return Some(end);
    }
    let damaged = *offset;
    let rest = chunk.get(damaged..live)?;
    let found = memmem::find_iter(rest, MAGIC).map(|n| damaged + n).find_map(|start| {
        let end = record_end(chunk, start, live)?;
        // What stands in the middle of damage must look like a record at both ends.
        let copy = Cursor::new(chunk, end - 4, end).u32()? as usize;
        (copy == end - start).then_some((start, end))
    });
    // Zeros up to the end are free space that the header does not know of; a cut chunk is counted as such.
    let blank = rest.iter().all(|b| *b == 0) || (found.is_none() && chunk.len() < SIZE);
    if !blank {
        out.lost("record-unreadable", || format!("the chunk at byte {at} is damaged at byte {damaged} of it"));
    }
    let (start, end) = found?;
    *offset = start;
    Some(end)
}

/// Where the record at an offset ends, if there is one.
fn record_end(chunk: &[u8], offset: usize, live: usize) -> Option<usize> {
    let mut cursor = Cursor::new(chunk, offset, live);
    if cursor.take(4)? != MAGIC {
        return None;
    }
    let size = cursor.u32()? as usize;
    let end = offset.checked_add(size)?;
    (size >= RECORD_HEADER + 4 && end <= live).then_some(end)
}
