//! Owns the process tree of a run as it grows: processes, who started whom, who reached into whom, and which process
//! stands behind each event. Keeps everything that may be told later; nothing is judged here.
//!
//! A process is known by its GUID, else by pid and time. Events come in any order (`wevtutil` writes the newest first)
//! and a pid is used again, so a pid is not resolved before all was read. Memory is bounded: processes, actors and edges
//! each by `limits.processes`, texts by [`TEXT_BYTES`].

use super::sight::{Fact, Id, Sight, Subject};
use std::collections::HashMap;

/// Bytes of image paths and command lines that a tree keeps; later processes go without.
const TEXT_BYTES: usize = 64 << 20;
/// Bytes of one path or command line that are kept.
const ONE_TEXT_BYTES: usize = 8 << 10;
/// How often one process may change its looks before further ones are ignored.
const FACES: usize = 8;

/// How many processes of one pid are looked at where all would take quadratic time.
const LOOK_BACK: usize = 16;

/// A nanosecond clock's second.
pub(super) const SECOND: i64 = 1_000_000_000;

/// A process: by its index where a GUID tells, else by pid, to be resolved by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Process(u32),
    Pid(u32),
}

/// How a process looked at one time; `exec` changes it.
#[derive(Debug, Default)]
pub(super) struct Face {
    pub image: Option<Box<str>>,
    pub command_line: Option<Box<str>>,
}

/// A process's parent, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    Unknown,
    Known { who: Who, at: Option<i64> },
}

#[derive(Debug)]
pub(super) struct Process {
    pub pid: Option<u32>,
    pub has_guid: bool,
    /// The artifact that showed it first.
    pub artifact: u32,
    /// When it was started: by the event of its start, else by its GUID.
    pub started: Option<i64>,
    /// Whether the event of its start was seen.
    pub start_seen: bool,
    pub ended: Option<i64>,
    /// The earliest event that it caused.
    pub first: Option<i64>,
    pub parent: Parent,
    pub parent_pid: Option<u32>,
    pub faces: Vec<Face>,
    pub sha256: Option<[u8; 32]>,
    open: Option<u32>,
}

/// A span of events of one process, which share an actor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub who: Who,
    /// The span's ends; absent where its events bear no time.
    pub span: Option<(i64, i64)>,
    /// The last process that was known under this pid when the span began.
    pub latest: u32,
}

/// One process made another run its code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Injection {
    pub from: Who,
    pub to: Who,
    pub at: Option<i64>,
}

/// A process wrote a file, by the hash of its folded path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub path: u64,
    pub by: Who,
    pub at: Option<i64>,
}

/// All processes that had one pid, in the order of their discovery.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub processes: Vec<u32>,
    open: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Tree {
    pub processes: Vec<Process>,
    pub by_pid: HashMap<u32, Slot>,
    pub seen: Vec<Seen>,
    pub injections: Vec<Injection>,
    pub writes: Vec<Write>,
    /// Processes that loaded the sample as a module.
    pub loads: Vec<(Who, Option<i64>)>,
    /// What had no room: processes, actors, edges.
    pub overflow: u64,
    by_guid: HashMap<Box<str>, u32>,
    limit: usize,
    text_left: usize,
    guid_buffer: String,
}

impl Tree {
    pub fn new(limit: u32) -> Self {
        Self {
            processes: Vec::new(),
            by_pid: HashMap::new(),
            seen: Vec::new(),
            injections: Vec::new(),
            writes: Vec::new(),
            loads: Vec::new(),
            overflow: 0,
            by_guid: HashMap::new(),
            limit: limit.max(1) as usize,
            text_left: TEXT_BYTES,
            guid_buffer: String::new(),
        }
    }

