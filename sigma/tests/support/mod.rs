//! What the integration tests share: the data beside the project, and rules from folders.
#![allow(dead_code)]

use sandsift_sigma::{Builder, Diagnostic, Event, EventSource, Options, RuleSet, SourceFile};
use std::path::{Path, PathBuf};

/// A path under the data beside the project; says so and gives `None` where it is absent.
pub fn data(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// Every `.yml` under a folder, with its content.
pub fn rule_files(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rule_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "yml") {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// All of SigmaHQ's rules that lie beside the project.
pub fn sigmahq() -> Option<Vec<(String, Vec<u8>)>> {
    let root = data("sigmahq")?;
    let mut files = Vec::new();
    for folder in ["rules", "rules-emerging-threats", "rules-threat-hunting"] {
        rule_files(&root.join(folder), &mut files);
    }
    Some(files)
}

/// A set of these files.
pub fn build(files: &[(String, Vec<u8>)], options: Options) -> (RuleSet, Vec<Diagnostic>) {
    let mut builder = Builder::new(options);
    for (file, text) in files {
        builder.add(&SourceFile { source: "test", file, text });
    }
    builder.build()
}

/// A set of one text.
pub fn rules(text: &str) -> (RuleSet, Vec<Diagnostic>) {
    build(&[("rule.yml".to_owned(), text.as_bytes().to_vec())], Options::default())
}

/// An event of JSON with the source that its rules ask for.
pub fn event(json: &serde_json::Value, product: Option<&str>, category: Option<&str>, service: Option<&str>) -> Event {
    let mut event = sandsift_sigma::testing::event_from_json(json);
    event.set_source(&EventSource::new(product, category, service));
    event
}

/// Which rules fire by the matcher, and that the plain evaluator says the same.
pub fn fired(set: &RuleSet, event: &Event) -> Vec<u32> {
    let (mut fast, mut plain) = (Vec::new(), Vec::new());
    set.matches(event, &mut set.scratch(), &mut fast);
    set.matches_plainly(event, &mut plain);
    assert_eq!(fast, plain, "the matcher and the plain evaluator differ");
    fast.iter().map(|hit| hit.rule.0).collect()
}
