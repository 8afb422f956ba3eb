//! Owns SigmaHQ's layout as it is: `regression_tests_path` of a rule names an `info.yml`, which names logs and how often
//! the rule must fire on each.

use super::Case;
use crate::config::Config;
use sandsift_bus::message::{Artifact, Completion, Sample, Sandbox};
use sandsift_worker::execute::{Engine, Executor as _, Job, Threads};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    rule_metadata: Vec<RuleName>,
    #[serde(default)]
    regression_tests_info: Vec<Written>,
}

#[derive(Debug, Deserialize)]
struct RuleName {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    /// At least once where absent.
    match_count: Option<u64>,
    path: String,
}

/// Runs the suite of every `info.yml` that a rule names, or that stands below a named path.
pub fn run(config: &Config, engine: &Arc<Engine>) -> Vec<Case> {
    let mut infos: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for rule in engine.rules().rules() {
        let Some(path) = rule.metadata.custom.get("regression_tests_path").and_then(|path| path.as_str()) else {
            continue;
        };
        let found = upwards(Path::new(&*rule.origin.file), path);
        infos.entry(found.unwrap_or_else(|| PathBuf::from(path))).or_default().insert(rule.id.to_string());
    }
    for source in config.rules.sources.iter().filter(|source| source.enabled) {
        let mut found = Vec::new();
        if source.path.is_dir() {
            find(&source.path, 0, &mut found);
        }
        for path in found {
            let same = path.canonicalize().ok();
            let known = infos.keys().any(|info| info.canonicalize().ok() == same);
            if !known {
                infos.insert(path, BTreeSet::new());
            }
        }
    }
    let executor = Threads::new(Arc::clone(engine));
    let loaded: BTreeSet<String> = engine.rules().rules().iter().map(|rule| rule.id.to_string()).collect();
    infos.iter().flat_map(|(info, rules)| file_cases(info, rules, &loaded, &executor)).collect()
}

/// Every `info.yml` below a folder; the walk through rules leaves these out.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            if depth < 32 {
                find(&path, depth + 1, found);
            }
        } else if entry.file_name() == "info.yml" {
            found.push(path);
        }
    }
}

/// A relative path, looked for from a file's folder upwards.
fn upwards(from: &Path, relative: &str) -> Option<PathBuf> {
    let relative = Path::new(relative);
    let stays_inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !stays_inside {
        return None;
    }
    let from = from.canonicalize().ok()?;
    from.ancestors().skip(1).map(|folder| folder.join(relative)).find(|path| path.exists())
}

fn file_cases(info: &Path, rules: &BTreeSet<String>, loaded: &BTreeSet<String>, executor: &Threads) -> Vec<Case> {
    let file = info.display().to_string();
    let about = rules.iter().next().cloned().unwrap_or_else(|| file.clone());
    let read = std::fs::read(info)
        .map_err(|error| format!("cannot be read: {error}"))
        .and_then(|text| serde_yaml::from_slice::<Info>(&text).map_err(|error| error.to_string()));
    let written = match read {
        Ok(written) => written,
        // Rules may be tried without the data that their suite lies in.
        Err(why) if !info.exists() => return vec![Case::skip(&file, "info", &about, why)],
        Err(why) => return vec![Case::run(&file, "info", &about, || Err(why))],
    };
    let mut rules = rules.clone();
    if rules.is_empty() {
        rules.extend(written.rule_metadata.iter().map(|rule| rule.id.to_lowercase()));
    }
    let mut cases = Vec::new();
    for test in &written.regression_tests_info {
        for rule in &rules {
            if !loaded.contains(rule) {
                cases.push(Case::skip(&file, &test.name, rule, "the rule is not among those loaded".to_owned()));
                continue;
            }
            cases.push(Case::run(&file, &test.name, rule, || check(info, test, rule, executor)));
        }
    }
    cases
}

fn check(info: &Path, test: &Written, rule: &str, executor: &Threads) -> Result<(), String> {
    let log = upwards(info, &test.path)
        .or_else(|| Some(info.parent()?.join(Path::new(&test.path).file_name()?)).filter(|path| path.exists()))
        .ok_or_else(|| format!("{}: the log does not exist", test.path))?;
    let bytes = std::fs::read(&log).map_err(|error| format!("{}: cannot be read: {error}", log.display()))?;
    let artifact = Artifact {
        kind: (test.kind == "evtx").then(|| "evtx".to_owned()),
        store: None,
        key: Some(log.display().to_string()),
        sha256: None,
        bytes: None,
        inline: None,
        encoding: None,
    };
    let completion = Completion {
        id: "rules-test".to_owned(),
        sample: Sample::default(),
        platform: String::new(),
        sandbox: Sandbox { name: "rules-test".to_owned(), version: None, machine: None },
        started: None,
        finished: None,
        root_uid: None,
        parent_uid: None,
        artifacts: vec![artifact],
    };
    let job = Job {
        completion,
        artifacts: vec![bytes],
        attempt: 1,
        logsource: None,
        worker: String::new(),
        input: String::new(),
    };
    let analysis = executor.execute(job).map_err(|error| error.to_string())?;
    let count =
        analysis.sigma_analysis_results.iter().find(|result| result.rule_id == rule).map_or(0, |result| result.count);
    let least = test.match_count.unwrap_or(1);
    if count >= least {
        return Ok(());
    }
    let events = analysis.events.get("total").cloned().unwrap_or_default();
    Err(format!("fires {count} times, at least {least} are wanted ({} of {events} events)", log.display()))
}
