//! Owns what leaves a decoder: counts records and events, keeps the limits, drops repeats, asks the origin tracker for
//! the actor and calls the sink. Knows no format.

use crate::origin::Tracker;
use crate::{Artifact, ArtifactReport, Config, Context, Kind, Limits, Platform, Record, RunContext, Skipped};
use rustc_hash::FxHashMap;
use sandsift_sigma::{Event, EventSource};
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where an event stands in its artifact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The event log's channel.
    pub channel: Option<&'a str>,
    /// The record's number in its log, its line or its place in the document, from 1.
    pub id: Option<u64>,
    /// What a result shows of it.
    pub context: Context,
    /// Whether the artifact holds only a part of the event.
    pub partial: bool,
}

/// The records that a run has seen, by their identity, so that a record in several snapshots counts once.
///
/// The hash is keyed, since a sample that could make two records collide could hide one of them. The number of
/// identities is bounded by [`Limits::records`].
#[derive(Debug, Default)]
pub(crate) struct Seen {
    keys: HashSet<u64, AsIs>,
    hasher: RandomState,
}

/// Hands on the 64 bits of a key that is a keyed hash already.
#[derive(Debug, Default, Clone, Copy)]
struct AsIs;

/// See [`AsIs`].
#[derive(Debug, Default, Clone, Copy)]
struct AsIsHasher(u64);

impl BuildHasher for AsIs {
    type Hasher = AsIsHasher;
    fn build_hasher(&self) -> AsIsHasher {
        AsIsHasher(0)
    }
}

impl Hasher for AsIsHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Whether a file may hold a record twice and mean two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// A log's own file: the same record again is a snapshot of it.
    Drop,
    /// Lines that someone wrote, each counting for itself; the same record in another artifact is a repeat all the same.
    Keep,
}

/// What a record of a log is known by: channel and number, and, since a log that was wiped may number anew and two
/// machines number alike, the machine, the event's id and its second. Case does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub channel: &'a str,
    pub number: u64,
    pub machine: &'a str,
    pub event: u32,
    /// Seconds since 1970: formats differ in how much they keep of the rest.
    pub second: i64,
}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (LowerCase(self.channel), self.number, LowerCase(self.machine), self.event, self.second).hash(state);
    }
}

/// Takes a decoder's records; one an artifact.
pub(crate) struct Emitter<'r> {
    config: &'r Arc<Config>,
    context: &'r RunContext,
    artifact: u32,
    report: ArtifactReport,
    seen: &'r mut Seen,
    /// Identities of records that others may repeat, but not this artifact.
    fresh: Vec<u64>,
    tracker: &'r mut Tracker,
    sink: &'r mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    skipped: FxHashMap<&'static str, (u64, String)>,
    notes: FxHashMap<&'static str, (u64, String)>,
    counts: Vec<(Arc<EventSource>, u64)>,
    run_records: &'r mut u64,
    unpacked: u64,
    depth: u32,
    archive: bool,
    stopped: bool,
}

impl<'r> Emitter<'r> {
    pub(crate) fn new(
        config: &'r Arc<Config>,
        context: &'r RunContext,
        artifact: &Artifact<'_>,
        seen: &'r mut Seen,
        tracker: &'r mut Tracker,
        run_records: &'r mut u64,
        sink: &'r mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Self {
        Self {
            config,
            context,
            artifact: artifact.index,
            report: ArtifactReport::default(),
            seen,
            fresh: Vec::new(),
            tracker,
            sink,
            skipped: FxHashMap::default(),
            notes: FxHashMap::default(),
            counts: Vec::new(),
            run_records,
            unpacked: 0,
            depth: 0,
            archive: false,
            stopped: false,
        }
    }

