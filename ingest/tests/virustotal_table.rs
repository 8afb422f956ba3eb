//! The table of VirusTotal's report fields, row by row: every field has a case, the case's rule matches a report that
//! holds all fields at once, and taking that one field out leaves nothing of the match.

use sandsift_ingest::{Artifact, Config, Mappings, Platform, Run, RunContext};
use sandsift_sigma::{Builder, CrossPlatform, Options, RuleSet, SourceFile};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// The rows: the search word, and every field of the report that it covers.
const ROWS: &[(&str, &[&str])] = &[
    ("behavior_created_processes", &["processes_created", "processes_tree", "processes_list"]),
    (
        "behavior_files",
        &[
            "files_attribute_changed",
            "files_deleted",
            "files_opened",
            "files_copied[].source",
            "files_copied[].destination",
            "files_written",
            "files_dropped[].path",
            "files_dropped[].sha256",
            "files_dropped[].type",
        ],
    ),
    ("behavior_injected_processes", &["processes_injected"]),
    ("behavior_processes", &["processes_terminated", "processes_killed", "command_executions"]),
    (
        "behavior_registry",
        &["registry_keys_deleted", "registry_keys_opened", "registry_keys_set[].key", "registry_keys_set[].value"],
    ),
    (
        "behavior_services",
        &[
            "services_bound",
            "services_created",
            "services_opened",
            "services_started",
            "services_stopped",
            "services_deleted",
        ],
    ),
    (
        "behavior_network",
        &[
            "dns_lookups[].hostname",
            "dns_lookups[].resolved_ips",
            "hosts_file",
            "ip_traffic[].destination_ip",
            "ip_traffic[].destination_port",
            "ip_traffic[].transport_layer_protocol",
            "http_conversations[].url",
            "http_conversations[].request_method",
            "http_conversations[].request_headers",
            "http_conversations[].response_status_code",
            "smtp_conversations[].hostname",
            "smtp_conversations[].destination_ip",
            "smtp_conversations[].destination_port",
            "tls[].sni",
        ],
    ),
    ("behavior", &["modules_loaded"]),
];

