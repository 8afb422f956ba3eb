//! Owns the output of `strace -f`: one line a system call, calls of several processes interleaved, some of them told in
//! two parts.

use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::linux::lines::Lines;
use crate::{Config, Context, Kind, Platform};
use sandsift_sigma::{Event, EventSource, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

/// Text of `strace`.
pub(crate) struct Strace;

const KIND: Kind = Kind(Cow::Borrowed("strace"));
/// Calls that wait for their second part, and processes whose image is remembered; beyond that all are forgotten.
const REMEMBERED: usize = 1 << 14;

struct Sources {
    process_creation: Arc<EventSource>,
    process_termination: Arc<EventSource>,
    file_event: Arc<EventSource>,
    file_delete: Arc<EventSource>,
    file_rename: Arc<EventSource>,
    file_change: Arc<EventSource>,
    network_connection: Arc<EventSource>,
}

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let of = |category| EventSource::new(Some("linux"), [category], []);
    Sources {
        process_creation: of("process_creation"),
        process_termination: of("process_termination"),
        file_event: of("file_event"),
        file_delete: of("file_delete"),
        file_rename: of("file_rename"),
        file_change: of("file_change"),
        network_connection: of("network_connection"),
    }
});

impl Decoder for Strace {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let mut lines = head.content().split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(10);
        lines
            .any(|line| {
                let line = String::from_utf8_lossy(&line[..line.len().min(64 << 10)]);
                let (_, rest) = process_of(line.trim());
                matches!(shape(rest), Some(Shape::Whole(call)) if KNOWN.contains(&call.name))
            })
            .then_some(KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "strace" | "strace.log")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        out.platform(Platform::Linux);
        let mut reader = Reader::default();
        for line in Lines::new(input.bytes, out.limits().record_bytes) {
            if out.begin().is_break() {
                return;
            }
            let flow = match line.text() {
                Ok(text) => reader.line(&text, line.number, out),
                Err(problem) => {
                    out.skip(problem.code(), || problem.to_string());
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }
}

/// Calls that this format is known by.
const KNOWN: &[&str] =
    &["execve", "execveat", "openat", "open", "brk", "mmap", "read", "write", "close", "connect", "access"];

/// One call as it was told.
#[derive(Debug, PartialEq, Eq)]
struct Call<'a> {
    name: &'a str,
    arguments: &'a str,
    result: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape<'a> {
    Whole(Call<'a>),
    /// `name(arguments <unfinished ...>`
    Begun(&'a str),
    /// `<... name resumed>rest`
    Resumed(&'a str),
    /// `+++ exited with 0 +++`
    Exited,
    /// Signals and the like.
    Note,
}

/// The pid at the start of a line, and what follows it and the time.
fn process_of(line: &str) -> (Option<u32>, &str) {
    let (pid, rest) = if let Some(rest) = line.strip_prefix("[pid") {
        match rest.split_once(']') {
            Some((pid, rest)) => (pid.trim().parse().ok(), rest.trim_start()),
            None => (None, line),
        }
    } else {
        match line.split_once(' ') {
            Some((pid, rest)) if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => {
                (pid.parse().ok(), rest.trim_start())
            }
            _ => (None, line),
        }
    };
    // A time: digits, colons and a point.
    match rest.split_once(' ') {
        Some((time, after))
            if time.starts_with(|c: char| c.is_ascii_digit())
                && time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.')) =>
        {
            (pid, after.trim_start())
        }
        _ => (pid, rest),
    }
}

fn shape(text: &str) -> Option<Shape<'_>> {
    if text.starts_with("+++ exited") || text.starts_with("+++ killed") {
        return Some(Shape::Exited);
    }
    if text.starts_with("---") || text.starts_with("+++") || text.starts_with("strace: ") {
        return Some(Shape::Note);
    }
    if let Some(rest) = text.strip_prefix("<... ") {
        return rest.split_once("resumed>").map(|(_, rest)| Shape::Resumed(rest));
    }
    if let Some(begun) = text.strip_suffix("<unfinished ...>") {
        return begun.contains('(').then_some(Shape::Begun(begun));
    }
    let (name, rest) = text.split_once('(')?;
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // The last one: a text among the arguments may look like a result.
    let (arguments, result) = rest.rsplit_once(" = ").filter(|_| named)?;
    Some(Shape::Whole(Call { name, arguments: arguments.trim_end().strip_suffix(')')?, result: result.trim() }))
}

#[derive(Default)]
struct Reader {
    begun: HashMap<Option<u32>, String>,
    /// Images and command lines of processes.
    processes: HashMap<u32, (String, String)>,
    parents: HashMap<u32, u32>,
    event: Event,
}

impl Reader {
    fn line(&mut self, text: &str, number: u64, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let (pid, rest) = process_of(text.trim());
        match shape(rest) {
            Some(Shape::Whole(call)) => self.call(pid, &call, number, out),
            Some(Shape::Begun(begun)) => {
                if self.begun.len() >= REMEMBERED {
                    self.begun.clear();
                }
                self.begun.insert(pid, begun.to_owned());
                out.skip("call-in-parts", || format!("line {number}: the call is told by its second part"));
                ControlFlow::Continue(())
            }
            Some(Shape::Resumed(rest)) => {
                let whole = self.begun.remove(&pid).map(|begun| begun + rest.trim_start());
                match whole.as_deref().and_then(shape) {
                    Some(Shape::Whole(call)) => self.call(pid, &call, number, out),
                    _ => {
                        out.skip("record-unreadable", || format!("line {number} resumes a call that never began"));
                        ControlFlow::Continue(())
                    }
                }
            }
            Some(Shape::Exited) => {
                self.begin(&SOURCES.process_termination, pid);
                self.emit(number, out)
            }
            Some(Shape::Note) => {
                out.skip("no-event", || format!("line {number} tells of a signal"));
                ControlFlow::Continue(())
            }
            None => {
                out.skip("record-unreadable", || format!("line {number} is no line of strace"));
                ControlFlow::Continue(())
            }
        }
    }

    fn call(&mut self, pid: Option<u32>, call: &Call<'_>, number: u64, out: &mut Emitter<'_>) -> ControlFlow<()> {
        let arguments = split(call.arguments);
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        let failed = call.result.starts_with('-') || call.result.starts_with('?');
        let source = match call.name {
            "fork" | "vfork" | "clone" | "clone3" => {
                if let (Some(parent), Some(Ok(child))) = (pid, call.result.split(' ').next().map(str::parse::<u32>)) {
                    if self.parents.len() >= REMEMBERED {
                        self.parents.clear();
                    }
                    self.parents.insert(child, parent);
                    if let Some(process) = self.processes.get(&parent).cloned() {
                        self.processes.insert(child, process);
                    }
                }
                None
            }
            "execve" | "execveat" if !failed => {
                self.process(pid, call.name, &arguments);
                return self.emit(number, out);
            }
            "open" if !failed && creates(argument(1)) => Some((&SOURCES.file_event, argument(0))),
            "openat" if !failed && creates(argument(2)) => Some((&SOURCES.file_event, argument(1))),
            "creat" | "mkdir" | "mknod" if !failed => Some((&SOURCES.file_event, argument(0))),
            "mkdirat" | "mknodat" if !failed => Some((&SOURCES.file_event, argument(1))),
            "symlink" | "link" if !failed => Some((&SOURCES.file_event, argument(1))),
            "symlinkat" if !failed => Some((&SOURCES.file_event, argument(2))),
            "linkat" if !failed => Some((&SOURCES.file_event, argument(3))),
            "unlink" | "rmdir" if !failed => Some((&SOURCES.file_delete, argument(0))),
            "unlinkat" if !failed => Some((&SOURCES.file_delete, argument(1))),
            "chmod" | "chown" | "lchown" | "utime" | "utimes" if !failed => Some((&SOURCES.file_change, argument(0))),
            "fchmodat" | "fchownat" | "utimensat" if !failed => Some((&SOURCES.file_change, argument(1))),
            "rename" if !failed => return self.rename(pid, argument(0), argument(1), number, out),
            "renameat" | "renameat2" if !failed => return self.rename(pid, argument(1), argument(3), number, out),
            "connect" if !failed || call.result.contains("EINPROGRESS") => {
                if let Some((ip, port)) = address(argument(1)) {
                    self.begin(&SOURCES.network_connection, pid);
                    self.event.push_str("DestinationIp", ip);
                    self.event.push_str("DestinationIsIpv6", if ip.contains(':') { "true" } else { "false" });
                    self.event.push("DestinationPort", Value::Int(port));
                    self.event.push_str("Initiated", "true");
                    return self.emit(number, out);
                }
                None
            }
            _ => None,
        };
        let Some((source, path)) = source else {
            out.skip("no-event", || format!("line {number}: '{}' is of no category", cut(call.name)));
            return ControlFlow::Continue(());
        };
        let path = unquote(path);
        self.begin(source, pid);
        self.event.push_str("TargetFilename", &path);
        self.emit(number, out)
    }

    fn rename(
        &mut self,
        pid: Option<u32>,
        from: &str,
        to: &str,
        number: u64,
        out: &mut Emitter<'_>,
    ) -> ControlFlow<()> {
        let (from, to) = (unquote(from), unquote(to));
        self.begin(&SOURCES.file_rename, pid);
        self.event.push_str("SourceFilename", &from);
        self.event.push_str("TargetFilename", &to);
        self.emit(number, out)?;
        self.begin(&SOURCES.file_event, pid);
        self.event.push_str("TargetFilename", &to);
        self.emit(number, out)
    }

    fn process(&mut self, pid: Option<u32>, name: &str, arguments: &[&str]) {
        let (image, list) = if name == "execveat" { (1, 2) } else { (0, 1) };
        let image = unquote(arguments.get(image).copied().unwrap_or_default());
        let list = arguments.get(list).copied().unwrap_or_default();
        let list = list.strip_prefix('[').map_or(list, |list| list.strip_suffix(']').unwrap_or(list));
        let words: Vec<String> = split(list).into_iter().map(unquote).collect();
        let line = words.join(" ");
        let parent = pid.and_then(|pid| self.parents.get(&pid).copied());
        if let Some(pid) = pid {
            if self.processes.len() >= REMEMBERED {
                self.processes.clear();
            }
            self.processes.insert(pid, (image.clone(), line.clone()));
        }
        self.event.clear();
        self.event.set_source(&SOURCES.process_creation);
        self.event.push_str("Image", &image);
        if !line.is_empty() {
            self.event.push_str("CommandLine", &line);
        }
        if let Some(pid) = pid {
            self.event.push("ProcessId", Value::Int(i64::from(pid)));
        }
        if let Some(parent) = parent {
            self.event.push("ParentProcessId", Value::Int(i64::from(parent)));
            if let Some((image, line)) = self.processes.get(&parent) {
                self.event.push_str("ParentImage", image);
                self.event.push_str("ParentCommandLine", line);
            }
        }
    }

    fn begin(&mut self, source: &Arc<EventSource>, pid: Option<u32>) {
        self.event.clear();
        self.event.set_source(source);
        if let Some(pid) = pid {
            self.event.push("ProcessId", Value::Int(i64::from(pid)));
            if let Some((image, _)) = self.processes.get(&pid) {
                self.event.push_str("Image", image);
            }
        }
    }

    fn emit(&self, number: u64, out: &mut Emitter<'_>) -> ControlFlow<()> {
        out.emit(&self.event, &Place { channel: None, id: Some(number), context: Context::Used, partial: false })
    }
}

fn creates(flags: &str) -> bool {
    (flags.contains("O_WRONLY") || flags.contains("O_RDWR")) && (flags.contains("O_CREAT") || flags.contains("O_TRUNC"))
}

/// The address in `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3.4")}`.
fn address(text: &str) -> Option<(&str, i64)> {
    let (_, port) = text.split_once("htons(")?;
    let port = port.split_once(')')?.0.parse().ok()?;
    let ip =
        text.split_once("inet_addr(\"").or_else(|| text.split_once("inet_pton(AF_INET6, \""))?.1.split_once('"')?.0;
    Some((ip, port))
}

/// Splits arguments at the commas outside of quotes and brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0usize, false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// A text without its quotes, its escapes undone.
fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    let inner = inner.trim_end_matches("...");
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some((&code, after)) = rest.split_first() else { break };
        rest = after;
        match code {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
                let octal = rest[..more].iter().fold(u32::from(code - b'0'), |n, b| n * 8 + u32::from(b - b'0'));
                rest = &rest[more..];
                bytes.push(u8::try_from(octal & 0xff).unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cut(name: &str) -> &str {
    name.get(..64).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart_whatever_stands_before_the_call() {
        for line in [
            r#"1234  12:00:00.123456 execve("/bin/id", ["id"], 0x7f /* 3 vars */) = 0"#,
            r#"[pid  1234] execve("/bin/id", ["id"], 0x7f /* 3 vars */) = 0"#,
            r#"1234 1700000000.5 execve("/bin/id", ["id"], 0x7f /* 3 vars */) = 0"#,
        ] {
            let (pid, rest) = process_of(line);
            assert_eq!(pid, Some(1234), "{line}");
            let arguments = r#""/bin/id", ["id"], 0x7f /* 3 vars */"#;
            assert_eq!(shape(rest), Some(Shape::Whole(Call { name: "execve", arguments, result: "0" })), "{line}");
        }
        assert_eq!(process_of("execve(1) = 0").0, None);
        assert_eq!(shape("+++ exited with 0 +++"), Some(Shape::Exited));
        assert_eq!(shape("no call at all"), None);
    }

    #[test]
    fn arguments_are_split_and_unquoted() {
        assert_eq!(
            split(r#""a, b", ["c", "d,e"], {x=1, y=f(2, 3)}, 0"#),
            [r#""a, b""#, r#"["c", "d,e"]"#, "{x=1, y=f(2, 3)}", "0"]
        );
        assert_eq!(unquote(r#""a\"b\\c\n\303\244\0""#), "a\"b\\c\n\u{e4}\0");
        assert_eq!(unquote(r#""cut off"..."#), "cut off");
        assert_eq!(
            address(r#"{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3.4")}"#),
            Some(("1.2.3.4", 80))
        );
    }
}