    /// Takes in one event; the actor behind it, where one is named.
    pub fn observe(&mut self, sight: &Sight<'_>, artifact: u32, sample: Option<&[u8; 32]>) -> Option<u32> {
        let at = sight.time;
        let who = match sight.fact {
            Fact::Started { sha256 } => self.start(sight, sha256, artifact)?,
            _ => {
                let who = self.refer(sight.subject, at, artifact)?;
                self.adopt(who, sight.parent, at, artifact);
                who
            }
        };
        match sight.fact {
            Fact::Other | Fact::Started { .. } => {}
            Fact::Ended => self.end(who, at),
            Fact::Injected { target } => {
                if let Some(to) = self.refer(target, at, artifact)
                    && to != who
                {
                    self.close(to);
                    if self.injections.len() < self.limit {
                        self.injections.push(Injection { from: who, to, at });
                    } else {
                        self.overflow += 1;
                    }
                }
            }
            Fact::Wrote { path } => {
                if self.writes.len() < self.limit {
                    self.writes.push(Write { path: path_hash(path), by: who, at });
                } else {
                    self.overflow += 1;
                }
            }
            Fact::Loaded { sha256 } => {
                if sample.is_some() && sha256.as_ref() == sample && self.loads.len() < self.limit {
                    self.close(who);
                    self.loads.push((who, at));
                }
            }
        }
        self.actor(who, at)
    }

    /// The process that an event names, made if it is new.
    fn refer(&mut self, subject: Subject<'_>, at: Option<i64>, artifact: u32) -> Option<Who> {
        if let Some(guid) = subject.id.guid {
            let process = self.by_guid(guid, subject.id.pid, at, artifact)?;
            self.face(process, subject);
            self.processes[process as usize].sight(at);
            return Some(Who::Process(process));
        }
        let pid = subject.id.pid?;
        if self.by_pid.get(&pid).is_none_or(|slot| slot.processes.is_empty()) {
            let process = self.add(Some(pid), artifact)?;
            self.face(process, subject);
        }
        if let Some(slot) = self.by_pid.get(&pid)
            && let [only] = slot.processes[..]
        {
            let process = &mut self.processes[only as usize];
            process.sight(at);
            if process.faces.is_empty() {
                self.face(only, subject);
            }
        }
        Some(Who::Pid(pid))
    }

    fn start(&mut self, sight: &Sight<'_>, sha256: Option<[u8; 32]>, artifact: u32) -> Option<Who> {
        let (subject, parent) = (sight.subject, sight.parent);
        let at = sight.time;
        let parent_who = self.refer(parent, at, artifact);
        let index = match (subject.id.guid, subject.id.pid) {
            (Some(guid), pid) => self.by_guid(guid, pid, at, artifact)?,
            (None, Some(pid)) => match self.same_process(pid, sight, parent.id, artifact) {
                Some(index) => index,
                None => {
                    self.close(Who::Pid(pid));
                    self.add(Some(pid), artifact)?
                }
            },
            (None, None) => return None,
        };
        self.face(index, subject);
        let process = &mut self.processes[index as usize];
        process.sight(at);
        if !process.start_seen {
            process.start_seen = true;
            process.started = at.or(process.started);
            process.sha256 = sha256;
        }
        if process.parent == Parent::Unknown
            && let Some(who) = parent_who
            && who != Who::Process(index)
        {
            process.parent = Parent::Known { who, at };
            process.parent_pid = parent.id.pid;
        }
        if let Who::Pid(_) = parent_who.unwrap_or(Who::Process(index)) {
            // A pid's events before and after this start may be of two processes.
            self.processes[index as usize].open = None;
        }
        Some(Who::Process(index))
    }

    /// Notes the parent that an event other than a start names, for a process whose start was not seen: a child that
    /// was forked and never ran another image.
    fn adopt(&mut self, who: Who, parent: Subject<'_>, at: Option<i64>, artifact: u32) {
        if !parent.id.is_some() {
            return;
        }
        let index = match who {
            Who::Process(index) => index,
            Who::Pid(pid) => match self.by_pid.get(&pid).map(|slot| &slot.processes[..]) {
                Some([only]) => *only,
                _ => return,
            },
        };
        let process = &self.processes[index as usize];
        if process.start_seen || process.parent != Parent::Unknown {
            return;
        }
        if let Some(parent_who) = self.refer(parent, at, artifact)
            && parent_who != Who::Process(index)
        {
            let process = &mut self.processes[index as usize];
            process.parent = Parent::Known { who: parent_who, at };
            process.parent_pid = parent.id.pid;
        }
    }

