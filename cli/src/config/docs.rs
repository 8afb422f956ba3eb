//! Owns the reference of the configuration: made from the schema, so that it cannot drift from the code.

use super::keys::{properties, resolve, schema};
use serde_json::Value;
use std::fmt::Write as _;

/// `docs/configuration.md`.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    for (name, section) in properties(schema()).into_iter().flatten() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "## `[{name}]`\n\n{}\n", describe(section));
        table(name, section, &mut text);
    }
    text
}

const HEAD: &str = "# Configuration

Made from the code by `sandsift config show --reference`; a test holds the two together.

A TOML or YAML file, named by `--config FILE` or `SANDSIFT_CONFIG`. Every key can also be set by the environment:
`SANDSIFT_` and the key in capitals with `__` for each dot, such as `SANDSIFT_RESULTS__MAX_CONTEXTS=3`; lists take commas.
Flags win over the environment, the environment over the file, the file over the defaults. Unknown keys are refused.
Durations and sizes carry their unit: `\"30s\"`, `\"16MiB\"`. Secrets stand in files of their own, named by keys that end in
`_file`; `sandsift config show` masks what is secret, `sandsift config check` says what is wrong.

";

fn table(path: &str, section: &'static Value, text: &mut String) {
    let mut nested = Vec::new();
    text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, value) in properties(section).into_iter().flatten() {
        let inner = items(value);
        let is_list_of_sections = properties(inner).is_some();
        let _ = writeln!(
            text,
            "| `{key}` | {} | {} | {} |",
            kind(value),
            if is_list_of_sections { String::new() } else { default(value) },
            describe(value).replace('|', "\\|")
        );
        if is_list_of_sections {
            nested.push((format!("{path}.{key}"), inner));
        }
    }
    text.push('\n');
    for (path, section) in nested {
        let _ = writeln!(text, "### `{path}`\n");
        table(&path, section, text);
    }
}

/// What a list or a map holds; the schema itself where it is neither.
fn items(schema: &'static Value) -> &'static Value {
    let resolved = resolve(schema);
    resolved.get("items").or(resolved.get("additionalProperties").filter(|inner| inner.is_object())).unwrap_or(schema)
}

fn describe(schema: &'static Value) -> String {
    let own = schema.get("description").or_else(|| resolve(schema).get("description"));
    own.and_then(Value::as_str).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(schema: &'static Value) -> String {
    let resolved = resolve(schema);
    if let Some(words) = resolved.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let name = match resolved.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or(""),
        _ => "",
    };
    match name {
        "array" => "list".to_owned(),
        "object" => "table".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "true, false".to_owned(),
        other => other.to_owned(),
    }
}

fn default(schema: &'static Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(value) => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_reference_in_docs_is_the_code_s() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == reference(),
            "docs/configuration.md has drifted; run UPDATE=1 cargo test -p sandsift-cli docs"
        );
    }

    #[test]
    fn every_key_has_a_meaning() {
        fn check(path: &str, schema: &'static Value) {
            for (key, value) in properties(schema).into_iter().flatten() {
                assert!(!describe(value).is_empty(), "{path}.{key} has no comment");
                check(&format!("{path}.{key}"), items(value));
            }
        }
        check("", schema());
    }
}
