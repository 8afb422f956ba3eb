//! Owns `config show|check`.

use super::{docs, keys, load};
use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::term;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::io::Write as _;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the effective configuration, secrets masked
    #[command(after_help = "Examples:\n  sandsift config show\n  sandsift config show -c sandsift.toml --format json")]
    Show(Show),
    /// Check the configuration and what it names
    #[command(after_help = "Example:\n  sandsift config check -c sandsift.toml")]
    Check,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Print the reference of all keys (Markdown) instead
    #[arg(long, conflicts_with = "schema")]
    reference: bool,
    /// Print the JSON Schema of the file instead
    #[arg(long)]
    schema: bool,
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Show(show) => self::show(global, show),
        Command::Check => check(global),
    }
}

fn show(global: &Global, show: &Show) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    if show.reference {
        out.write_all(docs::reference().as_bytes())?;
        return Ok(Exit::Done);
    }
    if show.schema {
        serde_json::to_writer_pretty(&mut out, keys::schema())?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    let config = load(global.config.as_deref())?;
    let mut document = serde_json::to_value(&config)?;
    mask(&mut document);
    match global.format {
        Some(Format::Json) => {
            serde_json::to_writer_pretty(&mut out, &document)?;
            writeln!(out)?;
        }
        Some(Format::Ndjson) => {
            serde_json::to_writer(&mut out, &document)?;
            writeln!(out)?;
        }
        _ => {
            drop_nulls(&mut document);
            let text = serde_yaml::to_string(&document).map_err(Failure::problem)?;
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

fn check(global: &Global) -> Result<Exit, Failure> {
    let config = load(global.config.as_deref())?;
    let mut problems = Vec::new();
    for source in config.rules.sources.iter().filter(|source| source.enabled) {
        if !source.path.exists() {
            problems.push(format!("rules.sources '{}': path {} does not exist", source.name, source.path.display()));
        }
    }
    for (key, paths) in [("rules.mappings", &config.rules.mappings), ("rules.origins", &config.rules.origins)] {
        for path in paths.iter().filter(|path| !path.exists()) {
            problems.push(format!("{key}: {} does not exist", path.display()));
        }
    }
    for problem in &problems {
        term::error(problem);
    }
    if problems.is_empty() {
        term::note("configuration: well");
    }
    Ok(Exit::problems_if(!problems.is_empty()))
}

/// Hides what is secret: values of keys that say so, and passwords in addresses.
fn mask(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, member) in object.iter_mut() {
                let secret =
                    ["password", "secret", "token"].iter().any(|word| key.contains(word)) && !key.ends_with("_file");
                if secret && member.as_str().is_some_and(|text| !text.is_empty()) {
                    *member = Value::String("***".to_owned());
                } else {
                    mask(member);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        Value::String(text) => {
            if let Some(masked) = mask_address(text) {
                *text = masked;
            }
        }
        _ => {}
    }
}

/// An address without its password, if it has one.
pub fn mask_address(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // The last @ ends the user's part, since a password may hold one.
    let at = authority.rfind('@')?;
    let (user, _) = authority[..at].split_once(':')?;
    Some(format!("{scheme}://{user}:***{}", &rest[at..]))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, member| !member.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_names_of_their_files_are_not() {
        let mut value = serde_json::json!({
            "broker": {"uri": "amqps://sandsift:p@ss@broker:5671/%2f", "password_file": "/run/secrets/broker"},
            "stores": {"s3": {"secret_key": "abc", "url": "s3://bucket"}},
        });
        mask(&mut value);
        assert_eq!(value["broker"]["uri"], "amqps://sandsift:***@broker:5671/%2f");
        assert_eq!(value["broker"]["password_file"], "/run/secrets/broker");
        assert_eq!(value["stores"]["s3"]["secret_key"], "***");
        assert_eq!(value["stores"]["s3"]["url"], "s3://bucket");
    }
}
