//! Owns the table of the way back: which event is which doing.

use super::{DnsLookup, Doing, DroppedFile, FileCopy, HttpConversation, IpTraffic, KeyValue};
use sandsift_sigma::{Event, Value};

/// Programs whose command lines are commands of a shell.
const SHELLS: &[&str] = &[
    "cmd.exe",
    "powershell.exe",
    "pwsh.exe",
    "wscript.exe",
    "cscript.exe",
    "mshta.exe",
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "ash",
    "fish",
    "csh",
    "tcsh",
    "osascript",
    "pwsh",
];

/// Hands out what an event says was done; one of several categories is told by its most particular.
pub(super) fn doings(event: &Event, put: &mut dyn FnMut(Doing)) {
    let source = event.source();
    for category in &source.categories {
        match &**category {
            "process_creation" => process(event, put),
            "process_termination" => one(event, "Image", Doing::ProcessTerminated, put),
            "create_remote_thread" => one(event, "TargetImage", Doing::ProcessInjected, put),
            "process_access" if reaches_in(event) => one(event, "TargetImage", Doing::ProcessInjected, put),
            "process_tampering" => one(event, "Image", Doing::ProcessInjected, put),
            "file_access" => one(event, "TargetFilename", Doing::FileOpened, put),
            "file_event" => {
                one(event, "TargetFilename", Doing::FileWritten, put);
                dropped(event, put);
            }
            "create_stream_hash" | "file_executable_detected" => {
                one(event, "TargetFilename", Doing::FileWritten, put);
                dropped(event, put);
            }
            "file_delete" | "file_delete_detected" => one(event, "TargetFilename", Doing::FileDeleted, put),
            "file_change" => one(event, "TargetFilename", Doing::FileChanged, put),
            "file_rename" => {
                if let (Some(source), Some(destination)) =
                    (text(event, "SourceFilename"), text(event, "TargetFilename"))
                {
                    put(Doing::FileCopied(FileCopy { source, destination }));
                }
            }
            "registry_set" => {
                if let Some(key) = text(event, "TargetObject") {
                    put(Doing::KeySet(KeyValue { key, value: text(event, "Details").unwrap_or_default() }));
                }
            }
            "registry_add" => {
                if let Some(key) = text(event, "TargetObject") {
                    put(Doing::KeySet(KeyValue { key, value: String::new() }));
                }
            }
            "registry_rename" => {
                one(event, "TargetObject", Doing::KeyDeleted, put);
                if let Some(key) = text(event, "NewName") {
                    put(Doing::KeySet(KeyValue { key, value: String::new() }));
                }
            }
            "registry_open" => one(event, "TargetObject", Doing::KeyOpened, put),
            // Neither set, added, renamed nor deleted: looked at.
            "registry_event" if source.categories.len() == 1 => one(event, "TargetObject", Doing::KeyOpened, put),
            "registry_delete" => one(event, "TargetObject", Doing::KeyDeleted, put),
            "dns_query" | "dns" => lookup(event, put),
            "network_connection" => traffic(event, put),
            "proxy" => http(event, put),
            "image_load" | "driver_load" => one(event, "ImageLoaded", Doing::Module, put),
            _ => {}
        }
    }
    services(event, put);
}

fn one(event: &Event, field: &str, doing: fn(String) -> Doing, put: &mut dyn FnMut(Doing)) {
    if let Some(text) = text(event, field) {
        put(doing(text));
    }
}

fn process(event: &Event, put: &mut dyn FnMut(Doing)) {
    let line = text(event, "CommandLine");
    let image = text(event, "Image");
    let shell = image.as_deref().is_some_and(|image| {
        let name = image.rsplit(['\\', '/']).next().unwrap_or(image);
        SHELLS.iter().any(|shell| name.eq_ignore_ascii_case(shell))
    });
    if let (true, Some(line)) = (shell, &line) {
        put(Doing::Command(line.clone()));
    }
    if let Some(text) = line.or(image) {
        put(Doing::ProcessCreated(text));
    }
}

