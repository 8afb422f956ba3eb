//! Owns a record of a Windows event log on its way to events: takes the parts that a format found, names the fields as
//! Sigma does, finds the logsource and hands out the event and those that follow from it.

use super::builtin::{self, Builtin};
use super::flat::Found;
use super::logsource::{self, Channel, KeyChange};
use super::values;
use crate::decode::{Emitter, Identity, Place, Repeats};
use crate::{Context, Platform};
use sandsift_sigma::{Event, Value};
use std::ops::ControlFlow;

/// One record in the making; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct WindowsRecord {
    event: Event,
    derived: Event,
    buffer: String,
    channel: String,
    /// The channel found last: records come in runs of one channel.
    known: Option<(String, Option<&'static Channel>)>,
    computer: String,
    provider: String,
    id: Option<u32>,
    number: Option<u64>,
    time: Option<i64>,
    /// The names of `System` that the data took over, by their place in [`SYSTEM`].
    taken: u32,
    /// Whether a hash has a field of its own.
    single_hash: bool,
}

/// What the values of a field need beside being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing.
    Plain,
    /// They take the place of a value of `System`, by its index in [`SYSTEM`].
    System(u8),
    /// They are one hash alone.
    Hash,
    /// Their name has spaces.
    Spaced,
    /// They are written anew, or give other fields.
    Rewritten,
}

impl Role {
    /// The role of a field by its name.
    pub(crate) fn of(name: &str) -> Self {
        if let Some(place) = SYSTEM.iter().position(|s| *s == name) {
            return Self::System(place as u8);
        }
        match name {
            _ if name.contains(' ') => Self::Spaced,
            _ if values::is_rewritten(name) => Self::Rewritten,
            _ if values::is_hash_field(name) => Self::Hash,
            _ => Self::Plain,
        }
    }

    /// Whether values are taken as they are.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::Plain
    }
}

/// Names that `System` gives; data of the same name wins.
const SYSTEM: &[&str] = &[
    "EventID",
    "Channel",
    "Computer",
    "Version",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "EventRecordID",
    "Provider_Name",
    "Provider_Guid",
    "Provider_EventSourceName",
    "EventID_Qualifiers",
    "TimeCreated_SystemTime",
    "Correlation_ActivityID",
    "Correlation_RelatedActivityID",
    "Execution_ProcessID",
    "Execution_ThreadID",
    "Security_UserID",
    "Message",
];

impl WindowsRecord {
    /// Forgets the record before.
    pub(crate) fn clear(&mut self) {
        self.event.clear();
        self.channel.clear();
        self.computer.clear();
        self.provider.clear();
        (self.id, self.number, self.time, self.taken, self.single_hash) = (None, None, None, 0, false);
    }

    /// The event in the making.
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    /// Takes a part of `System`: an element's text under its name, an attribute under `Element_Attribute`.
    pub(crate) fn system(&mut self, name: &str, value: Value<'_>) {
        match (name, value) {
            ("EventID", value) => {
                self.id = values::integer(value).and_then(|n| u32::try_from(n).ok());
                match self.id {
                    Some(id) => self.event.push(name, Value::Int(i64::from(id))),
                    None => self.event.push(name, value),
                }
                return;
            }
            ("EventRecordID", value) => self.number = values::integer(value),
            ("Channel", Value::Str(text)) => text.clone_into(&mut self.channel),
            ("Computer", Value::Str(text)) => text.clone_into(&mut self.computer),
            ("Provider_Name", Value::Str(text)) => text.clone_into(&mut self.provider),
            ("TimeCreated_SystemTime", Value::Str(text)) => self.time = values::time(text),
            _ => {}
        }
        self.event.push(name, value);
    }

    /// Takes a record whose fields all stand at the top, under Sigma's names or those of nxlog, from what `fill` puts
    /// into the event.
    pub(crate) fn flat<E>(&mut self, fill: impl FnOnce(&mut Event) -> Result<(), E>) -> Result<(), E> {
        fill(&mut self.event)?;
        let found = Found::look(&self.event);
        (self.id, self.number, self.time) = (found.id, found.number, found.nanoseconds());
        self.single_hash = found.single_hash;
        for (own, text) in [
            (&mut self.channel, found.channel),
            (&mut self.computer, found.computer.or(found.hostname)),
            (&mut self.provider, found.provider.or(found.source_name)),
        ] {
            own.push_str(text.unwrap_or_default());
        }
        let computer = found.computer.is_none() && found.hostname.is_some();
        let provider = found.provider.is_none() && found.source_name.is_some();
        let (hashes, target, spaced) = (found.hashes.is_some(), found.control_set.is_some(), found.spaced);
        for (wanted, name, text) in
            [(computer, "Computer", &self.computer), (provider, "Provider_Name", &self.provider)]
        {
            if wanted {
                self.event.push_str(name, text);
            }
        }
        if hashes || target || spaced {
            self.rewrite();
        }
        Ok(())
    }

