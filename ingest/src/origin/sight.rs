//! Owns what one event tells about processes: who acted, who was started by whom, who was reached into. Reads Sigma's
//! field names alone, so that every format feeds the process tree in the same way.

use sandsift_sigma::{Event, Value};

/// What identifies a process in an event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Id<'e> {
    /// `ProcessGuid` and its like; absent where it is all zeros.
    pub guid: Option<&'e str>,
    pub pid: Option<u32>,
}

impl Id<'_> {
    pub fn is_some(self) -> bool {
        self.guid.is_some() || self.pid.is_some()
    }
}

/// A process as an event shows it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject<'e> {
    pub id: Id<'e>,
    pub image: Option<&'e str>,
    pub command_line: Option<&'e str>,
}

/// What an event tells beside who acted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact<'e> {
    /// Nothing of interest here.
    Other,
    /// The subject was started, by [`Sight::parent`].
    Started { sha256: Option<[u8; 32]> },
    /// The subject ended.
    Ended,
    /// The subject made another process run its code.
    Injected { target: Subject<'e> },
    /// The subject wrote a file.
    Wrote { path: &'e str },
    /// The subject loaded a module.
    Loaded { sha256: Option<[u8; 32]> },
}

/// One event, as far as processes go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'e> {
    pub subject: Subject<'e>,
    /// The subject's parent, which some formats name in every event.
    pub parent: Subject<'e>,
    pub fact: Fact<'e>,
    pub time: Option<i64>,
    /// Whether a process keeps its pid while its image changes (`exec`).
    pub unix: bool,
}

/// The fields that tell of processes, picked from an event in one pass.
#[derive(Default)]
struct Fields<'e> {
    guid: Option<&'e str>,
    pid: Option<u32>,
    image: Option<&'e str>,
    command_line: Option<&'e str>,
    parent_guid: Option<&'e str>,
    parent_pid: Option<u32>,
    parent_image: Option<&'e str>,
    parent_command_line: Option<&'e str>,
    target_guid: Option<&'e str>,
    target_pid: Option<u32>,
    target_image: Option<&'e str>,
    target_filename: Option<&'e str>,
    new_pid: Option<u32>,
    client_pid: Option<u32>,
    /// `pid`, as auditd and syslog call it.
    own_pid: Option<u32>,
    own_parent_pid: Option<u32>,
    logger_pid: Option<u32>,
    hashes: Option<&'e str>,
    sha256: Option<&'e str>,
    access: Option<u64>,
    trace: Option<&'e str>,
}

impl<'e> Sight<'e> {
    /// Reads an event.
    pub fn of(event: &'e Event) -> Self {
        let fields = Fields::of(event);
        let source = event.source();
        let is = |category: &str| source.categories.iter().any(|c| **c == *category);
        let unix = matches!(source.product.as_deref(), Some("linux" | "macos"));
        let mut subject = Subject {
            id: Id { guid: fields.guid, pid: fields.pid },
            image: fields.image,
            command_line: fields.command_line,
        };
        let mut parent = Subject {
            id: Id { guid: fields.parent_guid, pid: fields.parent_pid },
            image: fields.parent_image,
            command_line: fields.parent_command_line,
        };
        let fact = if is("process_creation") {
            Fact::Started { sha256: fields.sha256() }
        } else {
            // Only the start of a process names the subject's own command line; elsewhere the field means others' lines.
            subject.command_line = None;
            if is("process_termination") {
                Fact::Ended
            } else if is("create_remote_thread") || (is("process_access") && fields.reaches_in()) {
                let target = Subject {
                    id: Id { guid: fields.target_guid, pid: fields.target_pid },
                    image: fields.target_image,
                    command_line: None,
                };
                Fact::Injected { target }
            } else if let (true, Some(path)) = (is("file_event"), fields.target_filename) {
                Fact::Wrote { path }
            } else if is("image_load") {
                Fact::Loaded { sha256: fields.sha256() }
            } else {
                Fact::Other
            }
        };
        if let (Fact::Other, Some(pid)) = (fact, fields.new_pid) {
            // Security 4688 under its own names: what is told is told of the new process.
            subject = Subject { id: Id { guid: None, pid: Some(pid) }, ..Subject::default() };
        }
        if unix && !subject.id.is_some() {
            subject.id.pid = fields.own_pid;
            parent.id.pid = parent.id.pid.or(fields.own_parent_pid);
        }
        if !subject.id.is_some() {
            subject.id.pid = fields.client_pid.or_else(|| {
                // PowerShell logs a script from inside the process that runs it; other channels log from a service.
                is("ps_script").then_some(()).or_else(|| is("ps_module").then_some(())).and(fields.logger_pid)
            });
        }
        Self { subject, parent, fact, time: event.time(), unix }
    }
}

