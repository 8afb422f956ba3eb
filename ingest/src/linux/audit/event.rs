//! Owns what the records of one audit event mean: each record as an event of `service: auditd` under its own names, and
//! the doing behind them as the categories that Sysmon would tell of.

use super::address;
use super::line::{self, AuditRecord};
use crate::linux::{syscalls, user};
use sandsift_sigma::{Event, EventSource, Value};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Processes whose image is remembered for their children; beyond that all are forgotten.
const REMEMBERED: usize = 1 << 16;

/// Sources of events, made once.
pub(super) struct Sources {
    auditd: Arc<EventSource>,
    process_creation: Arc<EventSource>,
    process_termination: Arc<EventSource>,
    file_event: Arc<EventSource>,
    file_delete: Arc<EventSource>,
    file_rename: Arc<EventSource>,
    file_change: Arc<EventSource>,
    network_connection: Arc<EventSource>,
}

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let category = |name| EventSource::new(Some("linux"), [name], []);
    Sources {
        auditd: EventSource::new(Some("linux"), [], ["auditd"]),
        process_creation: category("process_creation"),
        process_termination: category("process_termination"),
        file_event: category("file_event"),
        file_delete: category("file_delete"),
        file_rename: category("file_rename"),
        file_change: category("file_change"),
        network_connection: category("network_connection"),
    }
});

/// What is remembered between events: the images of processes, for their children.
#[derive(Debug, Default)]
pub(super) struct Memory {
    processes: HashMap<u32, (String, String)>,
}

/// All records of one event.
#[derive(Debug)]
pub(super) struct Group {
    pub records: Vec<AuditRecord>,
}

impl Group {
    fn first(&self, kind: &str) -> Option<&AuditRecord> {
        self.records.iter().find(|record| record.kind == kind)
    }

    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a AuditRecord> {
        self.records.iter().filter(move |record| record.kind == kind)
    }

    /// Hands out every event: the record whose place it has, and the event. `false` from `emit` ends it.
    pub fn events(&self, memory: &mut Memory, event: &mut Event, emit: &mut dyn FnMut(&AuditRecord, &Event) -> bool) {
        let call = self.first("SYSCALL");
        for record in &self.records {
            event.clear();
            event.set_source(&SOURCES.auditd);
            event.set_time(Some(nanoseconds(record)));
            event.push_str("type", &record.kind);
            for (name, value) in &record.fields {
                event.push_str(name, value);
            }
            if record.kind == "SYSCALL"
                && record.get("SYSCALL").is_none()
                && let Some(name) = call_name(record)
            {
                event.push_str("SYSCALL", name);
            }
            if let Some(call) = call.filter(|_| record.kind != "SYSCALL") {
                // Who did it, which the kernel writes into one record alone.
                for name in ["pid", "ppid", "comm", "exe"] {
                    if let (None, Some(value)) = (record.get(name), call.get(name)) {
                        event.push_str(name, value);
                    }
                }
            }
            if !emit(record, event) {
                return;
            }
        }
        if let Some(call) = call {
            self.doing(call, memory, event, emit);
        }
    }

