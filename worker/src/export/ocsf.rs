//! Owns the view of a match as an OCSF Detection Finding (class 2004).
//!
//! `malware` is left out on purpose: it asks for a classification, and a Sigma match is not one.

use super::{attack_url, happened, listed, millis, native, put, span, tactic_title, text};
use crate::execute::tactic_id;
use sandsift_bus::message::{MatchContext, MatchEvent};
use serde_json::{Map, Value, json};

/// The version of the OCSF schema that findings state.
pub const OCSF_VERSION: &str = "1.5.0";

/// Shows a match as an OCSF Detection Finding.
///
/// Times are milliseconds since 1970; a match without any time has `time` 0, since the schema asks for one. What the
/// schema has no place for stands under `unmapped`.
pub fn ocsf(event: &MatchEvent) -> Value {
    let result = &event.result;
    let (severity_id, severity) = severity(&result.rule_level);
    let time = happened(event).and_then(millis).unwrap_or(0);
    let mut finding = Map::new();
    put(&mut finding, "activity_id", 1);
    put(&mut finding, "activity_name", "Create");
    put(&mut finding, "category_uid", 2);
    put(&mut finding, "category_name", "Findings");
    put(&mut finding, "class_uid", 2004);
    put(&mut finding, "class_name", "Detection Finding");
    put(&mut finding, "type_uid", 200_401);
    put(&mut finding, "type_name", "Detection Finding: Create");
    put(&mut finding, "severity_id", severity_id);
    put(&mut finding, "severity", severity);
    put(&mut finding, "status_id", 1);
    put(&mut finding, "status", "New");
    put(&mut finding, "is_alert", true);
    put(&mut finding, "count", result.count);
    put(&mut finding, "message", result.rule_title.as_str());
    put(&mut finding, "time", time);
    if let Some((first, last)) = span(event) {
        put(&mut finding, "start_time", millis(first));
        put(&mut finding, "end_time", millis(last));
    }
    put(&mut finding, "finding_info", finding_info(event));
    put(&mut finding, "metadata", metadata(event));
    put(&mut finding, "resources", json!([resource(event)]));
    put(&mut finding, "observables", observables(event));
    put(&mut finding, "evidences", result.match_context.iter().map(evidence).collect::<Vec<_>>());
    put(&mut finding, "unmapped", json!({ "sandsift": native(event) }));
    Value::Object(finding)
}

fn severity(level: &str) -> (u8, &'static str) {
    match level {
        "critical" => (5, "Critical"),
        "high" => (4, "High"),
        "medium" => (3, "Medium"),
        "low" => (2, "Low"),
        _ => (1, "Informational"),
    }
}

fn finding_info(event: &MatchEvent) -> Value {
    let result = &event.result;
    let mut info = Map::new();
    put(&mut info, "uid", event.id.as_str());
    put(&mut info, "title", result.rule_title.as_str());
    if !result.rule_description.is_empty() {
        put(&mut info, "desc", result.rule_description.as_str());
    }
    put(
        &mut info,
        "analytic",
        json!({
            "type_id": 1,
            "type": "Rule",
            "uid": result.rule_id,
            "name": result.rule_title,
            "category": result.rule_source,
            "version": result.rule.get("modified").or(result.rule.get("date")),
        }),
    );
    put(&mut info, "attacks", attacks(event));
    if let Some((first, last)) = span(event) {
        put(&mut info, "first_seen_time", millis(first));
        put(&mut info, "last_seen_time", millis(last));
    }
    if let Some(reference) = listed(event, "references").next() {
        put(&mut info, "src_url", reference);
    }
    put(&mut info, "types", json!(["Sigma"]));
    Value::Object(info)
}

/// One element a technique, since Sigma does not say which technique serves which tactic; then the tactics by name.
fn attacks(event: &MatchEvent) -> Vec<Value> {
    let technique = |id: &str| json!({ "uid": id, "name": id, "src_url": attack_url(id) });
    let techniques = listed(event, "techniques").map(|id| match id.split_once('.') {
        Some((parent, _)) => json!({ "technique": technique(parent), "sub_technique": technique(id) }),
        None => json!({ "technique": technique(id) }),
    });
    let tactics = listed(event, "tactics").map(|name| {
        let mut tactic = Map::new();
        put(&mut tactic, "name", tactic_title(name));
        if let Some(id) = tactic_id(name) {
            put(&mut tactic, "src_url", attack_url(&id));
            put(&mut tactic, "uid", id);
        }
        json!({ "tactic": tactic })
    });
    techniques.chain(tactics).collect()
}

fn metadata(event: &MatchEvent) -> Value {
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "uid": event.id,
        "correlation_uid": event.completion.root_uid.as_ref().unwrap_or(&event.completion.id),
        "product": { "name": "Sandsift", "vendor_name": "Sandsift", "version": env!("CARGO_PKG_VERSION") },
    });
    if let (Some(object), Some(time)) = (metadata.as_object_mut(), happened(event)) {
        put(object, "original_time", time);
    }
    metadata
}

/// The sample, as the resource that the finding is about.
fn resource(event: &MatchEvent) -> Value {
    let sample = &event.sample;
    json!({
        "uid": sample.sha256,
        "name": sample.name.as_ref().unwrap_or(&sample.sha256),
        "type": sample.kind.as_deref().unwrap_or("sample"),
        "labels": sample.tags,
    })
}

fn observables(event: &MatchEvent) -> Vec<Value> {
    let hash = |name: &str, value: &str| json!({ "name": name, "type_id": 8, "type": "Hash", "value": value });
    let mut observables = vec![hash("sample.sha256", &event.sample.sha256)];
    observables.extend(event.sample.md5.as_deref().map(|md5| hash("sample.md5", md5)));
    observables
}

fn evidence(context: &MatchContext) -> Value {
    let mut evidence = Map::new();
    put(&mut evidence, "data", json!(context));
    let mut process = Map::new();
    put(&mut process, "cmd_line", text(context, &["CommandLine"]));
    if let Some(path) = text(context, &["Image", "SourceImage"]) {
        let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
        put(&mut process, "name", name);
        put(&mut process, "file", json!({ "path": path, "name": name, "type_id": 1 }));
    }
    put(&mut process, "uid", text(context, &["ProcessGuid", "SourceProcessGuid"]));
    let pid = context.values.get("ProcessId").and_then(|pid| pid.as_u64().or_else(|| pid.as_str()?.parse().ok()));
    put(&mut process, "pid", pid);
    if !process.is_empty() {
        put(&mut evidence, "process", process);
    }
    if let Some(path) = text(context, &["TargetFilename", "ImageLoaded"]) {
        let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
        put(&mut evidence, "file", json!({ "path": path, "name": name, "type_id": 1 }));
    }
    if let Some(host) = text(context, &["QueryName"]) {
        put(&mut evidence, "query", json!({ "hostname": host }));
    }
    Value::Object(evidence)
}