impl<'e> Fields<'e> {
    fn of(event: &'e Event) -> Self {
        let mut f = Self::default();
        for (name, value) in event.iter() {
            match name {
                "ProcessGuid" | "SourceProcessGuid" | "SourceProcessGUID" => set(&mut f.guid, guid(value)),
                "ProcessId" | "SourceProcessId" | "ProcessID" => set(&mut f.pid, pid(value)),
                "pid" => set(&mut f.own_pid, pid(value)),
                "ppid" => set(&mut f.own_parent_pid, pid(value)),
                "Image" | "SourceImage" => set(&mut f.image, text(value)),
                "CommandLine" => set(&mut f.command_line, text(value)),
                "ParentProcessGuid" => set(&mut f.parent_guid, guid(value)),
                "ParentProcessId" => set(&mut f.parent_pid, pid(value)),
                "ParentImage" => set(&mut f.parent_image, text(value)),
                "ParentCommandLine" => set(&mut f.parent_command_line, text(value)),
                "TargetProcessGuid" | "TargetProcessGUID" => set(&mut f.target_guid, guid(value)),
                "TargetProcessId" => set(&mut f.target_pid, pid(value)),
                "TargetImage" => set(&mut f.target_image, text(value)),
                "TargetFilename" => set(&mut f.target_filename, text(value)),
                "NewProcessId" => set(&mut f.new_pid, pid(value)),
                "ClientProcessId" => set(&mut f.client_pid, pid(value)),
                "Execution_ProcessID" | "Execution.ProcessID" => set(&mut f.logger_pid, pid(value)),
                "Hashes" => set(&mut f.hashes, text(value)),
                "sha256" | "SHA256" => set(&mut f.sha256, text(value)),
                "GrantedAccess" => set(&mut f.access, number(value)),
                "CallTrace" => set(&mut f.trace, text(value)),
                _ => {}
            }
        }
        f
    }

    fn sha256(&self) -> Option<[u8; 32]> {
        let listed = self.hashes.and_then(|list| {
            list.split(',').find_map(|entry| {
                let (name, digest) = entry.trim().split_once('=')?;
                name.eq_ignore_ascii_case("sha256").then_some(digest)
            })
        });
        listed.or(self.sha256).and_then(digest)
    }

    /// Whether a handle to another process was opened to write to it and start a thread in it, from code that lies in no
    /// module. The rights alone do not tell: what starts a process has them all.
    fn reaches_in(&self) -> bool {
        const CREATE_THREAD: u64 = 0x2;
        const VM_OPERATION: u64 = 0x8;
        const VM_WRITE: u64 = 0x20;
        const RIGHTS: u64 = CREATE_THREAD | VM_OPERATION | VM_WRITE;
        self.access.is_some_and(|access| access & RIGHTS == RIGHTS)
            && self.trace.is_some_and(|trace| trace.contains("UNKNOWN("))
    }
}

/// See [`Fields::reaches_in`].
pub(super) fn reaches_in(event: &Event) -> bool {
    Fields::of(event).reaches_in()
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn text(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Str(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn guid(value: Value<'_>) -> Option<&str> {
    text(value).filter(|guid| {
        guid.len() <= 128
            && guid.bytes().any(|b| b.is_ascii_alphanumeric())
            && guid.bytes().any(|b| b.is_ascii_alphanumeric() && b != b'0')
    })
}

fn number(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        Value::Str(text) | Value::Number(text) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    }
}

fn pid(value: Value<'_>) -> Option<u32> {
    number(value).and_then(|number| u32::try_from(number).ok())
}

/// SHA-256 from its hex form.
pub(super) fn digest(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.trim().as_bytes();
    if hex.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}
