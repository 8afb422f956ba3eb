//! Linux: Sysmon for Linux, auditd, syslog, strace.

use crate::{Read, read, shared, sigmahq};
use sandsift_ingest::{Origin, RunContext};

fn plain(text: &str) -> Read {
    read(text.as_bytes(), None, RunContext::default())
}

fn of_sample(name: &str) -> RunContext {
    RunContext { sample_name: Some(name.to_owned()), ..RunContext::default() }
}

const SYSMON: &str = r#"-- Logs begin at Mon 2026-08-24 10:00:00 UTC. --
Aug 24 10:00:01 box systemd[1]: Started Sysmon event logger.
Aug 24 10:00:02 box sysmon[77]: <Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/><EventID>1</EventID><TimeCreated SystemTime="2026-08-24T10:00:02.123456789Z"/><EventRecordID>9</EventRecordID><Execution ProcessID="77" ThreadID="77"/><Channel>Linux-Sysmon/Operational</Channel><Computer>box</Computer></System><EventData><Data Name="ProcessId">501</Data><Data Name="Image">/tmp/.x (deleted)</Data><Data Name="CommandLine">/tmp/.x &amp; &lt;a&gt;</Data><Data Name="ParentImage">-</Data><Data Name="ParentProcessId">0</Data><Data Name="ParentCommandLine">(null)</Data></EventData></Event>
Aug 24 10:00:03 box sysmon[77]: <Event><System><Provider Name="Linux-Sysmon"/><EventID>11</EventID><EventRecordID>10</EventRecordID></System><EventData><Data Name="ProcessId">501</Data><Data Name="Image"><![CDATA[<unknown process>]]></Data><Data Name="TargetFilename">/etc/cron.d/x</Data></EventData></Event>
Aug 24 10:00:04 box sysmon[77]: <Event><System><Provider Name="Linux-Sysmon"/><EventID>1
"#;

#[test]
fn sysmon_in_the_journals_text_with_every_line_accounted_for() {
    let read = plain(SYSMON);
    assert_eq!(read.counts(), [("file_event", 1), ("process_creation", 1)]);
    let skipped: Vec<_> = read.report.skipped.iter().map(|s| (s.code, s.count)).collect();
    assert_eq!(skipped, [("line-without-event", 2), ("record-unreadable", 1)]);
    let process = read.of("process_creation").next().unwrap();
    assert_eq!(process.product.as_deref(), Some("linux"));
    assert!(process.is("sysmon"));
    assert_eq!(process.get("Image"), Some("/tmp/.x"), "without the kernel's mark");
    assert_eq!(process.get("CommandLine"), Some("/tmp/.x & <a>"));
    assert_eq!(process.get("ProcessId"), Some("501"), "the subject, not Sysmon itself");
    assert_eq!((process.get("ParentImage"), process.get("ParentCommandLine")), (None, None));
    assert_eq!(process.id, Some(9));
    let file = read.of("file_event").next().unwrap();
    assert_eq!((file.get("Image"), file.get("TargetFilename")), (None, Some("/etc/cron.d/x")));
}

