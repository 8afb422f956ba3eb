//! Owns our own cases: `NAME.test.yml` beside `NAME.yml`, a list of events that a rule fires on or must not.

use super::Case;
use crate::config::Config;
use crate::rules::explain::{decode, source, source_of};
use sandsift_sigma::rule::Rule;
use sandsift_sigma::{Hit, RuleIndex, RuleSet, Scratch};
use sandsift_worker::execute::LogSource;
use sandsift_worker::shipped::{self, Class};
use sandsift_worker::sources::walk;
use serde::Deserialize;
use std::collections::HashMap;

/// A case as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    event: serde_json::Value,
    #[serde(rename = "match")]
    matches: bool,
    /// The rule's own where absent.
    #[serde(default)]
    logsource: Option<LogSource>,
    /// The rule of a file with several: its id or title.
    #[serde(default)]
    rule: Option<String>,
}

/// Runs every case beside a rule of the configuration.
pub fn run(config: &Config, rules: &RuleSet) -> Vec<Case> {
    let mut by_file: HashMap<&str, Vec<RuleIndex>> = HashMap::new();
    for (index, rule) in (0..).zip(rules.rules()) {
        by_file.entry(&rule.origin.file).or_default().push(RuleIndex(index));
    }
    let mut scratch = rules.scratch();
    let mut cases = Vec::new();
    let mut take = |file: &str, text: &[u8]| {
        let Some(stem) = file.strip_suffix(".test.yml").or(file.strip_suffix(".test.yaml")) else { return };
        let beside = [format!("{stem}.yml"), format!("{stem}.yaml")];
        let of_file = beside.iter().find_map(|rule| by_file.get(rule.as_str()));
        cases.extend(file_cases(file, text, of_file.map_or(&[], Vec::as_slice), rules, &mut scratch));
    };
    if config.rules.shipped {
        let rules_alone = |path: &str| !path.starts_with("mappings/") && !path.starts_with("origins/");
        for file in shipped::files(Class::Test).filter(|file| rules_alone(file.path)) {
            take(&format!("shipped:{}", file.path), file.bytes);
        }
    }
    for source in config.rules.sources.iter().filter(|source| source.enabled) {
        for file in walk(&source.path).0.iter().filter(|file| shipped::is_test(&file.relative)) {
            if file.relative.starts_with("mappings/") || file.relative.starts_with("origins/") {
                continue;
            }
            let name = file.path.display().to_string();
            match std::fs::read(&file.path) {
                Ok(text) => take(&name, &text),
                Err(error) => tracing::warn!("{name}: cannot be read: {error}"),
            }
        }
        // A rule file that was named alone brings the cases beside it.
        if source.path.is_file() {
            let test = source.path.with_extension("test.yml");
            if let Ok(text) = std::fs::read(&test) {
                take(&test.display().to_string(), &text);
            }
        }
    }
    cases
}

fn file_cases(file: &str, text: &[u8], of_file: &[RuleIndex], rules: &RuleSet, scratch: &mut Scratch) -> Vec<Case> {
    let written: Vec<Written> = match serde_yaml::from_slice(text) {
        Ok(written) => written,
        Err(error) => {
            let failure = format!("is no list of {{name, event, match, logsource?}}: {error}");
            return vec![Case::run(file, "file", file, || Err(failure))];
        }
    };
    let mut cases = Vec::new();
    for case in written {
        let named = |rule: &Rule| {
            let wanted = case.rule.as_ref();
            wanted.is_none_or(|name| rule.id.to_string() == name.to_lowercase() || rule.metadata.title == *name)
        };
        let about: Vec<RuleIndex> = of_file.iter().copied().filter(|index| named(rules.rule(*index))).collect();
        if about.is_empty() {
            let failure = "no rule beside it loaded".to_owned();
            cases.push(Case::run(file, &case.name, file, || Err(failure)));
        }
        for index in about {
            let rule = rules.rule(index);
            let id = rule.id.to_string();
            cases.push(Case::run(file, &case.name, &id, || check(&case, rule, index, rules, scratch)));
        }
    }
    cases
}

fn check(case: &Written, rule: &Rule, index: RuleIndex, rules: &RuleSet, scratch: &mut Scratch) -> Result<(), String> {
    let text = serde_json::to_vec(&case.event).map_err(|error| error.to_string())?;
    let mut event = decode(&text)?;
    event.set_source(&case.logsource.as_ref().map_or_else(|| source_of(rule), source));
    let mut hits: Vec<Hit> = Vec::new();
    rules.matches(&event, scratch, &mut hits);
    let fired = hits.iter().any(|hit| hit.rule == index);
    match (case.matches, fired) {
        (true, false) => Err(format!("does not match, but should:\n{}", rules.explain_all(&event, index))),
        (false, true) => Err(format!("matches, but should not:\n{}", rules.explain_all(&event, index))),
        _ => Ok(()),
    }
}
