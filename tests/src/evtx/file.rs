//! Owns the file: its header and the row of chunks.

use super::chunk::{self, Chunk};
use super::record::Record;
use super::template::Template;
use super::value::{FileTime, Value};
use std::io::{self, Cursor, Seek, SeekFrom, Write};

const HEADER_BLOCK: usize = 4096;

/// Why a log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The record is larger than an empty chunk.
    #[error("record {number} is larger than a chunk of 64 KiB; give it less data")]
    TooLarge {
        /// The record's number in the file.
        number: u64,
    },
    /// The header counts chunks with 16 bits.
    #[error("a log has at most 65535 chunks; write several")]
    TooManyChunks,
    /// What is below refused.
    #[error("could not write the log: {0}")]
    Io(#[from] io::Error),
}

/// Writes a log record by record; memory is one chunk, whatever the size of the file.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    chunk: Chunk,
    chunks: u16,
    next: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a log at the beginning of `out`; records are numbered from `first`.
    pub fn new(mut out: W, first: u64) -> Result<Self, WriteError> {
        out.write_all(&[0; HEADER_BLOCK])?;
        Ok(Self { out, chunk: Chunk::new(first), chunks: 0, next: first })
    }

    /// The number that the next record gets.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Adds a record in Windows's usual shape. Without an id of its own it gets its number in the file.
    pub fn push(&mut self, record: &Record) -> Result<(), WriteError> {
        let (template, values) = record.instance(self.next);
        self.push_raw(record.time, &template, &values)
    }

    /// Adds a record of any shape.
    pub fn push_raw(&mut self, written: FileTime, template: &Template, values: &[Value]) -> Result<(), WriteError> {
        let number = self.next;
        if !self.chunk.push(number, written, template, values) {
            if !self.chunk.is_empty() {
                self.flush(number)?;
            }
            self.chunk = Chunk::new(number);
            if !self.chunk.push(number, written, template, values) {
                self.chunk = Chunk::new(number);
                return Err(WriteError::TooLarge { number });
            }
        }
        self.next += 1;
        Ok(())
    }

    /// Ends the chunk in the making, so that the next record opens another one.
    pub fn end_chunk(&mut self) -> Result<(), WriteError> {
        if self.chunk.is_empty() { Ok(()) } else { self.flush(self.next) }
    }

    /// Writes what is left and the header; hands back what was written to.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if !self.chunk.is_empty() || self.chunks == 0 {
            self.flush(self.next)?;
        }
        let mut header = vec![0; HEADER_BLOCK];
        header[..8].copy_from_slice(b"ElfFile\0");
        header[16..24].copy_from_slice(&u64::from(self.chunks - 1).to_le_bytes());
        header[24..32].copy_from_slice(&self.next.to_le_bytes());
        header[32..36].copy_from_slice(&128_u32.to_le_bytes());
        header[36..38].copy_from_slice(&1_u16.to_le_bytes());
        header[38..40].copy_from_slice(&3_u16.to_le_bytes());
        header[40..42].copy_from_slice(&(HEADER_BLOCK as u16).to_le_bytes());
        header[42..44].copy_from_slice(&self.chunks.to_le_bytes());
        let checksum = crc32fast::hash(&header[..120]);
        header[124..128].copy_from_slice(&checksum.to_le_bytes());
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self, next: u64) -> Result<(), WriteError> {
        self.chunks = self.chunks.checked_add(1).ok_or(WriteError::TooManyChunks)?;
        let full = std::mem::replace(&mut self.chunk, Chunk::new(next)).finish();
        debug_assert_eq!(full.len(), chunk::SIZE);
        self.out.write_all(&full)?;
        Ok(())
    }
}

/// Writes a whole log into memory, numbered from 1.
pub fn write_all<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), 1)?;
    for record in records {
        writer.push(record)?;
    }
    Ok(writer.finish()?.into_inner())
}
