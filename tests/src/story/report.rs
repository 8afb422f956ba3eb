//! Owns a story as a behaviour report in the shape of VirusTotal's API v3 (`file_behaviour`): what was done, without
//! times, most of it without saying by whom.

use super::{Action, Cast, What, made_sha256};
use serde_json::{Value, json};

/// The report.
pub(super) fn behaviour(cast: &Cast<'_>) -> Value {
    let story = cast.story;
    let mut created = Vec::new();
    let mut terminated = Vec::new();
    let mut written = Vec::new();
    let mut dropped = Vec::new();
    let mut deleted = Vec::new();
    let mut lookups = Vec::new();
    let mut traffic = Vec::new();
    let mut modules = Vec::new();
    for moment in &cast.moments {
        match &moment.what {
            What::Started(index) => created.push(json!(cast.processes[*index].start.command)),
            What::Ended(index) => terminated.push(json!(cast.processes[*index].start.command)),
            What::Did(_, _, Action::Write { path, .. }) => {
                written.push(json!(path));
                dropped.push(json!({"path": path, "sha256": made_sha256(path)}));
            }
            What::Did(_, _, Action::Delete { path, .. }) => deleted.push(json!(path)),
            What::Did(_, _, Action::Load { image, .. }) => modules.push(json!(image)),
            What::Did(_, _, Action::Resolve { name, to, .. }) => {
                let addresses: &[&str] = if to.is_empty() { &[] } else { &[to] };
                lookups.push(json!({"hostname": name, "resolved_ips": addresses}));
            }
            What::Did(_, _, Action::Connect { ip, port, udp, .. }) => traffic.push(json!({
                "destination_ip": ip,
                "destination_port": port,
                "transport_layer_protocol": if *udp { "UDP" } else { "TCP" },
            })),
            What::Did(..) => {}
        }
    }
    let sha256 = made_sha256(&story.sample.name);
    json!({
        "type": "file_behaviour",
        "id": format!("{sha256}_{}", story.sandbox.name),
        "attributes": {
            "sandbox_name": story.sandbox.name,
            "analysis_date": story.start.seconds(),
            "last_modification_date": story.start.plus(story.end).seconds(),
            "has_html_report": false,
            "has_pcap": false,
            "has_evtx": false,
            "processes_created": created,
            "processes_terminated": terminated,
            "processes_tree": tree(cast, None),
            "files_written": written,
            "files_dropped": dropped,
            "files_deleted": deleted,
            "modules_loaded": modules,
            "dns_lookups": lookups,
            "ip_traffic": traffic,
        },
    })
}

/// The processes that came from one, or from none.
fn tree(cast: &Cast<'_>, parent: Option<usize>) -> Vec<Value> {
    let children = cast.processes.iter().enumerate().filter(|(_, process)| process.parent == parent);
    children
        .map(|(index, process)| {
            let mut node = json!({"process_id": process.pid.to_string(), "name": process.start.command});
            if !process.before {
                node["time_offset"] = json!((process.started.0.saturating_sub(cast.story.start.0)) / 1_000_000);
            }
            let below = tree(cast, Some(index));
            if !below.is_empty() {
                node["children"] = json!(below);
            }
            node
        })
        .collect()
}
