//! The rules that ship load without a finding, say what a rule writer needs to know, and fire on their own cases and on
//! none of their near misses.

use sandsift_sigma::{Builder, EventSource, Options, RuleSet, Severity, SourceFile, testing::event_from_json};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    event: serde_json::Value,
    #[serde(rename = "match")]
    matches: bool,
    #[serde(default)]
    logsource: Option<BTreeMap<String, String>>,
}

fn rules_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

/// Every rule file of the platforms' folders, sorted.
fn rule_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["windows", "linux", "macos"].iter().map(|platform| rules_folder().join(platform)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of rules") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yml") && !is_test(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".test.yml")
}

fn load(files: &[PathBuf]) -> RuleSet {
    let mut builder = Builder::new(Options::default());
    for path in files {
        let text = std::fs::read(path).expect("a readable rule");
        builder.add(&SourceFile { source: "Sandsift", file: &path.to_string_lossy(), text: &text });
    }
    let (rules, diagnostics) = builder.build();
    let findings: Vec<_> = diagnostics.iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    rules
}

#[test]
fn there_are_rules_for_every_platform_and_level_and_each_loads() {
    let files = rule_files();
    assert!(files.len() >= 40, "{} rules", files.len());
    let rules = load(&files);
    assert_eq!(rules.rules().len(), files.len());
    let levels: std::collections::BTreeSet<String> = rules
        .rules()
        .iter()
        .filter_map(|rule| rule.metadata.level.map(|level| format!("{level:?}").to_lowercase()))
        .collect();
    for level in ["low", "medium", "high", "critical"] {
        assert!(levels.contains(level), "no rule of level {level}: {levels:?}");
    }
}

#[test]
fn every_rule_says_what_its_reader_needs() {
    for path in rule_files() {
        let text = std::fs::read_to_string(&path).expect("a readable rule");
        let rule: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let shown = path.display();
        assert_eq!(rule["author"], "Sandsift", "{shown}");
        assert_eq!(rule["license"], "Apache-2.0", "{shown}");
        assert!(rule["falsepositives"].as_array().is_some_and(|list| !list.is_empty()), "{shown}: no false positives");
        let tags: Vec<&str> = rule["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str()).collect();
        assert!(tags.iter().any(|tag| tag.starts_with("attack.t")), "{shown}: no ATT&CK technique in {tags:?}");
        assert!(
            tags.iter().any(|tag| !tag.starts_with("attack.t") && tag.starts_with("attack.")),
            "{shown}: no tactic"
        );
        let folder = path.parent().and_then(Path::parent).and_then(Path::file_name).expect("a platform's folder");
        assert_eq!(rule["logsource"]["product"].as_str(), folder.to_str(), "{shown}");
    }
}

#[test]
fn every_rule_fires_on_its_cases_and_not_on_its_near_misses() {
    for path in rule_files() {
        let rules = load(std::slice::from_ref(&path));
        let text = std::fs::read_to_string(&path).expect("a readable rule");
        let rule: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let cases = path.with_extension("test.yml");
        let cases = std::fs::read_to_string(&cases).unwrap_or_else(|error| panic!("{}: {error}", cases.display()));
        let cases: Vec<Case> =
            serde_yaml::from_str(&cases).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(cases.iter().any(|case| case.matches), "{}: no case that fires", path.display());
        assert!(cases.iter().any(|case| !case.matches), "{}: no near miss", path.display());
        for case in cases {
            let part = |name: &str| match &case.logsource {
                Some(source) => source.get(name).cloned(),
                None => rule["logsource"][name].as_str().map(str::to_owned),
            };
            let mut event = event_from_json(&case.event);
            let (category, service) = (part("category"), part("service"));
            event.set_source(&EventSource::new(part("product").as_deref(), category.as_deref(), service.as_deref()));
            let mut hits = Vec::new();
            rules.matches(&event, &mut rules.scratch(), &mut hits);
            assert_eq!(!hits.is_empty(), case.matches, "{}: case '{}'", path.display(), case.name);
        }
    }
}
