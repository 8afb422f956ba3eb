//! Owns the view of a match as a document of the Elastic Common Schema.

use super::{attack_url, happened, listed, native, put, span, tactic_title, text};
use crate::execute::tactic_id;
use sandsift_bus::message::{MatchContext, MatchEvent};
use serde_json::{Map, Value, json};

/// The version of ECS that documents state.
pub const ECS_VERSION: &str = "9.4.0";

/// Shows a match as an ECS document.
///
/// Process, file, registry, network and DNS fields are those of the first context; all contexts, and all else that
/// the schema has no place for, stand under `sandsift`, a name of our own as ECS asks of custom fields.
pub fn ecs(event: &MatchEvent) -> Value {
    let mut document = Map::new();
    put(&mut document, "@timestamp", happened(event).unwrap_or("1970-01-01T00:00:00Z"));
    put(&mut document, "ecs", json!({ "version": ECS_VERSION }));
    put(&mut document, "message", event.result.rule_title.as_str());
    put(&mut document, "event", event_fields(event));
    put(&mut document, "rule", rule(event));
    put(&mut document, "threat", threat(event));
    put(&mut document, "file", sample(event));
    put(&mut document, "related", json!({ "hash": hashes(event) }));
    put(&mut document, "host", host(event));
    put(&mut document, "observer", observer(event));
    if !event.sample.tags.is_empty() {
        put(&mut document, "tags", json!(event.sample.tags));
    }
    if let Some(context) = event.result.match_context.first() {
        first_context(&mut document, context);
    }
    put(&mut document, "sandsift", native(event));
    Value::Object(document)
}

fn event_fields(event: &MatchEvent) -> Map<String, Value> {
    let mut fields = Map::new();
    put(&mut fields, "id", event.id.as_str());
    put(&mut fields, "kind", "alert");
    put(&mut fields, "category", json!(["malware", "intrusion_detection"]));
    put(&mut fields, "type", json!(["info"]));
    put(&mut fields, "module", "sandsift");
    put(&mut fields, "dataset", "sandsift.match");
    put(&mut fields, "severity", severity(&event.result.rule_level));
    if let Some((first, last)) = span(event) {
        put(&mut fields, "start", first);
        put(&mut fields, "end", last);
    }
    if let Some(url) = listed(event, "references").next() {
        put(&mut fields, "reference", url);
    }
    fields
}

/// The scale of Elastic's own detection rules.
fn severity(level: &str) -> u8 {
    match level {
        "critical" => 99,
        "high" => 73,
        "medium" => 47,
        "low" => 21,
        _ => 1,
    }
}

fn rule(event: &MatchEvent) -> Map<String, Value> {
    let result = &event.result;
    let card = |key: &str| result.rule.get(key).and_then(Value::as_str);
    let mut rule = Map::new();
    put(&mut rule, "id", result.rule_id.as_str());
    put(&mut rule, "uuid", result.rule_id.as_str());
    put(&mut rule, "name", result.rule_title.as_str());
    put(&mut rule, "ruleset", result.rule_source.as_str());
    put(&mut rule, "category", result.rule.pointer("/logsource/category").and_then(Value::as_str));
    put(&mut rule, "version", card("modified").or(card("date")));
    put(&mut rule, "license", card("license"));
    put(&mut rule, "reference", listed(event, "references").next());
    if !result.rule_description.is_empty() {
        put(&mut rule, "description", result.rule_description.as_str());
    }
    if !result.rule_author.is_empty() {
        put(&mut rule, "author", json!([result.rule_author]));
    }
    rule
}

