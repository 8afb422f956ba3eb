//! One case a row of the table of the way back.

use super::*;
use crate::Limits;
use crate::origin::{OriginRules, Tracker};
use sandsift_sigma::{EventSource, Value};
use serde_json::json;
use std::sync::Arc;

fn event(product: &str, category: &str, service: &str, fields: &[(&str, Value<'_>)]) -> Event {
    let mut event = Event::new();
    let some = |name| Some(name).filter(|name: &&str| !name.is_empty());
    event.set_source(&EventSource::new(Some(product), some(category), some(service)));
    for (name, value) in fields {
        event.push(name, *value);
    }
    event
}

fn behaviour(events: &[Event]) -> serde_json::Value {
    let mut summary = Summary::new(BehaviourLimits::default());
    for event in events {
        summary.observe(event, None);
    }
    serde_json::to_value(summary.finish(&Origins::default(), |_| true)).unwrap()
}

/// (product, category, service, fields, what comes of it)
type Row<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, Value<'a>)], serde_json::Value);

#[test]
fn every_row_of_the_table() {
    use Value::{Int, Str};
    let digest = "ab".repeat(32);
    let hashes = format!("MD5=x,SHA256={}", digest.to_uppercase());
    let with_hashes = [("TargetFilename", Str("f")), ("Hashes", Str(&hashes))];
    let rows: Vec<Row<'_>> = vec![
        (
            "windows",
            "process_creation",
            "sysmon",
            &[("Image", Str(r"C:\a\cmd.exe")), ("CommandLine", Str("cmd /c dir"))],
            json!({"processes_created": ["cmd /c dir"], "command_executions": ["cmd /c dir"]}),
        ),
        ("macos", "process_creation", "", &[("Image", Str("/bin/ls"))], json!({"processes_created": ["/bin/ls"]})),
        (
            "linux",
            "process_creation",
            "",
            &[("Image", Str("/bin/id")), ("CommandLine", Str("id -u"))],
            json!({"processes_created": ["id -u"]}),
        ),
        ("windows", "process_termination", "", &[("Image", Str("a"))], json!({"processes_terminated": ["a"]})),
        ("windows", "create_remote_thread", "", &[("TargetImage", Str("t"))], json!({"processes_injected": ["t"]})),
        (
            "windows",
            "process_access",
            "",
            &[("TargetImage", Str("t")), ("GrantedAccess", Str("0x1fffff")), ("CallTrace", Str("UNKNOWN(1)"))],
            json!({"processes_injected": ["t"]}),
        ),
        ("windows", "process_access", "", &[("TargetImage", Str("t")), ("GrantedAccess", Str("0x10"))], json!({})),
        ("windows", "process_tampering", "", &[("Image", Str("t"))], json!({"processes_injected": ["t"]})),
        ("windows", "file_access", "", &[("TargetFilename", Str("f"))], json!({"files_opened": ["f"]})),
        ("linux", "file_event", "", &[("TargetFilename", Str("/f"))], json!({"files_written": ["/f"]})),
        (
            "windows",
            "file_executable_detected",
            "",
            &with_hashes,
            json!({"files_written": ["f"], "files_dropped": [{"path": "f", "sha256": digest}]}),
        ),
        ("macos", "file_delete", "", &[("TargetFilename", Str("/f"))], json!({"files_deleted": ["/f"]})),
        ("windows", "file_change", "", &[("TargetFilename", Str("f"))], json!({"files_attribute_changed": ["f"]})),
        (
            "macos",
            "file_rename",
            "",
            &[("SourceFilename", Str("/a")), ("TargetFilename", Str("/b"))],
            json!({"files_copied": [{"source": "/a", "destination": "/b"}]}),
        ),
        (
            "windows",
            "registry_set",
            "",
            &[("TargetObject", Str("HKLM\\x")), ("Details", Str("1"))],
            json!({"registry_keys_set": [{"key": "HKLM\\x", "value": "1"}]}),
        ),
        (
            "windows",
            "registry_add",
            "",
            &[("TargetObject", Str("HKLM\\x"))],
            json!({"registry_keys_set": [{"key": "HKLM\\x"}]}),
        ),
        (
            "windows",
            "registry_rename",
            "",
            &[("TargetObject", Str("HKLM\\x")), ("NewName", Str("HKLM\\y"))],
            json!({"registry_keys_set": [{"key": "HKLM\\y"}], "registry_keys_deleted": ["HKLM\\x"]}),
        ),
        (
            "windows",
            "registry_event",
            "",
            &[("TargetObject", Str("HKLM\\x"))],
            json!({"registry_keys_opened": ["HKLM\\x"]}),
        ),
        (
            "windows",
            "registry_delete",
            "",
            &[("TargetObject", Str("HKLM\\x"))],
            json!({"registry_keys_deleted": ["HKLM\\x"]}),
        ),
        (
            "windows",
            "dns_query",
            "",
            &[("QueryName", Str("e.com")), ("QueryResults", Str("type:  5 f.com;::ffff:1.2.3.4;"))],
            json!({"dns_lookups": [{"hostname": "e.com", "resolved_ips": ["1.2.3.4"]}]}),
        ),
        (
            "linux",
            "network_connection",
            "",
            &[("DestinationIp", Str("1.2.3.4")), ("DestinationPort", Int(80)), ("Protocol", Str("tcp"))],
            json!({"ip_traffic": [
                {"destination_ip": "1.2.3.4", "destination_port": 80, "transport_layer_protocol": "TCP"}
            ]}),
        ),
        (
            "windows",
            "network_connection",
            "",
            &[("DestinationIp", Str("1.2.3.4")), ("Initiated", Str("false"))],
            json!({}),
        ),
        (
            "windows",
            "proxy",
            "",
            &[("c-uri", Str("/a")), ("cs-host", Str("h")), ("cs-method", Str("GET")), ("sc-status", Int(200))],
            json!({"http_conversations": [
                {"url": "http://h/a", "request_method": "GET", "response_status_code": 200}
            ]}),
        ),
        ("windows", "image_load", "", &[("ImageLoaded", Str("m.dll"))], json!({"modules_loaded": ["m.dll"]})),
        (
            "windows",
            "",
            "system",
            &[("EventID", Int(7045)), ("ServiceName", Str("s"))],
            json!({"services_created": ["s"]}),
        ),
        (
            "windows",
            "",
            "system",
            &[("EventID", Int(7036)), ("param1", Str("s")), ("param2", Str("running"))],
            json!({"services_started": ["s"]}),
        ),
        (
            "linux",
            "",
            "auditd",
            &[("type", Str("SERVICE_STOP")), ("unit", Str("ufw"))],
            json!({"services_stopped": ["ufw"]}),
        ),
    ];
    for (product, category, service, fields, expected) in rows {
        let got = behaviour(&[event(product, category, service, fields)]);
        assert_eq!(got, expected, "{product} {category} {service}");
    }
}

#[test]
fn nothing_is_told_twice_and_the_caps_are_told() {
    let written = |name: &str| event("linux", "file_event", "", &[("TargetFilename", Value::Str(name))]);
    let twice = behaviour(&[written("/a"), written("/b"), written("/a")]);
    assert_eq!(twice, json!({"files_written": ["/a", "/b"]}));
    let mut summary = Summary::new(BehaviourLimits { entries: 1, bytes: 100 });
    for name in ["/a", "/b", "/c"] {
        summary.observe(&written(name), None);
    }
    let capped = summary.finish(&Origins::default(), |_| true);
    assert_eq!((capped.files_written.as_slice(), capped.left_out), (&["/a".to_owned()][..], 2));
}

#[test]
fn what_only_others_did_can_be_left_out() {
    let mut tracker = Tracker::new(Arc::new(OriginRules::default()), &Limits::default());
    tracker.sample(Some("evil"), None);
    let mut summary = Summary::new(BehaviourLimits::default());
    let mut see = |image: &str, pid: i64, category: &str, file: &str, time: i64| {
        let fields =
            [("ProcessId", Value::Int(pid)), ("Image", Value::Str(image)), ("TargetFilename", Value::Str(file))];
        let mut event = event("linux", category, "", &fields);
        event.set_time(Some(time * 1_000_000_000));
        let actor = tracker.observe(&event, 0);
        summary.observe(&event, actor);
    };
    see("/usr/bin/other", 5, "file_event", "/theirs", 1);
    see("/usr/bin/other", 5, "file_event", "/both", 2);
    see("/tmp/evil", 9, "process_creation", "", 10);
    see("/tmp/evil", 9, "file_event", "/own", 11);
    see("/tmp/evil", 9, "file_event", "/both", 12);
    let behaviour = summary.finish(&tracker.finish(), |origin| origin != Origin::Background);
    assert_eq!(behaviour.files_written, ["/both", "/own"]);
}
