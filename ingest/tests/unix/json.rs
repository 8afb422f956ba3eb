//! macOS and the telemetry that comes as JSON: what the shipped mappings make of it.

use crate::{read, shared, sigmahq};
use sandsift_ingest::{Origin, RunContext};

/// What a person who reads a file expects of it: events by category, records left out, and rules that must fire.
struct Expected {
    file: &'static str,
    events: &'static [(&'static str, u64)],
    skipped: u64,
    rules: &'static [&'static str],
}

const fn file(
    file: &'static str,
    events: &'static [(&'static str, u64)],
    skipped: u64,
    rules: &'static [&'static str],
) -> Expected {
    Expected { file, events, skipped, rules }
}

const ONE_PROCESS: &[(&str, u64)] = &[("process_creation", 1)];
const ONE_FILE: &[(&str, u64)] = &[("file_event", 1)];

/// The files of the shared data, one by one.
const FILES: &[Expected] = &[
    file(
        "Collection/collection_clipboard_osascript_pbpast.json",
        &[("process_creation", 2)],
        0,
        &["Clipboard Access Via OSAScript", "MacOS Scripting Interpreter AppleScript"],
    ),
    file(
        "Collection/collection_screencapture_command_proc_file.json",
        &[("file_event", 1), ("file_rename", 1), ("process_creation", 1)],
        0,
        &["Screen Capture - macOS"],
    ),
    file("Credential_Access/credaccess_cookies_crimes_chrome_debugging.json", &[("process_creation", 2)], 0, &[]),
    file(
        "Credential_Access/credaccess_keychain_dumping_security.json",
        ONE_PROCESS,
        0,
        &["Credentials from Password Stores - Keychain"],
    ),
    file(
        "Credential_Access/credaccess_phish_input_capture_applescript.json",
        ONE_PROCESS,
        0,
        &["GUI Input Capture - macOS", "MacOS Scripting Interpreter AppleScript"],
    ),
    file("Credential_Access/credaccess_tcc_bypass_sshd_scp_safari_cookies.json", &[("process_creation", 2)], 0, &[]),
    file(
        "Defense_Evasion/evasion_ads_safari_enable_develop_mode_and_allow_js_from_applevents.json",
        &[("process_creation", 2)],
        0,
        &[],
    ),
    file("Defense_Evasion/evasion_deletion_quarantine_xattr.json", ONE_PROCESS, 0, &["Gatekeeper Bypass via Xattr"]),
    file(
        "Defense_Evasion/evasion_envar_modif_launchctl_dylib_home.json",
        &[("process_creation", 1), ("process_termination", 2)],
        0,
        &[],
    ),
    file("Defense_Evasion/evasion_install_root_trust_certificate.json", ONE_PROCESS, 0, &[]),
    file("Defense_Evasion/evasion_remove_codesign.json", ONE_PROCESS, 0, &[]),
    file("Defense_Evasion/evasion_tcc_bypass_tccdb_direct_modif_sqlite.json", ONE_PROCESS, 0, &[]),
    file("Discovery/discovery_memory_vmmap.json", ONE_PROCESS, 0, &[]),
    file("Execution/execution_evasion_masquerading_and_hidden_file.json", ONE_PROCESS, 0, &[]),
    file(
        "Execution/execution_scripting_jxa_osascript_apfell_dwnld.json",
        ONE_PROCESS,
        0,
        &["JXA In-memory Execution Via OSAScript"],
    ),
    file("Execution/execution_suspicious_path_masquerading.json", ONE_PROCESS, 0, &[]),
    file("Lateral_Movement/lateral_movement_execution_reverse_shell.json", ONE_PROCESS, 0, &[]),
    file("Persistence/persistence_bashprofile_modify.json", ONE_FILE, 0, &[]),
    file(
        "Persistence/persistence_create_local_account_hidden_logon.json",
        ONE_PROCESS,
        0,
        &["Creation Of A Local User Account", "Hidden User Creation"],
    ),
    file("Persistence/persistence_crontab_runtime.json", ONE_PROCESS, 0, &[]),
    file("Persistence/persistence_emond_process_execution.json", &[("process_creation", 10)], 0, &[]),
    file("Persistence/persistence_execution_hidden_launchd_childproc.json", &[("process_creation", 2)], 0, &[]),
    file("Persistence/persistence_finder_plugin_sequence.json", &[("process_creation", 2)], 0, &[]),
    file("Persistence/persistence_launchdaemon_file_creation.json", &[("file_event", 1), ("file_rename", 1)], 0, &[]),
    file("Persistence/persistence_login_plist_script_filemod.json", ONE_FILE, 0, &[]),
    file("Persistence/persistence_ssh_authorized_keys_filemod.json", &[("file_event", 2)], 0, &[]),
    file(
        "Privileges_Elevation/privesc_evasion_CVE-2020-9934_fake_tccdb_home_envar_manip.json",
        &[("file_event", 1), ("process_termination", 3)],
        0,
        &[],
    ),
    file("Privileges_Elevation/privesc_evasion_tccp_bypass_apfs_mount_cve-2020-9771.json", ONE_PROCESS, 0, &[]),
    file("Privileges_Elevation/privesc_execution_setuid_chmod.json", ONE_PROCESS, 0, &[]),
    file("Privileges_Elevation/privesc_seauthtrampoline_authorizationexecutewith_privs.json", ONE_PROCESS, 0, &[]),
];