/// A field of the report, the category or service that it feeds, and what a rule asks of the event.
struct Case(&'static str, &'static str, &'static str);

/// Every value stands once in [`report`], so that nothing else can keep a match alive.
const CASES: &[Case] = &[
    Case("processes_created", "category: process_creation", r"Image|endswith: '\created.exe'"),
    Case("processes_created", "category: process_creation", "CommandLine|contains: --created"),
    Case("processes_tree", "category: process_creation", r"ParentImage|endswith: '\treeparent.exe'"),
    Case("processes_tree", "category: process_creation", "ParentCommandLine|contains: --treeparent"),
    Case("processes_list", "category: process_creation", r"ParentImage|endswith: '\listparent.exe'"),
    Case("processes_list", "category: process_creation", "ParentCommandLine|contains: --listparent"),
    Case("processes_list", "category: process_termination", r"Image|endswith: '\listchild.exe'"),
    Case("processes_list", "category: file_event", r"TargetFilename|endswith: '\listwritten'"),
    Case("files_attribute_changed", "category: file_change", r"TargetFilename|endswith: '\attribute'"),
    Case("files_deleted", "category: file_delete", r"TargetFilename|endswith: '\deleted'"),
    Case("files_opened", "category: file_access", r"FileName|endswith: '\opened'"),
    Case("files_opened", "category: file_access", r"TargetFilename|endswith: '\opened'"),
    Case("files_copied[].source", "category: file_rename", r"SourceFilename|endswith: '\from'"),
    Case("files_copied[].destination", "category: file_rename", r"TargetFilename|endswith: '\to'"),
    Case("files_copied[].destination", "category: file_event", r"TargetFilename|endswith: '\to'"),
    Case("files_written", "category: file_event", r"TargetFilename|endswith: '\written'"),
    Case("files_dropped[].path", "category: file_event", r"TargetFilename|endswith: '\dropped.exe'"),
    Case("files_dropped[].sha256", "category: file_event", "Hashes|contains: SHA256=D0D0"),
    Case("files_dropped[].type", "category: file_executable_detected", r"TargetFilename|endswith: '\dropped.exe'"),
    Case("processes_injected", "category: process_access", r"TargetImage|endswith: '\injected.exe'"),
    Case("processes_injected", "category: create_remote_thread", r"TargetImage|endswith: '\injected.exe'"),
    Case("processes_injected", "category: process_creation", r"Image|endswith: '\injected.exe'"),
    Case("processes_terminated", "category: process_termination", r"Image|endswith: '\terminated.exe'"),
    Case("processes_killed", "category: process_termination", r"Image|endswith: '\killed.exe'"),
    Case("processes_killed", "category: process_access", r"TargetImage|endswith: '\killed.exe'"),
    Case("command_executions", "category: process_creation", "CommandLine|contains: --executed"),
    Case("registry_keys_deleted", "category: registry_delete", r"TargetObject: 'HKLM\Software\Deleted'"),
    Case("registry_keys_deleted", "category: registry_event", r"TargetObject: 'HKLM\Software\Deleted'"),
    Case("registry_keys_opened", "category: registry_open", r"TargetObject: 'HKLM\Software\Opened'"),
    Case("registry_keys_set[].key", "category: registry_set", r"TargetObject: 'HKLM\System\CurrentControlSet\Set'"),
    Case("registry_keys_set[].key", "category: registry_event", r"TargetObject: 'HKLM\System\CurrentControlSet\Set'"),
    Case("registry_keys_set[].key", "category: registry_add", r"TargetObject: 'HKLM\System\CurrentControlSet\Set'"),
    Case("registry_keys_set[].value", "category: registry_set", "Details: DWORD (0x00000007)"),
    Case("services_bound", "category: registry_set", r"TargetObject|endswith: '\Services\bound'"),
    Case("services_created", "category: registry_set", r"TargetObject|endswith: '\Services\created'"),
    Case("services_created", "service: system", "ServiceName: created"),
    Case("services_opened", "category: registry_set", r"TargetObject|endswith: '\Services\opened'"),
    Case("services_started", "category: registry_set", r"TargetObject|endswith: '\Services\started'"),
    Case("services_stopped", "category: registry_set", r"TargetObject|endswith: '\Services\stopped'"),
    Case("services_deleted", "category: registry_set", r"TargetObject|endswith: '\Services\deleted\DeleteFlag'"),
    Case("services_started", "category: process_creation", r"Image|endswith: '\service.exe'"),
    Case("dns_lookups[].hostname", "category: dns_query", "QueryName: dns.example"),
    Case("dns_lookups[].hostname", "category: dns", "query: dns.example"),
    Case("dns_lookups[].hostname", "category: network_connection", "DestinationHostname: dns.example"),
    Case("dns_lookups[].resolved_ips", "category: dns_query", "QueryResults|contains: 203.0.113.53"),
    Case("hosts_file", "category: file_event", r"TargetFilename|endswith: '\drivers\etc\hosts'"),
    Case("ip_traffic[].destination_ip", "category: network_connection", "DestinationIp: 203.0.113.53"),
    Case("ip_traffic[].destination_ip", "category: network_connection", "DestinationIsIpv6: 'true'"),
    Case("ip_traffic[].destination_port", "category: network_connection", "DestinationPort: 3389"),
    Case("ip_traffic[].destination_port", "category: network_connection", "DestinationPortName: ms-wbt-server"),
    Case("ip_traffic[].transport_layer_protocol", "category: network_connection", "Protocol: udp"),
    Case("http_conversations[].url", "category: proxy", "c-uri|contains: /gate.php"),
    Case("http_conversations[].url", "category: proxy", "cs-host: http.example"),
    Case("http_conversations[].request_method", "category: proxy", "cs-method: PUT"),
    Case("http_conversations[].request_headers", "category: proxy", "c-useragent: agent"),
    Case("http_conversations[].response_status_code", "category: proxy", "sc-status: 418"),
    Case("smtp_conversations[].hostname", "category: network_connection", "DestinationHostname: mx.example"),
    Case("smtp_conversations[].destination_ip", "category: network_connection", "DestinationIp: 203.0.113.25"),
    Case("smtp_conversations[].destination_port", "category: network_connection", "DestinationPort: 2525"),
    Case("tls[].sni", "category: network_connection", "DestinationHostname: tls.example"),
    Case("modules_loaded", "category: image_load", r"ImageLoaded|endswith: '\loaded.dll'"),
];

/// A report with every field, in one of the schema's two shapes: the API's with a tree, the protobuf's with a list.
fn report() -> Value {
    json!({
        "processes_created": [r"C:\created.exe --created"],
        "processes_tree": [{
            "process_id": "10",
            "name": r"C:\treeparent.exe --treeparent",
            "children": [{"process_id": "11", "name": r"C:\treechild.exe"}],
        }],
        "processes_list": [
            {"process_id": "20", "name": r"C:\listparent.exe --listparent"},
            {"process_id": "21", "parent_process_id": "20", "name": r"C:\listchild.exe", "termination_time": 9,
             "files_written": [r"C:\listwritten"]},
        ],
        "processes_terminated": [r"C:\terminated.exe"],
        "processes_killed": [r"C:\killed.exe"],
        "processes_injected": [r"C:\injected.exe"],
        "command_executions": [r"C:\executed.exe --executed"],
        "files_attribute_changed": [r"C:\attribute"],
        "files_deleted": [r"C:\deleted"],
        "files_opened": [r"C:\opened"],
        "files_copied": [{"source": r"C:\from", "destination": r"C:\to"}],
        "files_written": [r"C:\written"],
        "files_dropped": [{"path": r"C:\dropped.exe", "sha256": "d0d0", "type": "PEEXE"}],
        "hosts_file": "203.0.113.1 bank.example",
        "registry_keys_deleted": [r"HKEY_LOCAL_MACHINE\Software\Deleted"],
        "registry_keys_opened": [r"HKEY_LOCAL_MACHINE\Software\Opened"],
        "registry_keys_set": [{"key": r"HKEY_LOCAL_MACHINE\System\ControlSet001\Set", "value": "7"}],
        "services_bound": ["bound"],
        "services_created": ["created"],
        "services_opened": ["opened"],
        "services_started": ["started", r"C:\service.exe -run"],
        "services_stopped": ["stopped"],
        "services_deleted": ["deleted"],
        "dns_lookups": [{"hostname": "dns.example", "resolved_ips": ["203.0.113.53"]}],
        "ip_traffic": [
            {"destination_ip": "203.0.113.53", "destination_port": 3389, "transport_layer_protocol": "UDP"},
            {"destination_ip": "2001:db8::1"},
        ],
        "http_conversations": [{
            "url": "http://http.example/gate.php?id=1",
            "request_method": "PUT",
            "request_headers": {"User-Agent": "agent"},
            "response_status_code": 418,
        }],
        "smtp_conversations": [
            {"hostname": "mx.example", "destination_ip": "203.0.113.25", "destination_port": 2525},
        ],
        "tls": [{"sni": "tls.example"}],
        "modules_loaded": [r"C:\loaded.dll"],
    })
}

fn mappings() -> Arc<Mappings> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/mappings/virustotal-behaviour.yml");
    let text = std::fs::read_to_string(path).expect("the shipped mapping");
    let (mappings, findings) = Mappings::load([("virustotal-behaviour.yml", text.as_str())]);
    assert!(findings.is_empty(), "{findings:?}");
    Arc::new(mappings)
}

