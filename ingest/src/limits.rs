//! Owns the bounds on reading: everything inside an artifact was written by an attacker.

use serde::{Deserialize, Serialize};

/// Bounds on what one completion may make a decoder do; none is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes that an artifact may have, packed or not.
    pub artifact_bytes: u64,
    /// Bytes that all entries of an archive may have together once unpacked.
    pub unpacked_bytes: u64,
    /// How many times larger than its packed form an entry may become.
    pub unpack_ratio: u64,
    /// Entries that an archive may have.
    pub archive_entries: u64,
    /// Records that a completion may have.
    pub records: u64,
    /// Bytes that one record may have.
    pub record_bytes: u64,
    /// Values that one event may have.
    pub event_fields: u32,
    /// How deep a document may nest.
    pub depth: u32,
    /// Processes that the tree of a run may have.
    pub processes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            artifact_bytes: 512 << 20,
            unpacked_bytes: 2 << 30,
            unpack_ratio: 200,
            archive_entries: 10_000,
            records: 10_000_000,
            record_bytes: 16 << 20,
            event_fields: 100_000,
            depth: 128,
            processes: 1_000_000,
        }
    }
}