    /// What all runs share.
    pub(crate) fn config(&self) -> &'r Arc<Config> {
        self.config
    }

    /// The bounds on reading.
    pub(crate) fn limits(&self) -> &'r Limits {
        &self.config.limits
    }

    /// The origin tracker, for what an artifact tells of the sample beside its events: its name, its first process.
    pub(crate) fn tracker(&mut self) -> &mut Tracker {
        self.tracker
    }

    /// What is known of the run beside its artifacts.
    pub(crate) fn context(&self) -> &'r RunContext {
        self.context
    }

    /// Notes the kind that was recognised; the outermost that is not a mere wrapper stays.
    pub(crate) fn kind(&mut self, kind: &Kind) {
        self.report.kind.get_or_insert_with(|| kind.clone());
    }

    /// Replaces the kind, where reading told more than the first look.
    pub(crate) fn refine_kind(&mut self, kind: Kind) {
        self.report.kind = Some(kind);
    }

    /// Forgets the kind, so that what lies inside a wrapper names it.
    pub(crate) fn unwrapped(&mut self) {
        self.report.kind = None;
    }

    /// The kind noted so far.
    pub(crate) fn noted_kind(&self) -> Option<&Kind> {
        self.report.kind.as_ref()
    }

    /// Notes the platform that the artifact speaks of; the first stays.
    pub(crate) fn platform(&mut self, platform: Platform) {
        self.report.platform.get_or_insert(platform);
    }

    /// Counts one record as seen. `Break`: the run has had as many as it may, or its reader wants no more.
    pub(crate) fn begin(&mut self) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        if *self.run_records >= self.limits().records {
            self.stopped = true;
            let limit = self.limits().records;
            self.note("limit-records", || format!("reading ended after {limit} records (limits.records)"));
            return ControlFlow::Break(());
        }
        *self.run_records += 1;
        self.report.records += 1;
        ControlFlow::Continue(())
    }

    /// Whether a record of a log is new to this run; where it is not, it is counted as `duplicate-record`. Call it after
    /// [`begin`](Self::begin).
    pub(crate) fn is_new(&mut self, record: &Identity<'_>, repeats: Repeats) -> bool {
        let key = self.seen.hasher.hash_one(record);
        let new = match repeats {
            Repeats::Drop => self.seen.keys.insert(key),
            Repeats::Keep => {
                self.fresh.push(key);
                !self.seen.keys.contains(&key)
            }
        };
        if !new {
            self.skip("duplicate-record", || {
                format!("record {} of '{}' was read before", record.number, record.channel.escape_debug())
            });
        }
        new
    }

    /// Hands an event of the record at hand to the sink.
    pub(crate) fn emit(&mut self, event: &Event, place: &Place<'_>) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        let limit = self.limits().event_fields;
        if event.len() > limit as usize {
            self.skip("event-fields", || {
                format!("an event has {} values, more than {limit} (limits.event_fields)", event.len())
            });
            return ControlFlow::Continue(());
        }
        self.count(event.source());
        let actor = self.tracker.observe(event, self.artifact);
        let record = Record {
            event,
            artifact: self.artifact,
            channel: place.channel,
            id: place.id,
            actor,
            context: place.context,
            partial: place.partial,
        };
        let flow = (self.sink)(&record);
        self.stopped = flow.is_break();
        flow
    }

    /// Counts the record at hand as left out, and why; the first case is kept in words.
    pub(crate) fn skip(&mut self, code: &'static str, detail: impl FnOnce() -> String) {
        self.skipped.entry(code).or_insert_with(|| (0, detail())).0 += 1;
    }

    /// Counts something that could not be read, and of which no one can tell how many records it held, as one record
    /// left out.
    pub(crate) fn lost(&mut self, code: &'static str, detail: impl FnOnce() -> String) {
        self.report.records += 1;
        self.skip(code, detail);
    }

    /// Counts several records as lost at once, where it can be told how many there were.
    pub(crate) fn lost_many(&mut self, code: &'static str, count: u64, detail: impl FnOnce() -> String) {
        self.report.records += count;
        self.skipped.entry(code).or_insert_with(|| (0, detail())).0 += count;
    }

    /// Reports what was noticed without anything being left out by it.
    pub(crate) fn note(&mut self, code: &'static str, detail: impl FnOnce() -> String) {
        self.notes.entry(code).or_insert_with(|| (0, detail())).0 += 1;
    }

    /// Takes bytes that were unpacked off the artifact's allowance; `false` when that is used up.
    pub(crate) fn unpack(&mut self, bytes: u64) -> bool {
        self.unpacked = self.unpacked.saturating_add(bytes);
        self.unpacked <= self.limits().unpacked_bytes
    }

    /// What may still be unpacked of this artifact, in bytes.
    pub(crate) fn unpack_allowance(&self) -> u64 {
        self.limits().unpacked_bytes.saturating_sub(self.unpacked)
    }

    /// Enters a wrapper; `None` when they nest deeper than three, more than any sandbox packs its logs.
    pub(crate) fn enter(&mut self) -> Option<()> {
        if self.depth >= 3 {
            return None;
        }
        self.depth += 1;
        Some(())
    }

    /// Leaves a wrapper.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Enters an archive; `false` inside of another.
    pub(crate) fn enter_archive(&mut self) -> bool {
        !std::mem::replace(&mut self.archive, true)
    }

    /// Leaves an archive.
    pub(crate) fn leave_archive(&mut self) {
        self.archive = false;
    }

    /// Whether reading has ended.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Ends the reading of the artifact.
    pub(crate) fn finish(self) -> ArtifactReport {
        let artifact = self.artifact;
        let listed = |counts: FxHashMap<&'static str, (u64, String)>| {
            let mut list: Vec<Skipped> =
                counts.into_iter().map(|(code, (count, detail))| Skipped { artifact, code, count, detail }).collect();
            list.sort();
            list
        };
        self.seen.keys.extend(self.fresh);
        let mut report = self.report;
        for (source, count) in self.counts {
            *report.events.entry(source.label().to_owned()).or_default() += count;
        }
        report.skipped = listed(self.skipped);
        report.notes = listed(self.notes);
        report
    }

    fn count(&mut self, source: &Arc<EventSource>) {
        // An artifact has few sources and its events come in runs of one.
        match self.counts.iter().rposition(|(s, _)| Arc::ptr_eq(s, source)) {
            Some(at) => self.counts[at].1 += 1,
            None if self.counts.len() < 512 => self.counts.push((Arc::clone(source), 1)),
            None => *self.report.events.entry(source.label().to_owned()).or_default() += 1,
        }
    }
}

/// Hashes a text without regard to ASCII case.
struct LowerCase<'a>(&'a str);

impl Hash for LowerCase<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut buffer = [0u8; 64];
        for chunk in self.0.as_bytes().chunks(64) {
            let part = &mut buffer[..chunk.len()];
            part.copy_from_slice(chunk);
            part.make_ascii_lowercase();
            state.write(part);
        }
        state.write_u8(0xff);
    }
}
