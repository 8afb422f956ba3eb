//! Owns reading forward in a chunk: every read is checked against where the content at hand ends.

/// A place in a chunk and the end of what may be read from there.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'c> {
    chunk: &'c [u8],
    at: usize,
    end: usize,
}

impl<'c> Cursor<'c> {
    /// Starts at an offset of the chunk; nothing at or after `end` is read.
    pub(super) fn new(chunk: &'c [u8], at: usize, end: usize) -> Self {
        Self { chunk, at, end: end.min(chunk.len()) }
    }

    /// The whole chunk.
    pub(super) fn chunk(&self) -> &'c [u8] {
        self.chunk
    }

    /// The offset of the next byte in the chunk.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Takes as many bytes, or none of them.
    pub(super) fn take(&mut self, count: usize) -> Option<&'c [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end)?;
        let bytes = self.chunk.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().copied().map(u64::from_le_bytes)
    }
}
