//! Owns syslog text: lines of a daemon's messages, for the rules that look for words in them.

use crate::decode::{Decoder, Emitter, Head, Input, Place};
use crate::linux::lines::Lines;
use crate::linux::time;
use crate::{Config, Context, Kind, Platform};
use sandsift_sigma::{Event, EventSource, Value};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// Lines of syslog, auth.log and the journal.
pub(crate) struct Syslog;

const KIND: Kind = Kind(Cow::Borrowed("syslog"));

/// Programs and the services whose rules read them, beside `syslog`.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("sshd", &["sshd", "auth"]),
    ("sudo", &["sudo", "auth"]),
    ("su", &["auth"]),
    ("login", &["auth"]),
    ("systemd-logind", &["auth"]),
    ("passwd", &["auth"]),
    ("useradd", &["auth"]),
    ("usermod", &["auth"]),
    ("groupadd", &["auth"]),
    ("polkitd", &["auth"]),
    ("cron", &["cron"]),
    ("crond", &["cron"]),
    ("crontab", &["cron"]),
    ("anacron", &["cron"]),
    ("clamd", &["clamav"]),
    ("clamav", &["clamav"]),
    ("clamscan", &["clamav"]),
    ("freshclam", &["clamav"]),
    ("vsftpd", &["vsftpd"]),
    ("guacd", &["guacamole"]),
    ("guacamole", &["guacamole"]),
];

static SOURCES: LazyLock<Vec<(&str, Arc<EventSource>)>> = LazyLock::new(|| {
    PROGRAMS
        .iter()
        .map(|(program, services)| {
            (*program, EventSource::new(Some("linux"), [], services.iter().copied().chain(["syslog"])))
        })
        .collect()
});

static OTHER: LazyLock<Arc<EventSource>> = LazyLock::new(|| EventSource::new(Some("linux"), [], ["syslog"]));

impl Decoder for Syslog {
    fn recognise(&self, head: &Head<'_>, _: &Config) -> Option<Kind> {
        let line = String::from_utf8_lossy(head.first_line());
        let line = if line.starts_with("-- ") {
            // `journalctl` opens with a line of its own.
            let content = head.content();
            let rest = memchr::memchr(b'\n', content).map_or(&[][..], |end| &content[end + 1..]);
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len()).min(64 << 10);
            String::from_utf8_lossy(&rest[..end]).into_owned().into()
        } else {
            line
        };
        parse(line.trim()).map(|_| KIND)
    }

    fn accepts(&self, kind: &str, _: &Config) -> bool {
        matches!(kind, "syslog" | "auth.log" | "journal")
    }

    fn read(&self, input: &Input<'_>, out: &mut Emitter<'_>) {
        out.platform(Platform::Linux);
        let mut event = Event::new();
        for line in Lines::new(input.bytes, out.limits().record_bytes) {
            if out.begin().is_break() {
                return;
            }
            let text = match line.text() {
                Ok(text) => text,
                Err(problem) => {
                    out.skip(problem.code(), || problem.to_string());
                    continue;
                }
            };
            let Some(entry) = parse(&text) else {
                out.skip("record-unreadable", || format!("line {} is no line of syslog", line.number));
                continue;
            };
            entry.fill(&mut event);
            let place = Place { channel: None, id: Some(line.number), context: Context::Used, partial: false };
            if out.emit(&event, &place).is_break() {
                return;
            }
        }
    }
}

/// One line, in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    /// Absent where the line has no year.
    time: Option<i64>,
    host: &'a str,
    program: &'a str,
    pid: Option<u32>,
    message: &'a str,
}

impl Entry<'_> {
    fn fill(&self, event: &mut Event) {
        event.clear();
        event.set_time(self.time);
        let program = self.program.to_ascii_lowercase();
        event.set_source(SOURCES.iter().find(|(p, _)| *p == program).map_or(&OTHER, |(_, source)| source));
        event.push_str("hostname", self.host);
        event.push_str("program", self.program);
        if let Some(pid) = self.pid {
            event.push("pid", Value::Int(i64::from(pid)));
        }
        event.push_str("message", self.message);
        if program == "sudo" {
            // `root : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id`
            for part in self.message.split(" ; ") {
                let part = part.rsplit_once(" : ").map_or(part, |(_, part)| part);
                if let Some((name @ ("TTY" | "PWD" | "USER" | "COMMAND"), value)) = part.trim().split_once('=') {
                    event.push_str(name, value);
                }
            }
        }
    }
}

/// Takes a line of syslog apart: `Nov  1 12:00:00 host program[pid]: message`, with a priority before it or a time in
/// ISO 8601.
fn parse(line: &str) -> Option<Entry<'_>> {
    let line = match line.strip_prefix('<') {
        Some(rest) => {
            let (priority, rest) = rest.split_once('>')?;
            (!priority.is_empty() && priority.len() <= 3 && priority.bytes().all(|b| b.is_ascii_digit()))
                .then_some(rest)?
        }
        None => line,
    };
    // RFC 5424 has a version before its time.
    let line = line.strip_prefix("1 ").unwrap_or(line);
    let (time, rest) = match line.split_once(' ').and_then(|(first, rest)| Some((time::parse(first)?, rest))) {
        Some((time, rest)) => (Some(time), rest),
        None => (None, after_old_time(line)?),
    };
    let (host, rest) = rest.trim_start().split_once(' ')?;
    let (tag, message) = rest.trim_start().split_once(':')?;
    let (program, pid) = match tag.split_once('[') {
        Some((program, pid)) => (program, pid.strip_suffix(']').and_then(|pid| pid.parse().ok())),
        None => (tag, None),
    };
    let fits = !program.is_empty() && program.len() <= 64 && !program.contains(char::is_whitespace);
    fits.then(|| Entry { time, host, program, pid, message: message.trim() })
}

/// What follows `Nov  1 12:00:00 `.
fn after_old_time(line: &str) -> Option<&str> {
    const MONTHS: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (month, rest) = line.split_once(' ')?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let (clock, rest) = rest.split_once(' ')?;
    let clock_fits = clock.len() >= 8 && clock.as_bytes()[2] == b':' && clock.as_bytes()[5] == b':';
    (MONTHS.contains(&month) && day.parse::<u8>().is_ok() && clock_fits).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_of_a_line_is_taken_apart() {
        let entry = parse("<86>Nov  1 12:00:00 host sshd[42]: Corrupted MAC on input: x").unwrap();
        let expected =
            Entry { time: None, host: "host", program: "sshd", pid: Some(42), message: "Corrupted MAC on input: x" };
        assert_eq!(entry, expected);
        let iso = parse("2024-01-02T03:04:05.5+01:00 h named: a denied AXFR from b").unwrap();
        assert_eq!((iso.program, iso.time.is_some()), ("named", true));
        assert_eq!(parse("Nov 11 12:00:00 h CRON[1]: (root) REPLACE (root)").unwrap().program, "CRON");
        for line in ["", "hello: world", "<999999>x", "Nov 1 h x: y", "{\"a\": 1}", "Foo 1 12:00:00 h x: y"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_answers_to_its_service_and_sudo_has_fields() {
        let mut event = Event::new();
        parse("Nov 1 12:00:00 h sudo: bob : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/bin/id").unwrap().fill(&mut event);
        assert_eq!(event.source().services, ["auth".into(), "sudo".into(), "syslog".into()]);
        assert_eq!((event.get_str("USER"), event.get_str("COMMAND")), (Some("#-1"), Some("/bin/id")));
    }
}
