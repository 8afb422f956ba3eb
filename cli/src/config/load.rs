//! Owns where the configuration comes from: defaults, then a file, then the environment; flags are the commands' own.

use super::Config;
use super::keys::{self, typed};
use crate::failure::Failure;
use config::{File, FileFormat};
use serde_json::{Map, Value};
use std::path::Path;

/// What the names of variables start with; `SANDSIFT_RESULTS__MAX_CONTEXTS` is `results.max_contexts`.
const PREFIX: &str = "SANDSIFT_";

/// Between the parts of a key in a variable's name.
const SEPARATOR: &str = "__";

/// Reads the configuration; without a file, defaults and environment alone.
pub fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let mut document = match file {
        Some(path) => read(path)?,
        None => Value::Object(Map::new()),
    };
    if let Some(path) = file {
        refuse_unknown(&document, &format!("configuration {}", path.display()))?;
    }
    let environment = environment(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    refuse_unknown(&environment, "environment")?;
    merge(&mut document, environment);
    parse(document, file)
}

/// Reads a TOML or YAML file, by its extension.
fn read(path: &Path) -> Result<Value, Failure> {
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yml" | "yaml") => FileFormat::Yaml,
        Some("toml") | None => FileFormat::Toml,
        Some("json") => FileFormat::Yaml,
        Some(other) => {
            let message = format!("configuration {}: unknown extension '{other}'; use .toml or .yaml", path.display());
            return Err(Failure::usage(message));
        }
    };
    let fail = |error: &dyn std::fmt::Display| Failure::usage(format!("configuration {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fail(&error))?;
    let source = File::from_str(&text, format);
    let built = config::Config::builder().add_source(source).build().map_err(|error| fail(&error))?;
    built.try_deserialize().map_err(|error| fail(&error))
}

/// Refuses keys that do not exist, with the nearest right ones.
fn refuse_unknown(document: &Value, from: &str) -> Result<(), Failure> {
    let unknown = keys::unknown(document);
    if unknown.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = unknown
        .iter()
        .map(|unknown| match &unknown.nearest {
            Some(nearest) => format!("{from}: unknown key '{}'; did you mean '{nearest}'?", unknown.key),
            None => format!("{from}: unknown key '{}'; 'sandsift config show' lists all keys", unknown.key),
        })
        .collect();
    Err(Failure::usage(lines.join("\n")))
}

/// The environment's part as a document.
fn environment(variables: impl Iterator<Item = (String, String)>) -> Value {
    let mut document = Value::Object(Map::new());
    for (name, text) in variables {
        let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains(SEPARATOR)) else { continue };
        let parts: Vec<String> = key.split(SEPARATOR).map(str::to_lowercase).collect();
        let mut leaf = typed(&text, &parts);
        for part in parts.iter().rev() {
            leaf = Value::Object(Map::from_iter([(part.clone(), leaf)]));
        }
        merge(&mut document, leaf);
    }
    document
}

/// Lays one document over another; lists are replaced.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn parse(document: Value, file: Option<&Path>) -> Result<Config, Failure> {
    let from = file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
    // The sections one by one, so that an error can name where it stands.
    Config::deserialize_sections(document).map_err(|(key, error)| {
        Failure::usage(format!("configuration {from}: '{key}': {error}; see docs/configuration.md"))
    })
}

impl Config {
    fn deserialize_sections(document: Value) -> Result<Self, (String, serde_json::Error)> {
        let whole = serde_json::from_value::<Self>(document.clone());
        let error = match whole {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        // One key alone that fails is the one to name.
        for (section, members) in document.as_object().into_iter().flatten() {
            for (key, value) in members.as_object().into_iter().flatten() {
                let inner = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
                let alone = Value::Object(Map::from_iter([(section.clone(), inner)]));
                if let Err(error) = serde_json::from_value::<Self>(alone) {
                    return Err((keys::join(section, key), error));
                }
            }
        }
        Err(("".to_owned(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_become_keys_and_win_over_the_file() {
        let variables =
            [("SANDSIFT_RESULTS__MAX_CONTEXTS", "3"), ("SANDSIFT_CONFIG", "/etc/sandsift.toml"), ("PATH", "/bin")];
        let environment = environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter());
        assert_eq!(environment, json!({"results": {"max_contexts": 3}}));
        let mut document = json!({"results": {"max_contexts": 5, "origins": ["sample"]}});
        merge(&mut document, environment);
        assert_eq!(document, json!({"results": {"max_contexts": 3, "origins": ["sample"]}}));
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let (key, _) = Config::deserialize_sections(json!({"limits": {"record_bytes": "16"}})).unwrap_err();
        assert_eq!(key, "limits.record_bytes");
    }
}
