//! Help, configuration errors and exit codes of the real binary, held to golden files; `UPDATE=1` writes them anew.

mod kit;

use kit::{Folder, sandsift};
use std::path::Path;

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{name} has changed; run UPDATE=1 cargo test -p sandsift-cli --test usage\n{text}");
}

#[test]
fn help_is_as_written() {
    let commands: [&[&str]; 16] = [
        &[],
        &["scan"],
        &["worker"],
        &["produce"],
        &["tail"],
        &["dead"],
        &["rules"],
        &["rules", "check"],
        &["rules", "list"],
        &["rules", "test"],
        &["rules", "explain"],
        &["rules", "coverage"],
        &["rules", "sync"],
        &["topology"],
        &["config"],
        &["demo"],
    ];
    for command in commands {
        let run = sandsift(command.iter().chain(&["--help"])).ends_with(0);
        let name = if command.is_empty() { "sandsift".to_owned() } else { command.join("-") };
        golden(&format!("help-{name}.txt"), &run.out());
    }
}

#[test]
fn a_wrong_key_is_refused_with_the_nearest_right_one() {
    let folder = Folder::new();
    let cases = [
        ("key.toml", "[results]\nmax_context = 3\n"),
        ("section.toml", "[resluts]\nmax_contexts = 3\n"),
        ("place.yaml", "max_contexts: 3\n"),
        ("source.toml", "[[rules.sources]]\nname = \"x\"\npaht = \"y\"\n"),
        ("unit.toml", "[limits]\nrecord_bytes = \"16\"\n"),
        ("type.toml", "[worker]\nslots = \"many\"\n"),
        ("syntax.toml", "[worker\n"),
    ];
    let mut said = String::new();
    for (name, text) in cases {
        let path = folder.write(name, text);
        let run = sandsift(["config", "check", "--config", &path]).ends_with(2);
        assert!(run.out().is_empty());
        said.push_str(&run.err().replace(&folder.path().display().to_string(), ""));
    }
    golden("configuration-errors.txt", &said);
}

#[test]
fn the_effective_configuration_hides_secrets() {
    let folder = Folder::new();
    let text = "[broker]\nuris = [\"amqp://worker:hunter2@broker/%2f\"]\n[results]\nmax_contexts = 3\n";
    let path = folder.write("sandsift.toml", text);
    let run = sandsift(["config", "show", "-c", &path, "--format", "json"]).ends_with(0);
    let config: serde_json::Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(config["results"]["max_contexts"], 3);
    assert_eq!(config["broker"]["uris"][0], "amqp://worker:***@broker/%2f");
    assert!(!run.out().contains("hunter2"));
    sandsift(["config", "check", "-c", &path]).ends_with(0);
}

#[test]
fn bad_usage_ends_with_2() {
    for arguments in [
        &["scan"][..],
        &["scan", "--platform", "beos", "x"],
        &["scan", "--logsource", "prod=x", "x"],
        &["no-such-command"],
        &["dead", "replay"],
        &["config", "show", "-c", "no/such/file.toml"],
        &["rules", "sync"],
    ] {
        sandsift(arguments).ends_with(2);
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(sandsift(["completions", shell]).ends_with(0).out().contains("sandsift"));
    }
}

#[test]
fn no_broker_is_a_problem_that_names_the_flag() {
    let run = sandsift(["dead", "list", "--broker", "amqp://127.0.0.1:1/%2f"]).ends_with(1);
    assert!(run.err().contains("--broker"), "{}", run.err());
}

#[test]
fn the_demo_analyses_every_sample() {
    let run = sandsift(["demo"]).ends_with(0);
    let last = run.out().lines().last().unwrap_or_default().to_owned();
    let (done, rest) = last.split_once(" of ").unwrap_or_default();
    assert!(rest.starts_with(&format!("{done} completions analysed")), "{}", run.out());
    for platform in ["windows", "linux", "macos"] {
        assert!(run.out().contains(platform));
    }
    assert!(!run.out().contains("nothing matched"), "every sample is an intrusion: {}", run.out());
}