    /// What a system call did, in the words of Sysmon; nothing for one that failed.
    fn doing(
        &self,
        call: &AuditRecord,
        memory: &mut Memory,
        event: &mut Event,
        emit: &mut dyn FnMut(&AuditRecord, &Event) -> bool,
    ) {
        let Some(name) = call.get("SYSCALL").or_else(|| call_name(call)) else { return };
        let done = call.get("success") == Some("yes");
        match name {
            "execve" | "execveat" if done => {
                self.process(call, memory, event);
                emit(call, event);
            }
            "exit_group" | "exit" => {
                begin(event, &SOURCES.process_termination, call);
                subject(event, call);
                emit(call, event);
            }
            // A connection in progress is one too: sockets that do not block answer so.
            "connect" | "sendto" | "sendmsg" if done || call.get("exit") == Some("-115") => {
                let known = self.connection(call, event);
                if known {
                    emit(call, event);
                }
            }
            "rename" | "renameat" | "renameat2" if done => {
                let source = self.path("DELETE");
                for target in self.paths("CREATE") {
                    begin(event, &SOURCES.file_rename, call);
                    event.push_str("TargetFilename", &target);
                    if let Some(source) = &source {
                        event.push_str("SourceFilename", source);
                    }
                    subject(event, call);
                    if !emit(call, event) || !self.file(&SOURCES.file_event, &target, call, event, emit) {
                        return;
                    }
                }
            }
            _ if done => {
                for path in self.paths("CREATE") {
                    if !self.file(&SOURCES.file_event, &path, call, event, emit) {
                        return;
                    }
                }
                for path in self.paths("DELETE") {
                    if !self.file(&SOURCES.file_delete, &path, call, event, emit) {
                        return;
                    }
                }
                let category = if opens_anew(name, call) {
                    &SOURCES.file_event
                } else if changes_attributes(name) {
                    &SOURCES.file_change
                } else {
                    return;
                };
                for path in self.paths("NORMAL") {
                    if !self.file(category, &path, call, event, emit) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    fn file(
        &self,
        source: &Arc<EventSource>,
        path: &str,
        call: &AuditRecord,
        event: &mut Event,
        emit: &mut dyn FnMut(&AuditRecord, &Event) -> bool,
    ) -> bool {
        begin(event, source, call);
        event.push_str("TargetFilename", path);
        subject(event, call);
        emit(call, event)
    }

    fn process(&self, call: &AuditRecord, memory: &mut Memory, event: &mut Event) {
        begin(event, &SOURCES.process_creation, call);
        subject(event, call);
        let command_line = self.command_line();
        if let Some(line) = &command_line {
            event.push_str("CommandLine", line);
        }
        if let Some(folder) = self.first("CWD").and_then(|record| record.get("cwd")) {
            event.push_str("CurrentDirectory", folder);
        }
        if let Some(login) = call.get("auid").filter(|id| *id != "4294967295" && *id != "-1") {
            event.push_str("LogonId", login);
        }
        if let Some(parent) = number(call.get("ppid")) {
            event.push("ParentProcessId", Value::Int(i64::from(parent)));
            if let Some((image, line)) = memory.processes.get(&parent) {
                event.push_str("ParentImage", image);
                if !line.is_empty() {
                    event.push_str("ParentCommandLine", line);
                }
            }
        }
        if let (Some(pid), Some(image)) = (number(call.get("pid")), call.get("exe")) {
            if memory.processes.len() >= REMEMBERED {
                memory.processes.clear();
            }
            memory.processes.insert(pid, (present(image).to_owned(), command_line.unwrap_or_default()));
        }
    }

    /// The command line: the arguments that were given, else the process's title.
    fn command_line(&self) -> Option<String> {
        let mut arguments: Vec<(u32, u32, &str)> = self
            .all("EXECVE")
            .flat_map(|record| &record.fields)
            .filter_map(|(name, value)| {
                // A long argument is split: `a1[0]`, `a1[1]`, …
                let (number, part) = match name.strip_prefix('a')?.split_once('[') {
                    Some((number, part)) => (number, part.strip_suffix(']')?.parse().ok()?),
                    None => (name.strip_prefix('a')?, 0),
                };
                Some((number.parse().ok()?, part, value.as_str()))
            })
            .collect();
        arguments.sort_by_key(|(number, part, _)| (*number, *part));
        if arguments.is_empty() {
            return self.first("PROCTITLE").and_then(|record| record.get("proctitle")).map(str::to_owned);
        }
        let mut line = String::new();
        for (at, (_, part, text)) in arguments.iter().enumerate() {
            if at > 0 && *part == 0 {
                line.push(' ');
            }
            line.push_str(text);
        }
        Some(line)
    }

    fn connection(&self, call: &AuditRecord, event: &mut Event) -> bool {
        let Some(address) = self.first("SOCKADDR").and_then(|record| record.get("saddr")) else { return false };
        let Some((ip, port)) = line::bytes(address).as_deref().and_then(address::parse) else { return false };
        begin(event, &SOURCES.network_connection, call);
        event.push_with("DestinationIp", |text| text.push_str(&ip.to_string()));
        event.push_str("DestinationIsIpv6", if ip.is_ipv6() { "true" } else { "false" });
        event.push("DestinationPort", Value::Int(i64::from(port)));
        event.push_str("Initiated", "true");
        subject(event, call);
        true
    }

    fn path(&self, kind: &str) -> Option<String> {
        self.paths(kind).into_iter().next()
    }

    /// The paths that a call created, deleted or opened, as absolute ones where the folder is known.
    fn paths(&self, kind: &str) -> Vec<String> {
        let folder = self.first("CWD").and_then(|record| record.get("cwd"));
        self.all("PATH")
            .filter(|record| record.get("nametype").or_else(|| record.get("objtype")) == Some(kind))
            .filter_map(|record| record.get("name"))
            .map(|name| absolute(folder, name))
            .collect()
    }
}

fn begin(event: &mut Event, source: &Arc<EventSource>, call: &AuditRecord) {
    event.clear();
    event.set_source(source);
    event.set_time(Some(nanoseconds(call)));
}

/// Who did it.
fn subject(event: &mut Event, call: &AuditRecord) {
    if let Some(pid) = number(call.get("pid")) {
        event.push("ProcessId", Value::Int(i64::from(pid)));
    }
    if let Some(image) = call.get("exe") {
        event.push_str("Image", present(image));
    }
    if let Some(name) = call.get("UID").or_else(|| call.get("uid").and_then(user::name)) {
        event.push_str("User", name);
    }
}

/// An image without the kernel's mark for one whose file is gone.
fn present(image: &str) -> &str {
    image.strip_suffix(" (deleted)").unwrap_or(image)
}

fn absolute(folder: Option<&str>, name: &str) -> String {
    match folder {
        Some(folder) if !name.starts_with('/') => {
            format!("{}/{}", folder.trim_end_matches('/'), name.trim_start_matches("./"))
        }
        _ => name.to_owned(),
    }
}

/// Whether a call opened a file to write it from its start, which Sysmon tells as its creation.
fn opens_anew(name: &str, call: &AuditRecord) -> bool {
    const CREATE: u64 = 0o100;
    const TRUNCATE: u64 = 0o1000;
    const WRITE: u64 = 0o3;
    let flags = match name {
        "creat" | "truncate" => return true,
        "open" => call.get("a1"),
        "openat" => call.get("a2"),
        _ => None,
    };
    flags
        .and_then(|flags| u64::from_str_radix(flags, 16).ok())
        .is_some_and(|flags| flags & WRITE != 0 && flags & (CREATE | TRUNCATE) != 0)
}

fn changes_attributes(name: &str) -> bool {
    matches!(
        name,
        "chmod"
            | "fchmodat"
            | "chown"
            | "lchown"
            | "fchownat"
            | "utime"
            | "utimes"
            | "futimesat"
            | "utimensat"
            | "setxattr"
            | "lsetxattr"
            | "removexattr"
            | "lremovexattr"
    )
}

fn call_name(call: &AuditRecord) -> Option<&'static str> {
    let arch = u32::from_str_radix(call.get("arch")?, 16).ok()?;
    syscalls::name(arch, call.get("syscall")?.parse().ok()?)
}

fn number(text: Option<&str>) -> Option<u32> {
    text?.parse().ok()
}

fn nanoseconds(record: &AuditRecord) -> i64 {
    record.stamp.milliseconds.saturating_mul(1_000_000)
}
