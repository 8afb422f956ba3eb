//! Windows event logs of our own making, in every form that they come in and in every state of damage: what can be read
//! is read, what cannot is counted, and nothing else happens.

use sandsift_ingest::{Artifact, ArtifactReport, Config, Kind, Limits, Run, RunContext};
use sandsift_sigma::Value as Field;
use sandsift_tests::evtx::{Data, FileTime, Guid, Record, Sid, Value, write_all};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use zip::write::SimpleFileOptions;

/// One event: fields by name, repeated ones joined by `|`, and what it answers to.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    id: Option<u64>,
    fields: BTreeMap<String, String>,
    logsource: String,
}

fn read_with(limits: Limits, artifacts: &[(&str, &[u8])]) -> (Vec<Seen>, Vec<ArtifactReport>) {
    read_records(limits, artifacts, true)
}

/// Reads artifacts in one run and holds their reports to account; strictly where records are known apart by channel,
/// number and time.
fn read_records(limits: Limits, artifacts: &[(&str, &[u8])], strict: bool) -> (Vec<Seen>, Vec<ArtifactReport>) {
    let config = Config { limits, ..Config::default() };
    let mut run = Run::new(Arc::new(config), RunContext::default());
    let mut seen = Vec::new();
    let mut reports = Vec::new();
    for (index, (kind, bytes)) in artifacts.iter().enumerate() {
        let kind = (!kind.is_empty()).then(|| Kind((*kind).to_owned().into()));
        let artifact = Artifact { index: index as u32, name: "artifact", kind: kind.as_ref(), bytes };
        let mut records = std::collections::BTreeSet::new();
        let mut handed = 0u64;
        let report = run.read(&artifact, &mut |record| {
            let mut fields: BTreeMap<String, String> = BTreeMap::new();
            for (name, value) in record.event.iter() {
                let text = match value {
                    Field::Null | Field::Empty => String::new(),
                    Field::Bool(b) => b.to_string(),
                    Field::Int(n) => n.to_string(),
                    Field::Number(t) | Field::Str(t) => t.to_owned(),
                };
                fields
                    .entry(name.to_owned())
                    .and_modify(|known| known.extend(["|", text.as_str()]))
                    .or_insert_with(|| text.clone());
            }
            let source = record.event.source();
            let logsource = format!(
                "{} {} {}",
                source.product.as_deref().unwrap_or("-"),
                source.categories.join("+"),
                source.services.join("+")
            );
            records.insert((record.channel.map(str::to_owned), record.id, record.event.time()));
            handed += 1;
            seen.push(Seen { id: record.id, fields, logsource });
            ControlFlow::Continue(())
        });
        assert_eq!(handed, report.events.values().sum::<u64>(), "events are counted");
        let left_out: u64 = report.skipped.iter().map(|s| s.count).sum();
        // Several events may come of one record.
        assert!((left_out..=handed + left_out).contains(&report.records), "{report:?}");
        if strict {
            assert_eq!(report.records, records.len() as u64 + left_out, "records = those with events + {report:?}");
        }
        reports.push(report);
    }
    (seen, reports)
}

fn read(bytes: &[u8]) -> (Vec<Seen>, ArtifactReport) {
    let (seen, mut reports) = read_with(Limits::default(), &[("", bytes)]);
    (seen, reports.remove(0))
}

fn skipped(report: &ArtifactReport) -> Vec<(&str, u64)> {
    report.skipped.iter().map(|s| (s.code, s.count)).collect()
}

fn process(number: u64) -> Record {
    let mut record = Record::new(
        "Microsoft-Windows-Sysmon",
        "Microsoft-Windows-Sysmon/Operational",
        1,
        FileTime::from_unix_micros(1_780_000_000_000_000 + number * 1_000_000),
    );
    record.provider_guid = Some(Guid(0x5770385f_c22a_43e0_bf4c_06f5698ffbd9));
    record.user = Some(Sid::system());
    record
        .with("ProcessId", Value::U32(number as u32))
        .with("Image", "C:\\Windows\\System32\\cmd.exe")
        .with("CommandLine", Value::Str(format!("cmd.exe /c \"echo <{number}> & exit\" ß €")))
        .with("Hashes", "SHA1=AB,MD5=CD")
        .with("OriginalFileName", "")
}

fn log(count: u64) -> Vec<u8> {
    let records: Vec<Record> = (0..count).map(process).collect();
    write_all(&records).unwrap()
}