    /// Takes the fields that need it out of the event and in again.
    fn rewrite(&mut self) {
        let rewritten = |name: &str| matches!(Role::of(name), Role::Rewritten | Role::Spaced);
        let texts: Vec<(String, String)> = self
            .event
            .iter()
            .filter_map(|(name, value)| match value {
                Value::Str(text) if rewritten(name) => Some((name.to_owned(), text.to_owned())),
                _ => None,
            })
            .collect();
        for (name, _) in &texts {
            self.event.remove(name);
        }
        for (name, text) in &texts {
            self.data(name, Value::Str(text));
        }
    }

    /// Takes a value of `EventData` or `UserData` under its name, which wins over the same name of `System`.
    pub(crate) fn data(&mut self, name: &str, value: Value<'_>) {
        self.data_as(name, Role::of(name), value);
    }

    /// The same for a name whose role is known.
    pub(crate) fn data_as(&mut self, name: &str, role: Role, value: Value<'_>) {
        match role {
            Role::Plain => {}
            Role::System(place) => {
                if self.taken & (1 << place) == 0 {
                    self.taken |= 1 << place;
                    self.event.remove(name);
                }
            }
            Role::Hash => self.single_hash = true,
            Role::Spaced => {
                // Rules write Defender's `Threat Name` as `ThreatName`, one `Feature Name` as `Feature_Name`.
                for space in ["", "_"] {
                    self.buffer.clear();
                    name.split(' ').enumerate().for_each(|(n, word)| {
                        self.buffer.push_str(if n == 0 { "" } else { space });
                        self.buffer.push_str(word);
                    });
                    self.event.push(&self.buffer, value);
                }
            }
            Role::Rewritten => {
                if let Value::Str(text) = value {
                    values::push(&mut self.event, name, text, &mut self.buffer);
                    return;
                }
            }
        }
        self.event.push(name, value);
    }

    /// The same for a plain name whose text `write` appends.
    pub(crate) fn data_with(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.event.push_with(name, write);
    }

    /// Takes a value of `EventData` without a name.
    pub(crate) fn unnamed(&mut self, value: Value<'_>) {
        self.event.push("Data", value);
    }

    /// Hands out the record: its event with the logsource that channel and id give, and what follows from it.
    pub(crate) fn finish(&mut self, repeats: Repeats, out: &mut Emitter<'_>) -> ControlFlow<()> {
        out.begin()?;
        out.platform(Platform::Windows);
        let channel = self.find_channel();
        if let Some(number) = self.number {
            let identity = Identity {
                channel: &self.channel,
                number,
                machine: &self.computer,
                event: self.id.unwrap_or(0),
                second: self.time.unwrap_or(0).div_euclid(1_000_000_000),
            };
            if !out.is_new(&identity, repeats) {
                return ControlFlow::Continue(());
            }
        }
        if self.single_hash {
            values::complete(&mut self.event, &mut self.buffer);
        }
        self.event.set_time(self.time);
        let id = self.id.unwrap_or(0);
        let event = &self.event;
        let key_change = || event.get_str("EventType").and_then(KeyChange::of);
        let source = channel.map_or(logsource::windows(), |c| c.source(id, key_change));
        self.event.set_source(&source.clone());
        let place = Place {
            channel: Some(self.channel.as_str()).filter(|c| !c.is_empty()),
            id: self.number,
            context: Context::Whole,
            partial: false,
        };
        out.emit(&self.event, &place)?;
        if let Some(builtin) = channel.and_then(|c| Builtin::of(c.name, id))
            && builtin::derive(builtin, &self.event, &mut self.derived, &mut self.buffer)
        {
            self.derived.set_time(self.time);
            out.emit(&self.derived, &place)?;
        }
        ControlFlow::Continue(())
    }

    fn find_channel(&mut self) -> Option<&'static Channel> {
        if self.channel.is_empty() {
            let channel = logsource::channel_of_provider(&self.provider)?;
            channel.name.clone_into(&mut self.channel);
            return Some(channel);
        }
        match &self.known {
            Some((name, channel)) if *name == self.channel => *channel,
            _ => {
                let channel = logsource::channel(&self.channel);
                self.known = Some((self.channel.clone(), channel));
                channel
            }
        }
    }
}
