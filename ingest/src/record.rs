//! Owns the record: an event with its place in the artifact and the process that caused it.

use sandsift_sigma::Event;
use serde::{Deserialize, Serialize};

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The detonated sample, a descendant of it, or a process that it injected into.
    Sample,
    /// The sandbox's own tooling.
    Sandbox,
    /// The operating system and what it runs by itself.
    Background,
    /// The artifact has nothing to tell by.
    Unknown,
}

/// The process behind an event, to be asked of [`Origins`](crate::Origins) when the run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(pub u32);

/// What a result shows of an event that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// All of it, as for an event log's record.
    Whole,
    /// The values that the rule's logic used, as for a behaviour report.
    Used,
}

/// One event and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The event; valid until the sink returns.
    pub event: &'a Event,
    /// The artifact's index in the completion.
    pub artifact: u32,
    /// The event log's channel.
    pub channel: Option<&'a str>,
    /// The record's number: `System/EventRecordID`, or the line or the place in the document, from 1.
    pub id: Option<u64>,
    /// The process that caused it, where the artifact tells.
    pub actor: Option<Actor>,
    /// What a result shows of it.
    pub context: Context,
    /// Whether the artifact holds only a part of the event, as the contexts of another engine's matches do.
    pub partial: bool,
}
