//! Owns the way back: from events to what a run did, in the words of YARA-X's `BehaviourSummary`, which are those of
//! VirusTotal's behaviour reports. For hunting, not for matching; `docs/behaviour.md` has the table.
//!
//! A [`Summary`] sees the events of a run as they are read and keeps each doing once, within bounds; when the origins
//! are known it becomes a [`Behaviour`] of those that are wanted.

mod fold;

#[cfg(test)]
mod tests;

use crate::{Actor, Origin, Origins};
use sandsift_sigma::Event;
use serde::Serialize;
use std::collections::HashMap;

/// Bounds on a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BehaviourLimits {
    /// Entries that one list may have.
    pub entries: usize,
    /// Bytes that all texts may have together.
    pub bytes: usize,
}

impl Default for BehaviourLimits {
    fn default() -> Self {
        Self { entries: 5_000, bytes: 2 << 20 }
    }
}

/// What a run did, without repeats, in the order of reading; an empty list is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // the words are YARA-X's
pub struct Behaviour {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes_created: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes_terminated: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes_injected: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command_executions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_opened: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_written: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_deleted: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_attribute_changed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_copied: Vec<FileCopy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_dropped: Vec<DroppedFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registry_keys_opened: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registry_keys_set: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registry_keys_deleted: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_lookups: Vec<DnsLookup>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_traffic: Vec<IpTraffic>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_conversations: Vec<HttpConversation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules_loaded: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services_created: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services_started: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services_stopped: Vec<String>,
    /// Doings that had no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// A file that was copied or renamed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct FileCopy {
    pub source: String,
    pub destination: String,
}

/// A file that was written, with its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct DroppedFile {
    pub path: String,
    pub sha256: String,
}

/// A registry value that was set; a key that was made has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct KeyValue {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A name that was looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct DnsLookup {
    pub hostname: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolved_ips: Vec<String>,
}

/// A host that was spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct IpTraffic {
    pub destination_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transport_layer_protocol: String,
}

/// A request over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub struct HttpConversation {
    pub url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status_code: Option<u16>,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Doing {
    ProcessCreated(String),
    ProcessTerminated(String),
    ProcessInjected(String),
    Command(String),
    FileOpened(String),
    FileWritten(String),
    FileDeleted(String),
    FileChanged(String),
    FileCopied(FileCopy),
    FileDropped(DroppedFile),
    KeyOpened(String),
    KeySet(KeyValue),
    KeyDeleted(String),
    Lookup(DnsLookup),
    Traffic(IpTraffic),
    Http(HttpConversation),
    Module(String),
    ServiceCreated(String),
    ServiceStarted(String),
    ServiceStopped(String),
}

/// How many actors are remembered of one doing; with more it is taken as anyone's.
const ACTORS: usize = 4;
/// How many lists there are.
const LISTS: usize = 20;

/// Who did a thing.
#[derive(Debug, Default)]
struct Doers {
    actors: Vec<Option<Actor>>,
    anyone: bool,
}

/// Collects what a run does.
#[derive(Debug)]
pub struct Summary {
    limits: BehaviourLimits,
    places: HashMap<Doing, usize>,
    doers: Vec<Doers>,
    counts: [usize; LISTS],
    bytes: usize,
    left_out: u64,
}

impl Summary {
    /// Starts empty.
    pub fn new(limits: BehaviourLimits) -> Self {
        Self { limits, places: HashMap::new(), doers: Vec::new(), counts: [0; LISTS], bytes: 0, left_out: 0 }
    }

    /// Takes in one event and who caused it.
    pub fn observe(&mut self, event: &Event, actor: Option<Actor>) {
        fold::doings(event, &mut |doing| self.add(doing, actor));
    }

    fn add(&mut self, doing: Doing, actor: Option<Actor>) {
        if let Some(&place) = self.places.get(&doing) {
            let doers = &mut self.doers[place];
            if doers.anyone || doers.actors.contains(&actor) {
                return;
            }
            if doers.actors.len() >= ACTORS {
                doers.anyone = true;
            } else {
                doers.actors.push(actor);
            }
            return;
        }
        let list = doing.list();
        let bytes = doing.bytes();
        if self.counts[list] >= self.limits.entries || self.bytes + bytes > self.limits.bytes {
            self.left_out += 1;
            return;
        }
        self.counts[list] += 1;
        self.bytes += bytes;
        self.places.insert(doing, self.doers.len());
        self.doers.push(Doers { actors: vec![actor], anyone: false });
    }

