//! Owns flat records of Windows event logs: every field at the top, under Sigma's names or those of nxlog, hayabusa and
//! the OTRF data sets. Finds what identifies the record and brings values into the form that rules expect.

use super::values;
use sandsift_sigma::{Event, Value};

/// What a pass over a flat record found.
#[derive(Debug, Default)]
pub(super) struct Found<'e> {
    pub id: Option<u32>,
    pub number: Option<u64>,
    pub channel: Option<&'e str>,
    pub computer: Option<&'e str>,
    pub provider: Option<&'e str>,
    /// `Computer` under another name.
    pub hostname: Option<&'e str>,
    /// `Provider_Name` under another name.
    pub source_name: Option<&'e str>,
    pub hashes: Option<&'e str>,
    /// A registry path with a numbered control set.
    pub control_set: Option<&'e str>,
    /// Whether a hash has a field of its own.
    pub single_hash: bool,
    /// Whether a name has spaces.
    pub spaced: bool,
    /// The time and how good its source is.
    time: Option<(u8, i64)>,
}

impl<'e> Found<'e> {
    /// Looks over a record's fields once.
    pub(super) fn look(event: &'e Event) -> Self {
        let mut found = Self::default();
        for (name, value) in event.iter() {
            let text = match value {
                Value::Str(text) => Some(text),
                _ => None,
            };
            match name {
                "EventID" => found.id = values::integer(value).and_then(|n| u32::try_from(n).ok()),
                "EventRecordID" => found.number = values::integer(value).or(found.number),
                "RecordNumber" | "RecordID" => found.number = found.number.or(values::integer(value)),
                "Channel" => found.channel = text,
                "Computer" => found.computer = text,
                "Hostname" => found.hostname = text,
                "Provider_Name" => found.provider = text,
                "SourceName" | "ProviderName" => found.source_name = text,
                "UtcTime" => found.time(5, text),
                "TimeCreated_SystemTime" => found.time(4, text),
                "SystemTime" => found.time(3, text),
                "TimeCreated" => found.time(2, text),
                "@timestamp" => found.time(1, text),
                "Hashes" => found.hashes = text,
                "TargetObject" => found.control_set = text.filter(|t| values::control_set(t).is_some()),
                _ if values::is_hash_field(name) => found.single_hash = true,
                _ => found.spaced |= name.contains(' '),
            }
        }
        found
    }

    /// The record's time in nanoseconds since 1970, by the best field that has one.
    pub(super) fn nanoseconds(&self) -> Option<i64> {
        self.time.map(|(_, time)| time)
    }

    fn time(&mut self, rank: u8, text: Option<&str>) {
        if self.time.is_none_or(|(best, _)| best < rank)
            && let Some(time) = text.and_then(values::time)
        {
            self.time = Some((rank, time));
        }
    }
}