#[test]
fn shared_endpoint_files_give_what_a_reader_expects() {
    let mut wrong = Vec::new();
    for expected in FILES {
        let Some(bytes) = shared(&format!("macos-endpoint/{}", expected.file)) else { return };
        let read = read(&bytes, None, RunContext::default());
        let skipped: u64 = read.report.skipped.iter().map(|s| s.count).sum();
        if read.counts() != expected.events || skipped != expected.skipped {
            wrong.push(format!("{}: {:?} {:?}", expected.file, read.counts(), read.report.skipped));
        }
        for event in &read.events {
            assert_eq!(event.product.as_deref(), Some("macos"), "{}", expected.file);
            assert!(event.get("Image").is_some(), "{}: {event:?}", expected.file);
        }
        let Some(titles) = sigmahq(&bytes, RunContext::default()) else { return };
        println!("{}: {titles:?}", expected.file);
        let missing = expected.rules.iter().filter(|rule| !titles.iter().any(|title| title == *rule));
        wrong.extend(missing.map(|rule| format!("{}: no '{rule}'", expected.file)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn malformed_files_lose_no_record_silently() {
    for (name, least) in [
        ("Discovery/discovery_system_profile_sw_vers.json", 0),
        ("Execution/execution_automator_workflow_template_jxa.json", 1),
        ("Lateral_Movement/lateral_movement_ssh_from_python_procexec.json", 0),
    ] {
        let Some(bytes) = shared(&format!("macos-endpoint/{name}")) else { return };
        let read = read(&bytes, None, RunContext::default());
        println!("{name}: {:?} {:?} {:?}", read.counts(), read.report.skipped, read.report.kind);
        assert!(read.events.len() >= least, "{name}");
    }
}

#[test]
fn shared_endpoint_security_files() {
    let Some(bytes) = shared("macos-esf/eslogger_exec_macmonitor_fixture.jsonl") else { return };
    let eslogger = read(&bytes, None, RunContext::default());
    assert_eq!(eslogger.counts(), [("process_creation", 1)]);
    let event = &eslogger.events[0];
    assert_eq!((event.get("Image"), event.get("CommandLine")), (Some("/usr/bin/true"), Some("/usr/bin/true")));
    assert_eq!((event.get("ParentImage"), event.get("ParentProcessId")), (Some("/bin/zsh"), Some("401")));
    for (name, category) in [
        ("close", Some("file_event")),
        ("exec", Some("process_creation")),
        ("exit", Some("process_termination")),
        ("file_access", Some("file_access")),
        ("fork", None),
        ("link", Some("file_event")),
        ("rename", Some("file_rename")),
        ("unlink", Some("file_delete")),
    ] {
        let Some(bytes) = shared(&format!("macos-esf/santa_v6_{name}.json")) else { return };
        let read = read(&bytes, None, RunContext::default());
        assert_eq!(read.report.kind.as_ref().map(|kind| &*kind.0), Some("santa"), "{name}");
        match category {
            Some(category) => assert_eq!(read.of(category).count(), 1, "{name}: {:?}", read.counts()),
            None => assert_eq!(read.report.skipped[0].code, "record-unmapped", "{name}"),
        }
        if name == "exec" {
            assert_eq!(read.events[0].get("CommandLine"), Some("exec_path -l --foo"));
            assert_eq!(read.events[0].get("Image"), Some("fooexec"));
        }
    }
}

#[test]
fn a_real_run_under_kunai_is_the_samples_all_along() {
    let Some(bytes) = shared("linux/kunai_bpfdoor.jsonl") else { return };
    let context = RunContext { sample_name: Some("bpfdoor.mwr".to_owned()), ..RunContext::default() };
    let read = read(&bytes, None, context.clone());
    assert_eq!(
        read.counts(),
        [("file_delete", 1), ("image_load", 13), ("kunai", 9), ("process_creation", 7), ("process_termination", 7)]
    );
    assert!(read.report.skipped.is_empty(), "{:?}", read.report.skipped);
    for event in &read.events {
        assert_eq!(event.origin, Origin::Sample, "{event:?}");
    }
    let shell = read.of("process_creation").nth(1).unwrap();
    assert_eq!((shell.get("Image"), shell.get("ParentImage")), (Some("/usr/bin/dash"), Some("/tmp/bpfdoor.mwr")));
    let Some(titles) = sigmahq(&bytes, context) else { return };
    println!("{titles:?}");
    assert!(titles.len() >= 4, "{titles:?}");
}

/// Made from Tracee's documentation and from CAPE's module: there is no real log.
#[test]
fn tracee_in_the_containers_log_and_packed_into_capes_report() {
    use base64::Engine;
    use std::io::Write;
    let exec = r#"{"timestamp":1700000000000000000,"processId":10,"hostProcessId":10,"parentProcessId":1,"hostParentProcessId":1,"userId":0,"eventName":"sched_process_exec","args":[{"name":"pathname","value":"/tmp/x"},{"name":"argv","value":["/tmp/x","-d"]}]}"#;
    let line = serde_json::json!({"log": format!("{exec}\n"), "stream": "stdout"}).to_string();
    let log = read(format!("{line}\n{line}\n").as_bytes(), None, RunContext::default());
    assert_eq!(log.values("process_creation", "CommandLine"), ["/tmp/x -d", "/tmp/x -d"]);

    let inner = format!(r#"{{"metadata":{{"security_events":[]}},"syscalls":[{exec}]}}"#);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(inner.as_bytes()).unwrap();
    let packed = base64::engine::general_purpose::STANDARD.encode(zlib.finish().unwrap());
    let report = |packed: &str| {
        serde_json::json!({
            "info": {"version": "2.4-CAPE", "machine": {"platform": "linux"}},
            "behavior": {"processes": [], "processtree": []},
            "tracee": packed,
        })
        .to_string()
    };
    let whole = read(report(&packed).as_bytes(), None, RunContext::default());
    assert_eq!(whole.values("process_creation", "Image"), ["/tmp/x"]);
    let broken = read(report("no base64 at all").as_bytes(), None, RunContext::default());
    assert!(broken.report.skipped.iter().any(|skipped| skipped.code == "unpack-failed"));
}