    /// The process that the start of a pid is told of once more: on Unix `exec` in a process that runs, elsewhere the
    /// very same start from a second record.
    fn same_process(&self, pid: u32, sight: &Sight<'_>, parent: Id<'_>, artifact: u32) -> Option<u32> {
        let last = *self.by_pid.get(&pid)?.processes.last()?;
        let process = &self.processes[last as usize];
        if process.has_guid || process.artifact != artifact || process.ended.is_some() {
            return None;
        }
        if sight.unix {
            let orphaned = parent.pid.is_none_or(|pid| pid <= 1);
            let same_parent = process.parent == Parent::Unknown || process.parent_pid == parent.pid;
            return (orphaned || same_parent).then_some(last);
        }
        let same = process.start_seen
            && process.started == sight.time
            && process.faces.iter().any(|face| face.image.as_deref() == sight.subject.image);
        same.then_some(last)
    }

    fn end(&mut self, who: Who, at: Option<i64>) {
        let index = match who {
            Who::Process(index) => Some(index),
            Who::Pid(pid) => self.by_pid.get(&pid).and_then(|slot| {
                slot.processes.iter().rev().take(LOOK_BACK).copied().find(|&index| {
                    let process = &self.processes[index as usize];
                    process.started.is_none() || at.is_none() || process.started <= at
                })
            }),
        };
        if let Some(index) = index {
            let process = &mut self.processes[index as usize];
            // Without a time the order of reading is all there is; the end is then told by any number.
            process.ended = Some(at.unwrap_or(i64::MAX));
        }
    }

    fn by_guid(&mut self, guid: &str, pid: Option<u32>, at: Option<i64>, artifact: u32) -> Option<u32> {
        self.guid_buffer.clear();
        self.guid_buffer.extend(guid.chars().filter(|c| !matches!(c, '{' | '}')).map(|c| c.to_ascii_lowercase()));
        if let Some(&index) = self.by_guid.get(self.guid_buffer.as_str()) {
            if let (Some(pid), None) = (pid, self.processes[index as usize].pid) {
                self.processes[index as usize].pid = Some(pid);
                self.by_pid.entry(pid).or_default().processes.push(index);
            }
            return Some(index);
        }
        let index = self.add(pid, artifact)?;
        let process = &mut self.processes[index as usize];
        process.has_guid = true;
        process.started = sysmon_start(&self.guid_buffer, at);
        self.by_guid.insert(self.guid_buffer.as_str().into(), index);
        Some(index)
    }

    fn add(&mut self, pid: Option<u32>, artifact: u32) -> Option<u32> {
        if self.processes.len() >= self.limit {
            self.overflow += 1;
            return None;
        }
        let index = u32::try_from(self.processes.len()).ok()?;
        self.processes.push(Process {
            pid,
            has_guid: false,
            artifact,
            started: None,
            start_seen: false,
            ended: None,
            first: None,
            parent: Parent::Unknown,
            parent_pid: None,
            faces: Vec::new(),
            sha256: None,
            open: None,
        });
        if let Some(pid) = pid {
            self.by_pid.entry(pid).or_default().processes.push(index);
        }
        Some(index)
    }

    /// Remembers how a process looks, if it never looked so before.
    fn face(&mut self, index: u32, subject: Subject<'_>) {
        let process = &mut self.processes[index as usize];
        if subject.image.is_none() && subject.command_line.is_none() {
            return;
        }
        for face in &mut process.faces {
            let same = |known: &Option<Box<str>>, new: Option<&str>| match (known.as_deref(), new) {
                (Some(known), Some(new)) => known.eq_ignore_ascii_case(cut(new)),
                _ => true,
            };
            if same(&face.image, subject.image) && same(&face.command_line, subject.command_line) {
                let left = &mut self.text_left;
                if face.image.is_none() {
                    face.image = subject.image.and_then(|text| keep(text, left));
                }
                if face.command_line.is_none() {
                    face.command_line = subject.command_line.and_then(|text| keep(text, left));
                }
                return;
            }
        }
        if process.faces.len() < FACES {
            let left = &mut self.text_left;
            let image = subject.image.and_then(|text| keep(text, left));
            let command_line = subject.command_line.and_then(|text| keep(text, left));
            process.faces.push(Face { image, command_line });
        }
    }

