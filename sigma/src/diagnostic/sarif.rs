//! Owns findings for machines: SARIF 2.1.0, which code hosts and editors read.

use super::{Diagnostic, Severity};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Makes a SARIF log of the findings; `version` is that of the tool.
pub fn sarif(diagnostics: &[Diagnostic], version: &str) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|d| d.code).collect();
    let rules: Vec<Value> = codes.into_iter().map(|code| json!({ "id": code })).collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "sandsift", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = match diagnostic.help.as_str() {
        "" => diagnostic.message.clone(),
        help => format!("{}; {help}", diagnostic.message),
    };
    let mut place = json!({ "artifactLocation": { "uri": uri(&diagnostic.file) } });
    if diagnostic.line > 0 {
        let mut region = json!({ "startLine": diagnostic.line });
        if diagnostic.column > 0 {
            region["startColumn"] = diagnostic.column.into();
        }
        if !diagnostic.text.is_empty() {
            region["snippet"] = json!({ "text": diagnostic.text });
        }
        place["region"] = region;
    }
    json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    })
}

/// A path as a relative or absolute URI.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
