//! Owns the logsources that Linux records answer to.

use sandsift_sigma::EventSource;
use std::sync::{Arc, LazyLock};

/// Categories of Sysmon for Linux by event id.
const SYSMON: &[(u32, &str)] = &[
    (1, "process_creation"),
    (2, "file_change"),
    (3, "network_connection"),
    (4, "sysmon_status"),
    (5, "process_termination"),
    (9, "raw_access_thread"),
    (10, "process_access"),
    (11, "file_event"),
    (16, "sysmon_status"),
    (23, "file_delete"),
    (25, "process_tampering"),
    (255, "sysmon_error"),
];

static BY_ID: LazyLock<Vec<(u32, Arc<EventSource>)>> = LazyLock::new(|| {
    SYSMON.iter().map(|(id, category)| (*id, EventSource::new(Some("linux"), [*category], ["sysmon"]))).collect()
});

static OTHER: LazyLock<Arc<EventSource>> = LazyLock::new(|| EventSource::new(Some("linux"), [], ["sysmon"]));

/// The source of an event of Sysmon for Linux.
pub(crate) fn sysmon(id: u32) -> &'static Arc<EventSource> {
    BY_ID.iter().find(|(known, _)| *known == id).map_or(&OTHER, |(_, source)| source)
}