fn threat(event: &MatchEvent) -> Value {
    let tactics: Vec<&str> = listed(event, "tactics").collect();
    let (mut techniques, mut subtechniques) = (Vec::new(), Vec::new());
    for id in listed(event, "techniques") {
        match id.split_once('.') {
            Some((parent, _)) => {
                techniques.push(parent);
                subtechniques.push(id);
            }
            None => techniques.push(id),
        }
    }
    techniques.dedup();
    if tactics.is_empty() && techniques.is_empty() {
        return Value::Null;
    }
    let urls = |ids: &[&str]| ids.iter().map(|id| attack_url(id)).collect::<Vec<_>>();
    let mut threat = Map::new();
    put(&mut threat, "framework", "MITRE ATT&CK");
    if !tactics.is_empty() {
        let ids: Vec<String> = tactics.iter().filter_map(|name| tactic_id(name)).collect();
        let references: Vec<String> = ids.iter().map(|id| attack_url(id)).collect();
        let names: Vec<String> = tactics.iter().map(|name| tactic_title(name)).collect();
        put(&mut threat, "tactic", json!({ "id": ids, "name": names, "reference": references }));
    }
    if !techniques.is_empty() {
        let mut technique = json!({ "id": techniques, "reference": urls(&techniques) });
        if let (Some(object), false) = (technique.as_object_mut(), subtechniques.is_empty()) {
            put(object, "subtechnique", json!({ "id": subtechniques, "reference": urls(&subtechniques) }));
        }
        put(&mut threat, "technique", technique);
    }
    Value::Object(threat)
}

fn sample(event: &MatchEvent) -> Map<String, Value> {
    let sample = &event.sample;
    let mut hash = Map::new();
    put(&mut hash, "sha256", sample.sha256.as_str());
    put(&mut hash, "md5", sample.md5.as_deref());
    let mut file = Map::new();
    put(&mut file, "hash", hash);
    put(&mut file, "name", sample.name.as_deref());
    file
}

fn hashes(event: &MatchEvent) -> Vec<&str> {
    std::iter::once(event.sample.sha256.as_str()).chain(event.sample.md5.as_deref()).collect()
}

fn host(event: &MatchEvent) -> Map<String, Value> {
    let mut host = Map::new();
    put(&mut host, "os", json!({ "type": event.platform }));
    put(&mut host, "name", event.sandbox.machine.as_deref());
    host
}

fn observer(event: &MatchEvent) -> Map<String, Value> {
    let mut observer = Map::new();
    put(&mut observer, "type", "sandbox");
    put(&mut observer, "product", event.sandbox.name.as_str());
    put(&mut observer, "version", event.sandbox.version.as_deref());
    observer
}

fn first_context(document: &mut Map<String, Value>, context: &MatchContext) {
    let name = |path: &str| path.rsplit(['\\', '/']).next().unwrap_or(path).to_owned();
    let process = |image: &[&str], command_line: &[&str], entity: &[&str], pid: &str| {
        let mut process = Map::new();
        let executable = text(context, image);
        put(&mut process, "executable", executable);
        put(&mut process, "name", executable.map(name));
        put(&mut process, "command_line", text(context, command_line));
        put(&mut process, "entity_id", text(context, entity));
        let pid = context.values.get(pid).and_then(|pid| pid.as_u64().or_else(|| pid.as_str()?.parse().ok()));
        put(&mut process, "pid", pid);
        process
    };
    let mut own = process(&["Image", "SourceImage"], &["CommandLine"], &["ProcessGuid"], "ProcessId");
    let parent = process(&["ParentImage"], &["ParentCommandLine"], &["ParentProcessGuid"], "ParentProcessId");
    if !parent.is_empty() {
        put(&mut own, "parent", parent);
    }
    if !own.is_empty() {
        put(document, "process", own);
    }
    if let Some(path) = text(context, &["TargetObject"]) {
        let mut registry = Map::new();
        put(&mut registry, "path", path);
        put(&mut registry, "hive", path.split('\\').next());
        if let Some(details) = text(context, &["Details"]) {
            put(&mut registry, "data", json!({ "strings": [details] }));
        }
        put(document, "registry", registry);
    }
    if let Some(host) = text(context, &["QueryName"]) {
        put(document, "dns", json!({ "question": { "name": host } }));
    }
    let mut destination = Map::new();
    put(&mut destination, "ip", text(context, &["DestinationIp"]));
    put(&mut destination, "domain", text(context, &["DestinationHostname"]));
    let port =
        context.values.get("DestinationPort").and_then(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok()));
    put(&mut destination, "port", port);
    if !destination.is_empty() {
        put(document, "destination", destination);
    }
}