    /// Ends the span of events that share an actor: what comes later may have another origin.
    fn close(&mut self, who: Who) {
        match who {
            Who::Process(index) => {
                let process = &mut self.processes[index as usize];
                process.open = None;
                if let Some(slot) = process.pid.and_then(|pid| self.by_pid.get_mut(&pid)) {
                    slot.open = None;
                }
            }
            Who::Pid(pid) => {
                if let Some(slot) = self.by_pid.get_mut(&pid) {
                    slot.open = None;
                    // Bounded, since a hostile log starts one pid a million times; a span that should have ended is
                    // judged as the sample's.
                    for &index in slot.processes.iter().rev().take(LOOK_BACK) {
                        self.processes[index as usize].open = None;
                    }
                }
            }
        }
    }

    /// The actor of an event: one for each span of events of a process, for a pid one each second.
    fn actor(&mut self, who: Who, at: Option<i64>) -> Option<u32> {
        let open = match who {
            Who::Process(index) => self.processes[index as usize].open,
            Who::Pid(pid) => self.by_pid.get(&pid).and_then(|slot| slot.open),
        };
        let full = self.seen.len() >= self.limit.saturating_mul(2);
        if let Some(actor) = open {
            let seen = &mut self.seen[actor as usize];
            let fits = match (seen.span, at, who) {
                (None, None, _) => true,
                (Some(_), Some(_), Who::Process(_)) => true,
                (Some((first, _)), Some(at), Who::Pid(_)) => first.div_euclid(SECOND) == at.div_euclid(SECOND),
                _ => false,
            };
            if fits || full {
                seen.span = match (seen.span, at) {
                    (Some((first, last)), Some(at)) => Some((first.min(at), last.max(at))),
                    _ => None,
                };
                return Some(actor);
            }
        }
        if full {
            self.overflow += 1;
            return None;
        }
        let actor = u32::try_from(self.seen.len()).ok()?;
        let latest = match who {
            Who::Process(index) => index,
            Who::Pid(pid) => self.by_pid.get(&pid).and_then(|slot| slot.processes.last().copied())?,
        };
        self.seen.push(Seen { who, span: at.map(|at| (at, at)), latest });
        match who {
            Who::Process(index) => self.processes[index as usize].open = Some(actor),
            Who::Pid(pid) => self.by_pid.entry(pid).or_default().open = Some(actor),
        }
        Some(actor)
    }
}

impl Process {
    fn sight(&mut self, at: Option<i64>) {
        self.first = match (self.first, at) {
            (Some(first), Some(at)) => Some(first.min(at)),
            (first, at) => first.or(at),
        };
    }

    /// When it was there for the first time, as far as known.
    pub fn earliest(&self) -> Option<i64> {
        self.started.or(self.first)
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(ONE_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn keep(text: &str, left: &mut usize) -> Option<Box<str>> {
    let text = cut(text);
    *left = left.checked_sub(text.len())?;
    Some(text.into())
}

/// A hash of a path that does not tell case or the direction of slashes apart.
pub(super) fn path_hash(path: &str) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    for c in path.chars().flat_map(char::to_lowercase) {
        (if c == '/' { '\\' } else { c }).hash(&mut hasher);
    }
    hasher.finish()
}

/// When a process was started, out of the second and third group of Sysmon's GUID, which hold Unix seconds; `None` where
/// this makes no sense beside the time of the event.
fn sysmon_start(guid: &str, at: Option<i64>) -> Option<i64> {
    const LONGEST_UPTIME: i64 = 400 * 24 * 60 * 60;
    let mut groups = guid.split('-');
    let (low, high) = (groups.nth(1)?, groups.next()?);
    if low.len() != 4 || high.len() != 4 {
        return None;
    }
    let seconds = i64::from(u32::from_str_radix(high, 16).ok()? << 16 | u32::from_str_radix(low, 16).ok()?);
    let age = at?.div_euclid(SECOND) - seconds;
    (-5..=LONGEST_UPTIME).contains(&age).then_some(seconds * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysmon_guid_tells_when_its_process_was_started() {
        let at = Some(1_763_739_600 * SECOND);
        assert_eq!(sysmon_start("2a655dbd-87c0-6920-3601-000000006000", at), Some(1_763_739_584 * SECOND));
        assert_eq!(sysmon_start("c9689755-4500-0000-82bb-77d6cd060000", at), None, "another maker's GUID");
        assert_eq!(sysmon_start("2a655dbd-87c0-6920-3601-000000006000", None), None);
        assert_eq!(sysmon_start("x-\u{e9}\u{e9}-6920", at), None);
    }
}