fn dropped(event: &Event, put: &mut dyn FnMut(Doing)) {
    let listed = text(event, "Hashes")
        .or_else(|| text(event, "Hash"))
        .and_then(|list| list.split(',').find_map(|hash| hash.trim().strip_prefix("SHA256=").map(str::to_lowercase)));
    let sha256 = listed.or_else(|| text(event, "sha256")).filter(|digest| digest.len() == 64);
    if let (Some(path), Some(sha256)) = (text(event, "TargetFilename"), sha256) {
        put(Doing::FileDropped(DroppedFile { path, sha256 }));
    }
}

fn lookup(event: &Event, put: &mut dyn FnMut(Doing)) {
    let Some(hostname) = text(event, "QueryName").or_else(|| text(event, "query")) else { return };
    let results = text(event, "QueryResults").unwrap_or_default();
    // Sysmon writes `type:  5 name;::ffff:1.2.3.4;`
    let resolved_ips = results
        .split([';', ',', ' '])
        .filter_map(|part| part.trim().parse::<std::net::IpAddr>().ok())
        .map(|ip| ip.to_canonical().to_string())
        .take(64)
        .collect();
    put(Doing::Lookup(DnsLookup { hostname, resolved_ips }));
}

fn traffic(event: &Event, put: &mut dyn FnMut(Doing)) {
    // What came in is no traffic to a destination.
    if text(event, "Initiated").is_some_and(|initiated| initiated.eq_ignore_ascii_case("false")) {
        return;
    }
    if let Some(destination_ip) = text(event, "DestinationIp") {
        let destination_port = text(event, "DestinationPort").and_then(|port| port.parse().ok());
        let transport_layer_protocol = text(event, "Protocol").unwrap_or_default().to_uppercase();
        put(Doing::Traffic(IpTraffic { destination_ip, destination_port, transport_layer_protocol }));
    }
}

fn http(event: &Event, put: &mut dyn FnMut(Doing)) {
    let Some(uri) = text(event, "c-uri") else { return };
    let url = match text(event, "cs-host") {
        Some(host) if uri.starts_with('/') => format!("http://{host}{uri}"),
        _ => uri,
    };
    let request_method = text(event, "cs-method").unwrap_or_default();
    let response_status_code = text(event, "sc-status").and_then(|status| status.parse().ok());
    put(Doing::Http(HttpConversation { url, request_method, response_status_code }));
}

/// Services: Windows' own log of them, and systemd's records in the audit log.
fn services(event: &Event, put: &mut dyn FnMut(Doing)) {
    let source = event.source();
    let is = |service: &str| source.services.iter().any(|s| **s == *service);
    let id = match event.get("EventID") {
        Some(Value::Int(id)) => id,
        _ => 0,
    };
    if (is("system") && id == 7045) || (is("security") && id == 4697) {
        one(event, "ServiceName", Doing::ServiceCreated, put);
    } else if is("system") && id == 7036 {
        match text(event, "param2").as_deref() {
            Some("running") => one(event, "param1", Doing::ServiceStarted, put),
            Some("stopped") => one(event, "param1", Doing::ServiceStopped, put),
            _ => {}
        }
    } else if is("auditd") {
        match text(event, "type").as_deref() {
            Some("SERVICE_START") => one(event, "unit", Doing::ServiceStarted, put),
            Some("SERVICE_STOP") => one(event, "unit", Doing::ServiceStopped, put),
            _ => {}
        }
    }
}

/// Whether a handle was opened to write to another process from code in no module.
fn reaches_in(event: &Event) -> bool {
    crate::origin::reaches_in(event)
}

fn text(event: &Event, name: &str) -> Option<String> {
    match event.get(name)? {
        Value::Str(text) | Value::Number(text) if !text.is_empty() => Some(text.to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}