const AUDIT: &str = r#"type=SYSCALL msg=audit(1700000000.100:10): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 ppid=400 pid=500 auid=1000 uid=0 gid=0 euid=0 comm="drop" exe="/tmp/drop" key="exec"
type=SYSCALL msg=audit(1700000001.100:11): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 ppid=500 pid=501 auid=1000 uid=0 gid=0 euid=0 comm="sh" exe="/usr/bin/dash" key=(null)
type=EXECVE msg=audit(1700000000.100:10): argc=1 a0="/tmp/drop"
type=EXECVE msg=audit(1700000001.100:11): argc=3 a0="sh" a1="-c" a2_len=12 a2[0]=65636820 a2[1]=226869222A
type=CWD msg=audit(1700000001.100:11): cwd="/tmp"
type=PROCTITLE msg=audit(1700000001.100:11): proctitle=7368002D63
type=SYSCALL msg=audit(1700000002.100:12): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=7f a2=241 a3=1b6 ppid=500 pid=501 uid=0 comm="sh" exe="/usr/bin/dash" key=(null)
type=CWD msg=audit(1700000002.100:12): cwd="/etc"
type=PATH msg=audit(1700000002.100:12): item=0 name="/etc/" nametype=PARENT
type=PATH msg=audit(1700000002.100:12): item=1 name="./cron.d/x" nametype=CREATE
type=SYSCALL msg=audit(1700000003.100:13): arch=c000003e syscall=82 success=yes exit=0 ppid=500 pid=501 uid=0 comm="mv" exe="/usr/bin/mv" key=(null)
type=CWD msg=audit(1700000003.100:13): cwd="/tmp"
type=PATH msg=audit(1700000003.100:13): item=2 name="a" nametype=DELETE
type=PATH msg=audit(1700000003.100:13): item=3 name="b" nametype=CREATE
type=SYSCALL msg=audit(1700000004.100:14): arch=c000003e syscall=42 success=no exit=-115 a0=3 ppid=500 pid=501 uid=0 comm="nc" exe="/usr/bin/nc" key=(null)
type=SOCKADDR msg=audit(1700000004.100:14): saddr=02000050A9FEA9FE0000000000000000
type=SYSCALL msg=audit(1700000005.100:15): arch=c000003e syscall=59 success=no exit=-2 ppid=500 pid=502 uid=0 comm="no" exe="/usr/bin/no" key=(null)
type=SYSCALL msg=audit(1700000006.100:16): arch=c000003e syscall=263 success=yes exit=0 ppid=500 pid=501 uid=0 comm="rm" exe="/usr/bin/rm" key=(null)
type=PATH msg=audit(1700000006.100:16): item=1 name="/tmp/gone" nametype=DELETE
type=EOE msg=audit(1700000006.100:16):
type=SERVICE_STOP msg=audit(1700000007.100:17): pid=1 uid=0 msg='unit=ufw comm="systemd" exe="/lib/systemd/systemd" res=success'
not an audit record
"#;

#[test]
fn auditd_records_are_joined_to_what_was_done() {
    let read = read(AUDIT.as_bytes(), None, of_sample("drop"));
    assert_eq!(
        read.counts(),
        [
            ("auditd", 21),
            ("file_delete", 1),
            ("file_event", 2),
            ("file_rename", 1),
            ("network_connection", 1),
            ("process_creation", 2),
        ]
    );
    assert_eq!(read.values("process_creation", "CommandLine"), ["/tmp/drop", "sh -c ech \"hi\"*"]);
    let shell = read.of("process_creation").nth(1).unwrap();
    assert_eq!(shell.get("ParentImage"), Some("/tmp/drop"), "from the parent's own start");
    assert_eq!((shell.get("User"), shell.get("CurrentDirectory")), (Some("root"), Some("/tmp")));
    assert_eq!(read.values("file_event", "TargetFilename"), ["/etc/cron.d/x", "/tmp/b"]);
    assert_eq!(read.values("file_rename", "SourceFilename"), ["/tmp/a"]);
    assert_eq!(read.values("file_delete", "TargetFilename"), ["/tmp/gone"]);
    let connection = read.of("network_connection").next().unwrap();
    assert_eq!(connection.get("DestinationIp"), Some("169.254.169.254"));
    assert_eq!((connection.get("DestinationPort"), connection.get("Initiated")), (Some("80"), Some("true")));
    assert!(read.of("process_creation").all(|event| event.origin == Origin::Sample));
    assert_eq!(connection.origin, Origin::Sample);
}