fn rule(product: &str, logsource: &str, selection: &str) -> String {
    format!(
        "title: t\nid: 4b7a2d0e-0000-4000-8000-000000000001\nstatus: test\nlogsource:\n  product: {product}\n  {logsource}\ndetection:\n  \
         selection:\n    {selection}\n  condition: selection\nlevel: high\n"
    )
}

fn rules(text: &str, cross_platform: CrossPlatform) -> RuleSet {
    let mut builder = Builder::new(Options { cross_platform, ..Options::default() });
    builder.add(&SourceFile { source: "test", file: "rule.yml", text: text.as_bytes() });
    let (rules, findings) = builder.build();
    assert!(findings.is_empty(), "{findings:?}");
    rules
}

/// Whether the rule matches an event of the report, and whether each match is across platforms.
fn matches(mappings: &Arc<Mappings>, rules: &RuleSet, report: &Value, platform: Platform) -> Vec<bool> {
    let config = Config { mappings: Arc::clone(mappings), ..Config::default() };
    let context = RunContext { platform: Some(platform), ..RunContext::default() };
    let bytes = report.to_string();
    let artifact = Artifact { index: 0, name: "behaviour.json", kind: None, bytes: bytes.as_bytes() };
    let (mut scratch, mut hits) = (rules.scratch(), Vec::new());
    let mut found = Vec::new();
    Run::new(Arc::new(config), context).read(&artifact, &mut |record| {
        hits.clear();
        rules.matches(record.event, &mut scratch, &mut hits);
        found.extend(hits.iter().map(|hit| hit.cross_platform));
        ControlFlow::Continue(())
    });
    found
}

