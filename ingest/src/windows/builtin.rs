//! Owns what follows from records of Windows' own logs: Security 4688 is a process creation, 4657 a registry change,
//! 5156 and 5158 are network connections, Defender's detections are antivirus events. Field by field as Sysmon would
//! have written it; what Sysmon has and the log has not is listed with the source, so that a rule that fires only
//! because it is missing can be told.

use super::logsource::{DEFENDER, SECURITY, WMI};
use super::values;
use sandsift_sigma::{Event, EventSource, Value};
use std::sync::{Arc, LazyLock};

/// A kind of record that means an event of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// Security 4688.
    Process,
    /// Security 4657.
    Registry,
    /// Security 5156.
    Connection,
    /// Security 5158: a local port was bound.
    Bind,
    /// Defender found something.
    Antivirus,
    /// WMI-Activity 5861: a permanent subscription.
    Subscription,
}

impl Builtin {
    /// What a record means by its channel and event id.
    pub(crate) fn of(channel: &str, id: u32) -> Option<Self> {
        match (channel, id) {
            (SECURITY, 4688) => Some(Self::Process),
            (SECURITY, 4657) => Some(Self::Registry),
            (SECURITY, 5156) => Some(Self::Connection),
            (SECURITY, 5158) => Some(Self::Bind),
            (DEFENDER, 1006..=1012 | 1017..=1019 | 1115 | 1116) => Some(Self::Antivirus),
            (WMI, 5861) => Some(Self::Subscription),
            _ => None,
        }
    }
}

static PROCESS: LazyLock<Arc<EventSource>> = LazyLock::new(|| {
    source("process_creation", &[]).without([
        "Company",
        "CurrentDirectory",
        "Description",
        "FileVersion",
        "Hashes",
        "Imphash",
        "LogonGuid",
        "OriginalFileName",
        "ParentCommandLine",
        "ParentProcessGuid",
        "ParentUser",
        "ProcessGuid",
        "Product",
        "TerminalSessionId",
        "imphash",
        "md5",
        "sha1",
        "sha256",
    ])
});

/// The same where the audit policy leaves the command line out, which an empty one cannot be told from.
static PROCESS_WITHOUT_COMMAND_LINE: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| PROCESS.without(PROCESS.absent.iter().map(|f| &**f).chain(["CommandLine"])));

/// Where the log is older than the parent's name in it (before Windows 10).
static PROCESS_WITHOUT_PARENT: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| PROCESS.without(PROCESS.absent.iter().map(|f| &**f).chain(["ParentImage"])));

static PROCESS_WITHOUT_BOTH: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| PROCESS.without(PROCESS.absent.iter().map(|f| &**f).chain(["CommandLine", "ParentImage"])));

static REGISTRY_SET: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| source("registry_event", &["registry_set"]).without(["ProcessGuid", "RuleName"]));

static REGISTRY_DELETE: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| source("registry_event", &["registry_delete"]).without(["ProcessGuid", "RuleName", "Details"]));

const NO_NAMES: [&str; 5] = ["DestinationHostname", "ProcessGuid", "RuleName", "SourceHostname", "User"];

static CONNECTION: LazyLock<Arc<EventSource>> = LazyLock::new(|| source("network_connection", &[]).without(NO_NAMES));

static BIND: LazyLock<Arc<EventSource>> = LazyLock::new(|| {
    let absent = ["DestinationIp", "DestinationPort", "DestinationPortName", "DestinationIsIpv6", "Initiated"];
    source("network_connection", &[]).without(NO_NAMES.into_iter().chain(absent))
});

static ANTIVIRUS: LazyLock<Arc<EventSource>> = LazyLock::new(|| source("antivirus", &[]));

static SUBSCRIPTION: LazyLock<Arc<EventSource>> =
    LazyLock::new(|| source("wmi_event", &[]).without(["EventType", "Name", "Operation", "Type"]));

fn source(category: &str, more: &[&str]) -> Arc<EventSource> {
    EventSource::new(Some("windows"), more.iter().copied().chain([category]), [])
}

/// What every event that follows from a record keeps of it.
const KEPT: &[&str] = &["EventID", "Channel", "Computer", "Provider_Name", "EventRecordID", "TimeCreated_SystemTime"];

