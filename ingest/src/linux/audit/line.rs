//! Owns one line of an audit log: its type, stamp and fields, with auditd's encodings undone. What lines mean together
//! is not known here.

/// One audit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuditRecord {
    /// The record's type by its name, such as `SYSCALL`.
    pub kind: String,
    /// What all records of one event share.
    pub stamp: Stamp,
    /// Fields in their order; text in hex is decoded, what auditd writes for absent is left out.
    pub fields: Vec<(String, String)>,
    /// The line, from 1.
    pub line: u64,
    /// The line's length, for the bound on what waits to be joined.
    pub bytes: usize,
}

/// What all records of one event share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    /// The machine, where logs of several were gathered.
    pub node: Option<String>,
    /// Milliseconds since 1970.
    pub milliseconds: i64,
    pub serial: u64,
}

impl AuditRecord {
    /// The first value under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a line is an audit record, by its form.
pub(super) fn looks_like(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"type=")
        .is_some_and(|at| (at == 0 || line[at - 1] == b' ') && memchr::memmem::find(&line[at..], b"audit(").is_some())
}

/// Reads a line; `None` if it is no audit record.
pub(super) fn parse(text: &str, line: u64) -> Option<AuditRecord> {
    let at = text.match_indices("type=").map(|(at, _)| at).find(|&at| at == 0 || text.as_bytes()[at - 1] == b' ')?;
    let node = text[..at]
        .rsplit("node=")
        .next()
        .filter(|_| text[..at].contains("node="))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .map(str::to_owned);
    let rest = &text[at + "type=".len()..];
    let (kind, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("audit(")?;
    let (stamp, body) = rest.split_once(')')?;
    let (time, serial) = stamp.rsplit_once(':')?;
    let stamp = Stamp { node, milliseconds: milliseconds(time)?, serial: serial.parse().ok()? };
    let kind = kind_name(kind);
    let mut fields = Fields { kind: &kind, out: Vec::new(), text: String::new() };
    fields.read(body.strip_prefix(':').unwrap_or(body), 0);
    let Fields { mut out, text, .. } = fields;
    if !text.is_empty() {
        out.push(("message".to_owned(), text));
    }
    Some(AuditRecord { kind, stamp, fields: out, line, bytes: body.len() })
}

/// Seconds with a fraction as milliseconds; an enriched stamp may be a date, which is not read.
fn milliseconds(time: &str) -> Option<i64> {
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let seconds: i64 = seconds.parse().ok()?;
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    seconds.checked_mul(1000)?.checked_add(fraction.parse().ok()?)
}

struct Fields<'a> {
    kind: &'a str,
    out: Vec<(String, String)>,
    /// Words that are no field, such as `avc: denied { read } for`.
    text: String,
}

impl Fields<'_> {
    /// Reads `name=value` after `name=value`; `msg='…'` and `saddr={ … }` hold more of them.
    fn read(&mut self, body: &str, depth: u32) {
        let mut rest = body;
        loop {
            rest = rest.trim_start_matches([' ', '\u{1d}', '\t', ',']);
            if rest.is_empty() {
                return;
            }
            let end = rest.find([' ', '=', '\u{1d}', '\t']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=').filter(|_| is_name(word)) else {
                // Words with an equals sign but no name, such as `{`, are text up to the next blank.
                let end = rest.find([' ', '\u{1d}', '\t']).unwrap_or(rest.len());
                let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                self.text.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            };
            let (value, quoted, next) = value(after);
            rest = next;
            match value.chars().next() {
                _ if depth < 2 && (quoted == Some('\'') || quoted == Some('{')) => self.read(value, depth + 1),
                _ => self.field(word, value, quoted.is_some()),
            }
        }
    }

    fn field(&mut self, name: &str, value: &str, quoted: bool) {
        if !quoted && matches!(value, "" | "?" | "(null)" | "(none)" | "(unknown)") {
            return;
        }
        if !quoted
            && self.is_encoded(name)
            && let Some(text) = unhex(value)
        {
            if matches!(name, "key") {
                self.out.extend(text.split('\u{1}').map(|key| (name.to_owned(), key.to_owned())));
            } else {
                self.out.push((name.to_owned(), text));
            }
            return;
        }
        self.out.push((name.to_owned(), value.to_owned()));
    }

    /// Whether auditd writes this field in hex where its text has blanks, quotes or control characters.
    fn is_encoded(&self, name: &str) -> bool {
        const ENCODED: &[&str] = &[
            "acct",
            "cmd",
            "comm",
            "cwd",
            "data",
            "dir",
            "device",
            "dev_name",
            "exe",
            "file",
            "grp",
            "key",
            "name",
            "new-disk",
            "ocomm",
            "old-disk",
            "path",
            "proctitle",
            "sw",
            "vm",
            "watch",
            "unit",
        ];
        match self.kind {
            "EXECVE" => {
                name.starts_with('a') && name[1..].starts_with(|c: char| c.is_ascii_digit()) && !name.ends_with("len")
            }
            _ => ENCODED.contains(&name),
        }
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '[' | ']' | '.'))
}