    /// Ends the collecting: what was done by anyone whose origin `keep` wants.
    pub fn finish(self, origins: &Origins, keep: impl Fn(Origin) -> bool) -> Behaviour {
        let mut doings: Vec<(usize, Doing)> = self.places.into_iter().map(|(doing, place)| (place, doing)).collect();
        doings.sort_by_key(|(place, _)| *place);
        let mut behaviour = Behaviour { left_out: self.left_out, ..Behaviour::default() };
        for (place, doing) in doings {
            let doers = &self.doers[place];
            if doers.anyone || doers.actors.iter().any(|actor| keep(origins.of(*actor))) {
                behaviour.put(doing);
            }
        }
        behaviour
    }
}

impl Doing {
    fn list(&self) -> usize {
        match self {
            Self::ProcessCreated(_) => 0,
            Self::ProcessTerminated(_) => 1,
            Self::ProcessInjected(_) => 2,
            Self::Command(_) => 3,
            Self::FileOpened(_) => 4,
            Self::FileWritten(_) => 5,
            Self::FileDeleted(_) => 6,
            Self::FileChanged(_) => 7,
            Self::FileCopied(_) => 8,
            Self::FileDropped(_) => 9,
            Self::KeyOpened(_) => 10,
            Self::KeySet(_) => 11,
            Self::KeyDeleted(_) => 12,
            Self::Lookup(_) => 13,
            Self::Traffic(_) => 14,
            Self::Http(_) => 15,
            Self::Module(_) => 16,
            Self::ServiceCreated(_) => 17,
            Self::ServiceStarted(_) => 18,
            Self::ServiceStopped(_) => 19,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::ProcessCreated(text)
            | Self::ProcessTerminated(text)
            | Self::ProcessInjected(text)
            | Self::Command(text)
            | Self::FileOpened(text)
            | Self::FileWritten(text)
            | Self::FileDeleted(text)
            | Self::FileChanged(text)
            | Self::KeyOpened(text)
            | Self::KeyDeleted(text)
            | Self::Module(text)
            | Self::ServiceCreated(text)
            | Self::ServiceStarted(text)
            | Self::ServiceStopped(text) => text.len(),
            Self::FileCopied(copy) => copy.source.len() + copy.destination.len(),
            Self::FileDropped(file) => file.path.len() + file.sha256.len(),
            Self::KeySet(key) => key.key.len() + key.value.len(),
            Self::Lookup(lookup) => lookup.hostname.len() + lookup.resolved_ips.iter().map(String::len).sum::<usize>(),
            Self::Traffic(traffic) => traffic.destination_ip.len() + traffic.transport_layer_protocol.len(),
            Self::Http(http) => http.url.len() + http.request_method.len(),
        }
    }
}

impl Behaviour {
    fn put(&mut self, doing: Doing) {
        match doing {
            Doing::ProcessCreated(text) => self.processes_created.push(text),
            Doing::ProcessTerminated(text) => self.processes_terminated.push(text),
            Doing::ProcessInjected(text) => self.processes_injected.push(text),
            Doing::Command(text) => self.command_executions.push(text),
            Doing::FileOpened(text) => self.files_opened.push(text),
            Doing::FileWritten(text) => self.files_written.push(text),
            Doing::FileDeleted(text) => self.files_deleted.push(text),
            Doing::FileChanged(text) => self.files_attribute_changed.push(text),
            Doing::FileCopied(copy) => self.files_copied.push(copy),
            Doing::FileDropped(file) => self.files_dropped.push(file),
            Doing::KeyOpened(text) => self.registry_keys_opened.push(text),
            Doing::KeySet(key) => self.registry_keys_set.push(key),
            Doing::KeyDeleted(text) => self.registry_keys_deleted.push(text),
            Doing::Lookup(lookup) => self.dns_lookups.push(lookup),
            Doing::Traffic(traffic) => self.ip_traffic.push(traffic),
            Doing::Http(http) => self.http_conversations.push(http),
            Doing::Module(text) => self.modules_loaded.push(text),
            Doing::ServiceCreated(text) => self.services_created.push(text),
            Doing::ServiceStarted(text) => self.services_started.push(text),
            Doing::ServiceStopped(text) => self.services_stopped.push(text),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}