/// Takes `a`, or member `b` of every item of `a[].b`, out of a report.
fn without(report: &Value, field: &str) -> Value {
    let mut report = report.clone();
    let map = report.as_object_mut().expect("a report is a map");
    let taken = match field.split_once("[].") {
        None => map.remove(field).is_some(),
        Some((list, member)) => {
            map[list]
                .as_array_mut()
                .expect("a list")
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .filter(|item| item.contains_key(member))
                .map(|item| item.remove(member))
                .count()
                > 0
        }
    };
    assert!(taken, "the report has no '{field}'");
    report
}

#[test]
fn every_field_of_every_row_has_a_case() {
    for (row, fields) in ROWS {
        for field in *fields {
            assert!(CASES.iter().any(|case| case.0 == *field), "{row}: '{field}' has no case");
        }
    }
    for case in CASES {
        assert!(ROWS.iter().any(|(_, fields)| fields.contains(&case.0)), "'{}' stands in no row", case.0);
    }
}

#[test]
fn every_case_matches_by_its_field_and_by_nothing_else() {
    let (mappings, report) = (mappings(), report());
    for Case(field, logsource, selection) in CASES {
        let rules = rules(&rule("windows", logsource, selection), CrossPlatform::default());
        let with = matches(&mappings, &rules, &report, Platform::Windows);
        assert!(!with.is_empty(), "'{field}' does not feed {logsource} with {selection}");
        let without = matches(&mappings, &rules, &without(&report, field), Platform::Windows);
        assert!(without.is_empty(), "{logsource} with {selection} matches without '{field}' too");
    }
}

#[test]
fn what_no_platform_has_of_its_own_is_fed_on_all_three() {
    let mappings = mappings();
    let report = json!({
        "processes_created": ["/opt/x -y"], "files_written": ["/opt/w"], "files_deleted": ["/opt/d"],
        "files_opened": ["/opt/o"], "ip_traffic": [{"destination_ip": "203.0.113.9"}],
        "dns_lookups": [{"hostname": "h.example"}], "http_conversations": [{"url": "http://u.example/"}],
        "modules_loaded": ["/opt/m.so"],
    });
    for (category, selection) in [
        ("process_creation", "Image: /opt/x"),
        ("file_event", "TargetFilename: /opt/w"),
        ("file_delete", "TargetFilename: /opt/d"),
        ("file_access", "FileName: /opt/o"),
        ("network_connection", "DestinationIp: 203.0.113.9"),
        ("dns_query", "QueryName: h.example"),
        ("proxy", "cs-host: u.example"),
        ("image_load", "ImageLoaded: /opt/m.so"),
    ] {
        for platform in Platform::ALL.into_iter().filter(|p| *p != Platform::Windows) {
            let text = rule(platform.as_str(), &format!("category: {category}"), selection);
            let found = matches(&mappings, &rules(&text, CrossPlatform::default()), &report, platform);
            assert_eq!(found, [false], "{category} on {}", platform.as_str());
        }
    }
}

#[test]
fn a_crontab_that_is_listed_matches_the_linux_rule_on_linux_and_across_on_macos() {
    let mappings = mappings();
    let rule = rule("linux", "category: process_creation", "Image|endswith: /crontab\n    CommandLine|contains: ' -l'");
    let rules = rules(&rule, CrossPlatform::default());
    let report =
        json!({"data": {"type": "file_behaviour", "attributes": {"processes_created": ["/usr/bin/crontab -l"]}}});
    assert_eq!(matches(&mappings, &rules, &report, Platform::Linux), [false]);
    assert_eq!(matches(&mappings, &rules, &report, Platform::Macos), [true]);
    let other = json!({"processes_created": ["/usr/bin/crontab -e"]});
    assert!(matches(&mappings, &rules, &other, Platform::Linux).is_empty());
}

#[test]
fn a_key_that_was_only_opened_feeds_no_registry_rule() {
    let report = json!({"registry_keys_opened": [r"HKEY_LOCAL_MACHINE\Software\Opened"]});
    for category in ["registry_event", "registry_set", "registry_add", "registry_delete"] {
        let text = rule("windows", &format!("category: {category}"), "TargetObject|contains: Opened");
        let found = matches(&mappings(), &rules(&text, CrossPlatform::default()), &report, Platform::Windows);
        assert!(found.is_empty(), "{category}");
    }
}