/// A value at the start of a text, the kind of its quotes, and what follows.
fn value(text: &str) -> (&str, Option<char>, &str) {
    for (open, close) in [('"', '"'), ('\'', '\''), ('{', '}')] {
        if let Some(inner) = text.strip_prefix(open) {
            // A quote of `msg='…'` ends the line; names inside may hold another.
            let end = if open == '\'' { inner.rfind(close) } else { inner.find(close) };
            return match end {
                Some(end) => (&inner[..end], Some(open), &inner[end + 1..]),
                None => (inner, Some(open), ""),
            };
        }
    }
    let end = text.find([' ', '\u{1d}', '\t']).unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    (value.trim_end_matches(','), None, rest)
}

/// The text behind hex digits, a NUL between arguments being a blank; `None` if it is no hex.
pub(super) fn unhex(hex: &str) -> Option<String> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = bytes(hex)?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes behind hex digits.
pub(super) fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// A record type by its name; the kernel's own log has numbers.
fn kind_name(kind: &str) -> String {
    let Ok(number) = kind.parse::<u32>() else { return kind.to_owned() };
    let name = match number {
        1100 => "USER_AUTH",
        1101 => "USER_ACCT",
        1102 => "USER_MGMT",
        1103 => "CRED_ACQ",
        1104 => "CRED_DISP",
        1105 => "USER_START",
        1106 => "USER_END",
        1107 => "USER_AVC",
        1108 => "USER_CHAUTHTOK",
        1109 => "USER_ERR",
        1110 => "CRED_REFR",
        1111 => "USYS_CONFIG",
        1112 => "USER_LOGIN",
        1113 => "USER_LOGOUT",
        1114 => "ADD_USER",
        1115 => "DEL_USER",
        1116 => "ADD_GROUP",
        1117 => "DEL_GROUP",
        1123 => "USER_CMD",
        1124 => "USER_TTY",
        1130 => "SERVICE_START",
        1131 => "SERVICE_STOP",
        1300 => "SYSCALL",
        1302 => "PATH",
        1303 => "IPC",
        1304 => "SOCKETCALL",
        1305 => "CONFIG_CHANGE",
        1306 => "SOCKADDR",
        1307 => "CWD",
        1309 => "EXECVE",
        1318 => "OBJ_PID",
        1319 => "TTY",
        1320 => "EOE",
        1321 => "BPRM_FCAPS",
        1322 => "CAPSET",
        1323 => "MMAP",
        1325 => "NETFILTER_CFG",
        1326 => "SECCOMP",
        1327 => "PROCTITLE",
        1330 => "KERN_MODULE",
        1334 => "BPF",
        1400 => "AVC",
        1701 => "ANOM_ABEND",
        _ => return kind.to_owned(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<(String, String)> {
        parse(line, 1).unwrap().fields
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_line_gives_its_stamp_and_its_fields_with_hex_decoded() {
        let record = parse(
            r#"node=web1 type=EXECVE msg=audit(1481077231.371:479): argc=3 a0="sh" a1="-c" a2=6563686F2022612062220A"#,
            7,
        )
        .unwrap();
        assert_eq!(record.kind, "EXECVE");
        let node = Some("web1".to_owned());
        assert_eq!(record.stamp, Stamp { node, milliseconds: 1_481_077_231_371, serial: 479 });
        let expected = pairs(&[("argc", "3"), ("a0", "sh"), ("a1", "-c"), ("a2", "echo \"a b\"\n")]);
        assert_eq!(record.fields, expected);
        assert_eq!(record.line, 7);
    }

    #[test]
    fn arguments_of_a_system_call_are_no_text_and_absent_values_are_left_out() {
        assert_eq!(
            fields(r#"type=SYSCALL msg=audit(1.5:2): a0=6162 tty=(none) comm="a b" exe=2F746D702F612062 key=(null)"#),
            pairs(&[("a0", "6162"), ("comm", "a b"), ("exe", "/tmp/a b")]),
        );
        assert_eq!(
            fields("type=SYSCALL msg=audit(1.5:2): pid=1 key=65786563013634626974"),
            pairs(&[("pid", "1"), ("key", "exec"), ("key", "64bit")]),
        );
    }

    #[test]
    fn what_a_message_quotes_and_what_enrichment_adds_are_fields_too() {
        assert_eq!(
            fields(
                r#"type=SERVICE_STOP msg=audit(1.5:2): pid=1 msg='unit=ufw comm="systemd" exe="/l/systemd" addr=? res=success'"#
            ),
            pairs(&[("pid", "1"), ("unit", "ufw"), ("comm", "systemd"), ("exe", "/l/systemd"), ("res", "success")]),
        );
        assert_eq!(
            fields("type=SYSCALL msg=audit(1.5:2): syscall=59 \u{1d}ARCH=x86_64 SYSCALL=execve UID=\"root\""),
            pairs(&[("syscall", "59"), ("ARCH", "x86_64"), ("SYSCALL", "execve"), ("UID", "root")]),
        );
        assert_eq!(
            fields("type=SOCKADDR msg=audit(1.5:2): saddr=0200 \u{1d}SADDR={ saddr_fam=inet laddr=1.2.3.4 lport=80 }"),
            pairs(&[("saddr", "0200"), ("saddr_fam", "inet"), ("laddr", "1.2.3.4"), ("lport", "80")]),
        );
    }

    #[test]
    fn the_kernels_own_log_has_numbers_and_an_avc_has_words() {
        let record = parse("Nov 1 h kernel: [1.2] audit: type=1327 audit(1.002:3): proctitle=61720020", 1).unwrap();
        assert_eq!((record.kind.as_str(), record.fields), ("PROCTITLE", pairs(&[("proctitle", "ar  ")])));
        assert_eq!(
            fields(r#"type=AVC msg=audit(1.2:3): avc:  denied  { read } for  pid=9 comm="x""#),
            pairs(&[("pid", "9"), ("comm", "x"), ("message", "avc: denied { read } for")]),
        );
    }

    #[test]
    fn what_is_no_record_is_none_and_cut_lines_give_what_they_have() {
        for line in
            ["", "type=", "type=X", "type=UNKNOWN[1329] msg=?", "type=A msg=audit(1:", "type=A msg=audit(x:1): a=b"]
        {
            assert_eq!(parse(line, 1), None, "{line}");
        }
        let cut = fields(r#"type=PATH msg=audit(1.2:3): item=0 name="/etc/pas"#);
        assert_eq!(cut, pairs(&[("item", "0"), ("name", "/etc/pas")]));
        assert_eq!(fields("type=X msg=audit(1.2:3): === {{ a=\u{1d}"), pairs(&[("message", "=== {{")]));
    }
}