#[test]
fn each_audit_record_is_an_event_under_its_own_names() {
    let read = plain(AUDIT);
    let execve = read.of("auditd").find(|e| e.get("type") == Some("EXECVE") && e.get("a0") == Some("sh")).unwrap();
    assert_eq!(
        (execve.get("a1"), execve.get("exe"), execve.get("pid")),
        (Some("-c"), Some("/usr/bin/dash"), Some("501"))
    );
    assert_eq!(execve.get("key"), None, "a key is its SYSCALL record's alone");
    let call = read.of("auditd").find(|e| e.get("key") == Some("exec")).unwrap();
    assert_eq!((call.get("type"), call.get("SYSCALL"), call.get("a0")), (Some("SYSCALL"), Some("execve"), Some("1")));
    assert_eq!(read.of("auditd").filter_map(|e| e.get("unit")).collect::<Vec<_>>(), ["ufw"]);
}

#[test]
fn syslog_lines_answer_to_their_daemons() {
    let read = plain(
        "Nov  1 12:00:00 h sshd[1]: Corrupted MAC on input\nNov  1 12:00:01 h CRON[2]: (root) REPLACE (root)\nrubbish\n",
    );
    assert_eq!(read.report.kind.unwrap().0, "syslog");
    assert!(read.events[0].is("sshd") && read.events[0].is("auth") && read.events[1].is("cron"));
    assert_eq!(read.report.skipped[0].code, "record-unreadable");
}

const STRACE: &str = r#"10 12:00:00.1 execve("/tmp/drop", ["/tmp/drop", "-x"], 0x7ff /* 9 vars */) = 0
10 12:00:00.2 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 11
11 12:00:00.3 execve("/bin/sh", ["sh", "-c", "echo \"a, b\""], 0x7ff /* 9 vars */ <unfinished ...>
10 12:00:00.4 brk(NULL) = 0x55
11 12:00:00.5 <... execve resumed>) = 0
11 12:00:00.6 openat(AT_FDCWD, "/etc/cron.d/x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3
11 12:00:00.7 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 4
11 12:00:00.8 connect(5, {sa_family=AF_INET, sin_port=htons(4444), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
11 12:00:00.9 unlink("/tmp/drop") = 0
11 12:00:01.0 rename("/tmp/a", "/tmp/b") = 0
11 12:00:01.1 execve("/bin/none", ["none"], 0x7ff) = -1 ENOENT (No such file or directory)
11 12:00:01.2 +++ exited with 0 +++
"#;

#[test]
fn strace_calls_are_doings_with_their_process() {
    let read = read(STRACE.as_bytes(), None, of_sample("drop"));
    assert_eq!(
        read.counts(),
        [
            ("file_delete", 1),
            ("file_event", 2),
            ("file_rename", 1),
            ("network_connection", 1),
            ("process_creation", 2),
            ("process_termination", 1),
        ]
    );
    let shell = read.of("process_creation").nth(1).unwrap();
    assert_eq!(shell.get("CommandLine"), Some("sh -c echo \"a, b\""));
    assert_eq!((shell.get("ParentImage"), shell.get("ParentProcessId")), (Some("/tmp/drop"), Some("10")));
    assert_eq!(read.values("file_event", "Image"), ["/bin/sh", "/bin/sh"]);
    assert_eq!(read.values("network_connection", "DestinationPort"), ["4444"]);
    assert!(read.events.iter().all(|event| event.origin == Origin::Sample));
}

#[test]
fn hostile_text_ends_and_is_counted() {
    for text in [
        "type=SYSCALL msg=audit(1.0:1): ".to_owned() + &"a=b ".repeat(200_000),
        (0..5_000).map(|n| format!("type=PATH msg=audit(1.0:{n}): name=a\n")).collect(),
        "type=PATH msg=audit(1.0:1): name=a\n".repeat(20_000),
        "10 execve(".to_owned() + &"[".repeat(100_000) + ") = 0\n",
        (0..20_000).map(|n| format!("{n} openat(AT_FDCWD, \"x <unfinished ...>\n")).collect::<String>()
            + "1 brk(0) = 0\n",
        "Nov 1 12:00:00 h x: ".to_owned() + &"\u{fffd}".repeat(10_000),
        r#"<Provider Name="Linux-Sysmon"/>"#.to_owned() + &"<Event>".repeat(50_000),
    ] {
        plain(&text);
    }
}

/// A file, its events by category, how many records are left out, and the rules that fire.
type Expected<'t> = (&'t str, &'t [(&'t str, u64)], u64, &'t [&'t str]);