const EVENT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
    <Provider Name='Microsoft-Windows-Sysmon' Guid='{5770385f-c22a-43e0-bf4c-06f5698ffbd9}'/><EventID>1</EventID>\
    <TimeCreated SystemTime='2026-05-28T20:26:41.0000000Z'/><EventRecordID>RECORD</EventRecordID><Correlation/>\
    <Execution ProcessID='1' ThreadID='2'/><Channel>Microsoft-Windows-Sysmon/Operational</Channel>\
    <Computer>host</Computer></System><EventData><Data Name='Image'>C:\\caf\u{e9} &amp; &#x42;.exe</Data>\
    <Data Name='OriginalFileName'></Data></EventData></Event>";

fn xml(records: &[u64]) -> String {
    records.iter().map(|n| EVENT.replace("RECORD", &n.to_string()) + "\r\n").collect()
}

#[test]
fn a_record_becomes_an_event_with_system_fields_data_and_logsource() {
    let (seen, report) = read(&log(3));
    assert_eq!(report.kind, Some(Kind("evtx".into())));
    assert_eq!(seen.len(), 3);
    let event = &seen[1];
    assert_eq!(event.logsource, "windows process_creation sysmon");
    for (name, value) in [
        ("EventID", "1"),
        ("Channel", "Microsoft-Windows-Sysmon/Operational"),
        ("Provider_Name", "Microsoft-Windows-Sysmon"),
        ("Provider_Guid", "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"),
        ("Security_UserID", "S-1-5-18"),
        ("ProcessId", "1"),
        ("CommandLine", "cmd.exe /c \"echo <1> & exit\" ß €"),
        ("md5", "CD"),
        ("OriginalFileName", ""),
    ] {
        assert_eq!(event.fields.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn unnamed_data_is_a_list_and_user_data_and_names_with_spaces_are_fields() {
    let time = FileTime::from_unix_micros(1_780_000_000_000_000);
    let mut classic = Record::new("PowerShell", "Windows PowerShell", 400, time);
    classic = classic.with("", Value::StrArray(vec!["Available".to_owned(), "HostApplication=x".to_owned()]));
    let mut wmi =
        Record::new("Microsoft-Windows-WMI-Activity", "Microsoft-Windows-WMI-Activity/Operational", 5861, time);
    wmi.data = Data::User {
        name: "Operation_ESStoConsumerBinding".to_owned(),
        namespace: "http://manifests.microsoft.com/win/2006/windows/WMI".to_owned(),
        fields: vec![("PossibleCause".to_owned(), "Binding".into()), ("Channel".to_owned(), "other".into())],
    };
    let defender =
        Record::new("Microsoft-Windows-Windows Defender", "Microsoft-Windows-Windows Defender/Operational", 1116, time)
            .with("Threat Name", "HackTool:Win32/X")
            .with("Path", "file:_C:\\x.exe");
    let (seen, report) = read(&write_all(&[classic, wmi, defender]).unwrap());
    assert_eq!(skipped(&report), []);
    let by = |logsource: &str| seen.iter().find(|s| s.logsource == logsource).unwrap_or_else(|| panic!("{logsource}"));
    assert_eq!(by("windows ps_classic_start powershell-classic").fields["Data"], "Available|HostApplication=x");
    // Data wins over the same name in System.
    assert_eq!(by("windows  wmi").fields["Channel"], "other");
    assert_eq!(by("windows wmi_event ").fields["Destination"], "Binding");
    let threat = &by("windows  windefend").fields;
    assert_eq!((&*threat["Threat Name"], &*threat["ThreatName"]), ("HackTool:Win32/X", "HackTool:Win32/X"));
    assert_eq!(by("windows antivirus ").fields["Signature"], "HackTool:Win32/X");
}

#[test]
fn a_4688_gives_the_security_event_and_a_process_creation() {
    let time = FileTime::from_unix_micros(1_780_000_000_000_000);
    let record = Record::new("Microsoft-Windows-Security-Auditing", "Security", 4688, time)
        .with("NewProcessName", "C:\\Windows\\System32\\whoami.exe")
        .with("NewProcessId", Value::Hex64(0x1a4))
        .with("ProcessId", Value::Hex64(0x10))
        .with("CommandLine", "whoami /all");
    let (seen, report) = read(&write_all(&[record]).unwrap());
    assert_eq!((seen.len(), report.records), (2, 1));
    assert_eq!(seen[0].logsource, "windows  security");
    assert_eq!(seen[0].fields["ProcessId"], "0x10");
    assert_eq!(seen[1].logsource, "windows process_creation ");
    assert_eq!((&*seen[1].fields["ProcessId"], &*seen[1].fields["ParentProcessId"]), ("420", "16"));
    assert_eq!(seen[1].fields["Image"], "C:\\Windows\\System32\\whoami.exe");
}

#[test]
fn of_a_truncated_log_the_readable_records_are_read_and_the_rest_is_counted() {
    let whole = log(400);
    let (all, _) = read(&whole);
    assert_eq!(all.len(), 400);
    for cut in [5000, 4096 + 30_000, 4096 + 65_536, 4096 + 65_536 + 7] {
        let (seen, report) = read(&whole[..cut]);
        assert!(seen.len() < 400, "{cut}");
        assert!(!report.skipped.is_empty(), "{cut}: {report:?}");
        assert_eq!(seen[..], all[..seen.len()], "{cut}");
    }
}

#[test]
fn a_damaged_record_or_chunk_costs_itself_alone() {
    let whole = log(400);
    let chunks = (whole.len() - 4096) / 65_536;
    assert!(chunks >= 3);
    // A record's start in the first chunk.
    let mut one = whole.clone();
    let second = 4096 + 512 + u32::from_le_bytes(one[4096 + 512 + 4..4096 + 512 + 8].try_into().unwrap()) as usize;
    one[second] = b'X';
    let (seen, report) = read(&one);
    assert_eq!((seen.len(), skipped(&report)), (399, vec![("record-unreadable", 1)]));
    // A whole chunk.
    let mut chunk = whole.clone();
    chunk[4096 + 65_536..4096 + 2 * 65_536].fill(0xcc);
    let (seen, report) = read(&chunk);
    assert!(seen.len() > 100 && seen.len() < 400);
    assert_eq!(skipped(&report), [("chunk-unreadable", 1)]);
    // Every byte in turn, at a stride: never a panic, and always an account.
    for at in (0..whole.len()).step_by(4099) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        read_records(Limits::default(), &[("", &flipped)], false);
    }
}

#[test]
fn concatenated_logs_are_read_one_after_another_and_snapshots_count_once() {
    let (first, second) = (log(10), {
        let records: Vec<Record> = (1000..1010).map(process).collect();
        write_all(&records).unwrap()
    });
    let both = [first.clone(), second].concat();
    assert_eq!(read(&both).0.len(), 20, "same numbers at other times are other records");
    let (seen, report) = read(&[first.clone(), first.clone()].concat());
    assert_eq!((seen.len(), skipped(&report)), (10, vec![("duplicate-record", 10)]));
    let (seen, reports) = read_with(Limits::default(), &[("", &first), ("evtx", &first)]);
    assert_eq!((seen.len(), skipped(&reports[1])), (10, vec![("duplicate-record", 10)]));
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn zips_are_read_under_any_names_and_a_record_in_two_snapshots_counts_once() {
    let log = log(5);
    let channel = "Microsoft-Windows-Sysmon%4Operational.evtx";
    let snapshots = zipped(&[(channel, &log), (&format!("3_{channel}"), &log), ("../../etc/passwd", b"root:x")]);
    let (seen, report) = read(&snapshots);
    assert_eq!(seen.len(), 5);
    assert_eq!(report.kind, Some(Kind("evtx.zip".into())));
    assert_eq!(skipped(&report), [("duplicate-record", 5)]);
    assert_eq!(report.notes.iter().map(|n| n.code).collect::<Vec<_>>(), ["member-unrecognised"]);
    // Cut behind its members: the directory is gone, they are not.
    let cut = &snapshots[..snapshots.len() - 40];
    assert_eq!(read(cut).0.len(), 5);
    // Other artifacts in it, and an archive in an archive.
    let mixed = zipped(&[("a.xml", xml(&[77]).as_bytes()), ("b.zip", &snapshots)]);
    let (seen, report) = read(&mixed);
    assert_eq!((seen.len(), skipped(&report)), (1, vec![("nested-too-deep", 1)]));
}

#[test]
fn bombs_and_long_lines_meet_their_limits() {
    let zeros = vec![0u8; 8 << 20];
    let limits = Limits { unpack_ratio: 10, ..Limits::default() };
    let (_, reports) = read_with(limits, &[("", &zipped(&[("a.evtx", &zeros)]))]);
    assert_eq!(skipped(&reports[0]), [("unpack-limit", 1)]);
    let limits = Limits { archive_entries: 2, ..Limits::default() };
    let (_, reports) = read_with(limits, &[("", &zipped(&[("a", b"x"), ("b", b"x"), ("c", b"x")]))]);
    assert_eq!(skipped(&reports[0]), [("archive-entries", 1)]);
    let limits = Limits { record_bytes: 1000, ..Limits::default() };
    let long = format!(
        "{{\"Channel\":\"Security\",\"EventID\":1,\"a\":\"{}\"}}\n{{\"Channel\":\"Security\",\"EventID\":2}}\n",
        "x".repeat(5000)
    );
    let (seen, reports) = read_with(limits, &[("", long.as_bytes())]);
    assert_eq!((seen.len(), skipped(&reports[0])), (1, vec![("record-bytes", 1)]));
    let limits = Limits { records: 3, ..Limits::default() };
    let (seen, reports) = read_with(limits, &[("", &log(10))]);
    assert_eq!((seen.len(), reports[0].notes[0].code), (3, "limit-records"));
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let (seen, report) = read(deep.as_bytes());
    assert_eq!((seen.len(), report.skipped.len()), (0, 1));
}

#[test]
fn xml_is_read_in_any_order_and_encoding_and_a_damaged_event_costs_itself_alone() {
    let utf8 = format!("<?xml version='1.0'?><Events>{}</Events>", xml(&[3, 2, 1]));
    let (expected, report) = read(utf8.as_bytes());
    assert_eq!(report.kind, Some(Kind("evtx.xml".into())));
    assert_eq!(expected.iter().map(|s| s.id).collect::<Vec<_>>(), [Some(3), Some(2), Some(1)]);
    assert_eq!(expected[0].fields["Image"], "C:\\caf\u{e9} & B.exe");
    assert_eq!(expected[0].fields["OriginalFileName"], "");
    assert_eq!(expected[0].fields["Execution_ProcessID"], "1");
    let latin: Vec<u8> = utf8.chars().map(|c| c as u8).collect();
    let le: Vec<u8> = utf8.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let be: Vec<u8> = format!("\u{feff}{utf8}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mark = [b"\xef\xbb\xbf", utf8.as_bytes()].concat();
    for content in [latin, le, be, mark] {
        assert_eq!(read(&content).0, expected);
    }
    let broken = format!("{}<Event><System><EventID>1</Event>{}<Event><System>", xml(&[1]), xml(&[2]));
    let (seen, report) = read(broken.as_bytes());
    assert_eq!((seen.len(), skipped(&report)), (2, vec![("record-unreadable", 2)]));
}

#[test]
fn json_of_every_tool_is_the_same_record() {
    let evtx_dump = r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},
        "EventID":{"#attributes":{"Qualifiers":0},"#text":1},"EventRecordID":7,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"host",
        "TimeCreated":{"#attributes":{"SystemTime":"2026-05-28T20:26:40.000000Z"}}},"EventData":{"Image":"C:\\a.exe","ProcessGuid":"5770385F-C22A-43E0-BF4C-06F5698FFBD9"}}}"##;
    let xmltodict = r##"[{"@xmlns":"x","System":{"Provider":{"@Name":"Microsoft-Windows-Sysmon"},"EventID":"1","EventRecordID":"7","Correlation":null,
        "Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"host","TimeCreated":{"@SystemTime":"2026-05-28T20:26:40.0000000Z"}},
        "EventData":{"Data":[{"@Name":"Image","#text":"C:\\a.exe"},{"@Name":"Empty"}]}}]"##;
    let winlogbeat = r##"{"@timestamp":"2026-05-28T20:26:40.000Z","winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1",
        "computer_name":"host","provider_name":"Microsoft-Windows-Sysmon","record_id":7,"event_data":{"Image":"C:\\a.exe"}},"event":{"code":"1"}}"##;
    let flat = r##"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"EventRecordID":7,"Hostname":"host","SourceName":"Microsoft-Windows-Sysmon",
        "@timestamp":"2026-05-28T20:26:40.000Z","Image":"C:\\a.exe"}"##;
    for json in [evtx_dump, xmltodict, winlogbeat, flat] {
        let (seen, report) = read(json.as_bytes());
        assert_eq!(skipped(&report), [], "{json}");
        assert_eq!(seen[0].logsource, "windows process_creation sysmon", "{json}");
        assert_eq!(seen[0].id, Some(7));
        for (name, value) in [
            ("EventID", "1"),
            ("Image", "C:\\a.exe"),
            ("Computer", "host"),
            ("Provider_Name", "Microsoft-Windows-Sysmon"),
        ] {
            assert_eq!(seen[0].fields.get(name).map(String::as_str), Some(value), "{name} of {json}");
        }
    }
    let all: Vec<(&str, &[u8])> = [evtx_dump, xmltodict, winlogbeat, flat].iter().map(|j| ("", j.as_bytes())).collect();
    assert_eq!(read_with(Limits::default(), &all).0.len(), 1, "one record, however often it is told");
    assert_eq!(read(evtx_dump.as_bytes()).0[0].fields["ProcessGuid"], "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}");
    assert_eq!(read(xmltodict.as_bytes()).0[0].fields["Empty"], "");
}