/// Fills `derived` from a record's event; `false` where the record does not say enough.
pub(crate) fn derive(builtin: Builtin, event: &Event, derived: &mut Event, buffer: &mut String) -> bool {
    derived.clear();
    for name in KEPT {
        if let Some(value) = event.get(name) {
            derived.push(name, value);
        }
    }
    let mut made = Made { event, derived, buffer };
    match builtin {
        Builtin::Process => made.process(),
        Builtin::Registry => made.registry(),
        Builtin::Connection => made.connection(&CONNECTION),
        Builtin::Bind => made.connection(&BIND),
        Builtin::Antivirus => made.antivirus(),
        Builtin::Subscription => made.subscription(),
    }
}

/// A record's event and what is made of it.
struct Made<'a> {
    event: &'a Event,
    derived: &'a mut Event,
    buffer: &'a mut String,
}

impl Made<'_> {
    /// A field's text, where it has one: the Security log writes `-` for none.
    fn text(&self, name: &str) -> Option<&str> {
        self.event.get_str(name).filter(|t| !t.is_empty() && *t != "-")
    }

    fn copy(&mut self, from: &str, to: &str) -> bool {
        let value = self.event.get(from).filter(|v| !matches!(v, Value::Str("" | "-") | Value::Null));
        if let Some(value) = value {
            self.derived.push(to, value);
        }
        value.is_some()
    }

    /// Copies a number that the log writes in hex, as Sysmon's decimal.
    fn decimal(&mut self, from: &str, to: &str) {
        match self.event.get(from) {
            Some(Value::Str(text)) => {
                if let Some(n) = values::number(text).and_then(|n| i64::try_from(n).ok()) {
                    self.derived.push(to, Value::Int(n));
                }
            }
            Some(value) => self.derived.push(to, value),
            None => {}
        }
    }

    /// An account as Sysmon writes it: `DOMAIN\name`.
    fn user(&mut self, domain: &str, name: &str) -> bool {
        let event = self.event;
        let text = |field| event.get_str(field).filter(|t| !t.is_empty() && *t != "-");
        let Some(name) = text(name) else { return false };
        self.buffer.clear();
        if let Some(domain) = text(domain) {
            self.buffer.extend([domain, "\\"]);
        }
        self.buffer.push_str(name);
        self.derived.push_str("User", self.buffer);
        true
    }

    fn process(&mut self) -> bool {
        if !self.copy("NewProcessName", "Image") {
            return false;
        }
        let command_line = self.copy("CommandLine", "CommandLine");
        let parent = self.copy("ParentProcessName", "ParentImage");
        self.decimal("NewProcessId", "ProcessId");
        self.decimal("ProcessId", "ParentProcessId");
        // The creator's account unless the process was started under another.
        if self.user("TargetDomainName", "TargetUserName") {
            self.lower("TargetLogonId", "LogonId");
        } else {
            self.user("SubjectDomainName", "SubjectUserName");
            self.lower("SubjectLogonId", "LogonId");
        }
        if let Some(label) = self.text("MandatoryLabel") {
            let level = match label {
                "S-1-16-0" => "Untrusted",
                "S-1-16-4096" => "Low",
                "S-1-16-8192" => "Medium",
                "S-1-16-8448" => "MediumPlus",
                "S-1-16-12288" => "High",
                "S-1-16-16384" => "System",
                "S-1-16-20480" => "ProtectedProcess",
                other => other,
            };
            let level = level.to_owned();
            self.derived.push_str("IntegrityLevel", &level);
        }
        self.derived.set_source(match (command_line, parent) {
            (true, true) => &PROCESS,
            (false, true) => &PROCESS_WITHOUT_COMMAND_LINE,
            (true, false) => &PROCESS_WITHOUT_PARENT,
            (false, false) => &PROCESS_WITHOUT_BOTH,
        });
        true
    }

    /// Copies a number in hex, in lower case as Sysmon has it.
    fn lower(&mut self, from: &str, to: &str) {
        if let Some(text) = self.event.get_str(from) {
            self.buffer.clear();
            self.buffer.push_str(text);
            self.buffer.make_ascii_lowercase();
            self.derived.push_str(to, self.buffer);
        }
    }

    fn registry(&mut self) -> bool {
        let Some(key) = self.text("ObjectName") else { return false };
        let mut target = String::with_capacity(key.len() + 32);
        values::registry_path(key, &mut target);
        if let Some(value) = self.text("ObjectValueName") {
            target.extend(["\\", value]);
        }
        self.derived.push_str("TargetObject", &target);
        let deleted = match self.text("OperationType") {
            Some("%%1906" | "Registry value deleted") => true,
            Some("%%1904" | "%%1905" | "New registry value created" | "Existing registry value modified") => false,
            _ => return false,
        };
        self.derived.push_str("EventType", if deleted { "DeleteValue" } else { "SetValue" });
        if !deleted {
            self.details();
        }
        self.copy("ProcessName", "Image");
        self.decimal("ProcessId", "ProcessId");
        self.user("SubjectDomainName", "SubjectUserName");
        self.derived.set_source(if deleted { &REGISTRY_DELETE } else { &REGISTRY_SET });
        true
    }

    /// Writes the new value as Sysmon's `Details`.
    fn details(&mut self) {
        let value = match self.event.get("NewValue") {
            Some(Value::Str(text)) => text.to_owned(),
            Some(Value::Int(n)) => n.to_string(),
            _ => return,
        };
        let details = match (self.text("NewValueType"), values::number(&value)) {
            (Some("%%1876" | "REG_DWORD"), Some(n)) => format!("DWORD (0x{n:08x})"),
            (Some("%%1883" | "REG_QWORD"), Some(n)) => format!("QWORD (0x{:08x}-0x{:08x})", n >> 32, n & 0xffff_ffff),
            (Some("%%1875" | "REG_BINARY"), _) => "Binary Data".to_owned(),
            // Sysmon writes an empty text so too.
            _ if value.is_empty() || value == "-" => "(Empty)".to_owned(),
            _ => value,
        };
        self.derived.push_str("Details", &details);
    }

    fn connection(&mut self, source: &Arc<EventSource>) -> bool {
        let Some(application) = self.text("Application") else { return false };
        let mut image = String::with_capacity(application.len());
        values::device_path(application, &mut image);
        self.derived.push_str("Image", &image);
        self.decimal("ProcessID", "ProcessId");
        self.decimal("ProcessId", "ProcessId");
        self.copy("SourceAddress", "SourceIp");
        self.copy("SourcePort", "SourcePort");
        self.copy("DestAddress", "DestinationIp");
        self.copy("DestPort", "DestinationPort");
        let protocol = match self.event.get("Protocol") {
            Some(Value::Int(n)) => u64::try_from(n).ok(),
            Some(Value::Str(text)) => values::number(text),
            _ => None,
        };
        match protocol {
            Some(6) => self.derived.push_str("Protocol", "tcp"),
            Some(17) => self.derived.push_str("Protocol", "udp"),
            _ => {
                self.copy("Protocol", "Protocol");
            }
        }
        match self.text("Direction") {
            Some("%%14593" | "Outbound") => self.derived.push_str("Initiated", "true"),
            Some("%%14592" | "Inbound") => self.derived.push_str("Initiated", "false"),
            _ => {}
        }
        for (address, flag) in [("SourceAddress", "SourceIsIpv6"), ("DestAddress", "DestinationIsIpv6")] {
            if let Some(six) = self.text(address).map(|a| a.contains(':')) {
                self.derived.push_str(flag, if six { "true" } else { "false" });
            }
        }
        self.derived.set_source(source);
        true
    }

    fn antivirus(&mut self) -> bool {
        // Rules of the category ask for Defender's own names too.
        for (name, value) in self.event.iter() {
            if !KEPT.contains(&name) {
                self.derived.push(name, value);
            }
        }
        let signature = self.copy("ThreatName", "Signature");
        let file = self.copy("Path", "Filename");
        self.derived.set_source(&ANTIVIRUS);
        signature || file
    }

    fn subscription(&mut self) -> bool {
        self.derived.set_source(&SUBSCRIPTION);
        self.copy("PossibleCause", "Destination")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive_from(builtin: Builtin, fields: &[(&str, &str)]) -> Option<Event> {
        let (mut event, mut derived, mut buffer) = (Event::new(), Event::new(), String::new());
        fields.iter().for_each(|(name, value)| event.push_str(name, value));
        derive(builtin, &event, &mut derived, &mut buffer).then_some(derived)
    }

    #[test]
    fn a_4688_is_a_process_creation_in_sysmons_words() {
        let event = derive_from(
            Builtin::Process,
            &[
                ("NewProcessName", "C:\\Windows\\System32\\cmd.exe"),
                ("ParentProcessName", "C:\\Windows\\explorer.exe"),
                ("NewProcessId", "0x1a4"),
                ("ProcessId", "0x10"),
                ("CommandLine", ""),
                ("SubjectDomainName", "LAB"),
                ("SubjectUserName", "ann"),
                ("SubjectLogonId", "0x3E7"),
                ("TargetUserName", "-"),
                ("MandatoryLabel", "S-1-16-12288"),
            ],
        )
        .unwrap();
        assert_eq!(event.get_str("Image"), Some("C:\\Windows\\System32\\cmd.exe"));
        assert_eq!(event.get("ProcessId"), Some(Value::Int(420)));
        assert_eq!(event.get("ParentProcessId"), Some(Value::Int(16)));
        assert_eq!(event.get_str("User"), Some("LAB\\ann"));
        assert_eq!(event.get_str("LogonId"), Some("0x3e7"));
        assert_eq!(event.get_str("IntegrityLevel"), Some("High"));
        assert!(event.get("CommandLine").is_none() && event.source().absent.contains(&"CommandLine".into()));
        assert!(event.source().absent.contains(&"OriginalFileName".into()));
        assert_eq!(event.source().categories, ["process_creation".into()]);
    }

    #[test]
    fn a_4657_is_a_registry_change_with_sysmons_paths_and_details() {
        let event = derive_from(
            Builtin::Registry,
            &[
                ("ObjectName", "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\x"),
                ("ObjectValueName", "Start"),
                ("OperationType", "%%1905"),
                ("NewValueType", "%%1876"),
                ("NewValue", "4"),
                ("ProcessName", "C:\\a.exe"),
            ],
        )
        .unwrap();
        assert_eq!(event.get_str("TargetObject"), Some("HKLM\\SYSTEM\\CurrentControlSet\\Services\\x\\Start"));
        assert_eq!(event.get_str("Details"), Some("DWORD (0x00000004)"));
        assert_eq!(event.get_str("EventType"), Some("SetValue"));
        assert_eq!(event.source().categories, ["registry_event".into(), "registry_set".into()]);
        let deleted = [("ObjectName", "\\REGISTRY\\USER\\S-1\\x"), ("OperationType", "%%1906")];
        assert_eq!(derive_from(Builtin::Registry, &deleted).unwrap().get_str("EventType"), Some("DeleteValue"));
    }

    #[test]
    fn a_5156_is_a_connection_and_a_5158_one_without_a_destination() {
        let fields = [
            ("ProcessID", "1234"),
            ("Application", "\\device\\harddiskvolume2\\users\\a\\x.exe"),
            ("Direction", "%%14593"),
            ("SourceAddress", "10.0.0.2"),
            ("SourcePort", "50000"),
            ("DestAddress", "1.2.3.4"),
            ("DestPort", "443"),
            ("Protocol", "6"),
        ];
        let event = derive_from(Builtin::Connection, &fields).unwrap();
        assert_eq!(event.get_str("Image"), Some("C:\\users\\a\\x.exe"));
        assert_eq!(event.get_str("Initiated"), Some("true"));
        assert_eq!(event.get_str("Protocol"), Some("tcp"));
        assert_eq!(event.get_str("DestinationIp"), Some("1.2.3.4"));
        assert_eq!(event.get("ProcessId"), Some(Value::Int(1234)));
        let bind = derive_from(Builtin::Bind, &fields[..2]).unwrap();
        assert!(bind.source().absent.contains(&"DestinationIp".into()));
    }
}