/// The files of the shared data: events by category, and the rules that a person who reads them expects.
#[test]
fn shared_files_give_what_a_reader_expects() {
    let files: &[Expected<'_>] = &[
        (
            "sh_arp_cache_2020-11-10074812.log",
            &[("auditd", 12), ("process_creation", 2)],
            0,
            // `arp -a` and `grep -v`, both the discovery of other hosts.
            &["Linux Remote System Discovery"],
        ),
        (
            "sh_binary_padding_dd_2020-11-10081941.log",
            &[("auditd", 6), ("process_creation", 1)],
            0,
            // `dd if=/dev/zero bs=1 count=1`
            &["Binary Padding - Linux", "Overwriting the File with Dev Zero or Null"],
        ),
        (
            "sysmon_for_linux.syslog",
            &[("process_creation", 2)],
            0,
            // `wget … -O /tmp/…`
            &["Download File To Potentially Suspicious Directory Via Wget"],
        ),
        ("golibaudit_auparse_testdata_audit-rhel6.log", &[("auditd", 2)], 0, &[]),
        // A line `type=UNKNOWN[1329] msg=?` has no stamp; useradd and a terminal's input are there to be found.
        (
            "golibaudit_auparse_testdata_audit-rhel7.log",
            &[("auditd", 49)],
            1,
            &["Creation Of An User Account", "Linux Keylogging with Pam.d"],
        ),
        ("golibaudit_auparse_testdata_audit-ubuntu14.log", &[("auditd", 1)], 0, &[]),
        ("golibaudit_auparse_testdata_audit-ubuntu16.log", &[("auditd", 3)], 0, &[]),
        ("golibaudit_auparse_testdata_audit-ubuntu17.log", &[("auditd", 1), ("process_creation", 1)], 0, &[]),
        ("golibaudit_auparse_testdata_test2.log", &[("auditd", 10)], 0, &[]),
        ("golibaudit_auparse_testdata_test3.log", &[("auditd", 17)], 0, &[]),
        (
            "golibaudit_testdata_normal.log",
            &[("auditd", 17), ("network_connection", 1), ("process_creation", 2)],
            0,
            &[],
        ),
        (
            "golibaudit_testdata_lost_messages.log",
            &[("auditd", 17), ("network_connection", 1), ("process_creation", 2)],
            0,
            &[],
        ),
        (
            "golibaudit_testdata_out_of_order.log",
            &[("auditd", 17), ("network_connection", 1), ("process_creation", 2)],
            0,
            &[],
        ),
        ("golibaudit_testdata_rollover.log", &[("auditd", 5), ("process_creation", 1)], 0, &[]),
    ];
    let mut missing = Vec::new();
    for (file, events, skipped, expected) in files {
        let Some(bytes) = shared(&format!("linux/{file}")) else { return };
        let read = read(&bytes, None, RunContext::default());
        assert_eq!(read.counts(), *events, "{file}");
        assert_eq!(read.report.skipped.iter().map(|s| s.count).sum::<u64>(), *skipped, "{file}");
        let Some(titles) = sigmahq(&bytes, RunContext::default()) else { return };
        println!("{file}: {titles:?}");
        missing.extend(expected.iter().filter(|e| !titles.iter().any(|t| t == *e)).map(|e| format!("{file}: {e}")));
    }
    assert!(missing.is_empty(), "not found: {missing:?}");
}

#[test]
fn records_of_one_event_join_in_any_order() {
    let read_file = |name: &str| {
        let bytes = shared(&format!("linux/golibaudit_testdata_{name}.log"))?;
        let read = read(&bytes, None, RunContext::default());
        Some(read.values("process_creation", "CommandLine").into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    if let (Some(normal), Some(shuffled)) = (read_file("normal"), read_file("out_of_order")) {
        assert_eq!(normal, ["grep --color=auto mapping", "cat securitybeat"]);
        assert_eq!(normal, shuffled);
    }
}