#[test]
fn a_kind_that_is_named_wins_and_one_that_is_named_wrongly_is_reported() {
    let log = log(2);
    let (seen, reports) = read_with(Limits::default(), &[("evtx.zip", &log)]);
    assert_eq!((seen.len(), reports[0].notes[0].code), (2, "kind-mismatch"));
    assert_eq!(reports[0].kind, Some(Kind("evtx".into())));
    let line = br#"{"Channel":"Security","EventID":4624,"product":"linux","category":"process_creation"}"#;
    let (seen, reports) = read_with(Limits::default(), &[("ndjson", line)]);
    assert_eq!((&*seen[0].logsource, reports[0].notes.len()), ("linux process_creation ", 0));
    let (_, report) = read(b"no one writes this");
    assert_eq!(skipped(&report), [("unrecognised", 1)]);
}

#[test]
fn gzip_is_looked_through() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&log(2)).unwrap();
    let packed = gzip.finish().unwrap();
    let (seen, report) = read(&packed);
    assert_eq!((seen.len(), report.kind), (2, Some(Kind("evtx".into()))));
    assert!(!read(&packed[..packed.len() - 20]).1.skipped.is_empty(), "damage is told");
}

/// A small generator of the same numbers on every run; `MUTATIONS` asks for more of them.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }
}

#[test]
fn mutated_artifacts_are_read_or_counted_and_never_end_the_process() {
    let rounds: usize = std::env::var("MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let log = log(40);
    let xml = format!("<Events>{}</Events>", xml(&[1, 2, 3]));
    let json = "{\"Event\":{\"System\":{\"EventID\":1,\"Channel\":\"Security\",\"EventRecordID\":3},\"EventData\":{\"a\":[1,{\"b\":null}]}}}\n\
        {\"Channel\":\"System\",\"EventID\":\"7045\",\"Threat Name\":\"x\",\"Hashes\":\"MD5=1\",\"TargetObject\":\"HKLM\\\\System\\\\ControlSet001\"}\n";
    let zip = zipped(&[("a.evtx", &log), ("b.xml", xml.as_bytes())]);
    let limits = || Limits { unpacked_bytes: 8 << 20, records: 5_000, ..Limits::default() };
    let mut dice = Dice(42);
    for seed in [&log[..], xml.as_bytes(), json.as_bytes(), &zip[..]] {
        for _ in 0..rounds {
            let mut content = seed.to_vec();
            for _ in 0..=dice.roll(8) {
                if content.is_empty() {
                    break;
                }
                let at = dice.roll(content.len());
                match dice.roll(6) {
                    0 => content[at] = dice.roll(256) as u8,
                    1 => content[at] ^= 1 << dice.roll(8),
                    2 => content.truncate(at),
                    3 => {
                        let end = (at + dice.roll(64)).min(content.len());
                        content.drain(at..end);
                    }
                    4 => {
                        let end = (at + dice.roll(64)).min(content.len());
                        let part = content[at..end].to_vec();
                        content.splice(at..at, part);
                    }
                    _ => {
                        let value = [0u32, 1, 0xffff, 0x7fff_ffff, u32::MAX, 0xffff_fff0][dice.roll(6)].to_le_bytes();
                        let end = (at + 4).min(content.len());
                        content[at..end].copy_from_slice(&value[..end - at]);
                    }
                }
            }
            read_records(limits(), &[("", &content)], false);
        }
    }
}
