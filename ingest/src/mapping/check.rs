//! Owns running a mapping's test cases: a document in, the events that it must become out, and which paths of the
//! mapping no case ever led along.

use super::{Mapping, Mappings};
use crate::decode::{Emitter, Seen};
use crate::origin::Tracker;
use crate::{Artifact, Config, Limits, Platform, Record, RunContext};
use sandsift_sigma::{Event, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What running test cases came to.
#[derive(Debug, Default, Serialize)]
pub struct TestReport {
    /// Every case, in the order of the files.
    pub cases: Vec<CaseResult>,
    /// Paths that led nowhere in any case of their mapping.
    pub never: Vec<NeverMatched>,
}

impl TestReport {
    /// Whether every case came out as its author wrote.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.failures.is_empty())
    }
}

/// One case.
#[derive(Debug, Serialize)]
pub struct CaseResult {
    /// The file that the case stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// What came out otherwise than written; empty if nothing did.
    pub failures: Vec<String>,
}

/// A path that no document had.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NeverMatched {
    /// The mapping file.
    pub file: String,
    /// The line of the path, from 1.
    pub line: u32,
    /// The path as written.
    pub path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The platform that the completion names.
    platform: Option<Platform>,
    /// A document, as YAML.
    document: Option<serde_json::Value>,
    /// Or the artifact's text as it is.
    text: Option<String>,
    /// Every event, in any order.
    events: Vec<Expected>,
    /// Whether there may be more events than those named.
    #[serde(default)]
    more: bool,
    /// Records that must be counted as left out, by reason.
    #[serde(default)]
    skipped: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    service: Option<String>,
    /// Fields that the event must have, with these values; a list is the list of all its values.
    #[serde(default)]
    fields: BTreeMap<String, serde_json::Value>,
    /// Fields that the event must not have.
    #[serde(default)]
    absent: Vec<String>,
}

/// An event as a test sees it.
struct Got {
    product: Option<String>,
    categories: Vec<String>,
    services: Vec<String>,
    fields: BTreeMap<String, Vec<String>>,
}

impl Got {
    fn of(event: &Event) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in event.iter() {
            let text = match value {
                Value::Null => "null".to_owned(),
                Value::Bool(b) => b.to_string(),
                Value::Int(i) => i.to_string(),
                Value::Number(t) | Value::Str(t) => t.to_owned(),
                Value::Empty => String::new(),
            };
            fields.entry(name.to_owned()).or_default().push(text);
        }
        let source = event.source();
        let names = |names: &[Box<str>]| names.iter().map(|n| n.to_string()).collect();
        Self {
            product: source.product.as_deref().map(str::to_owned),
            categories: names(&source.categories),
            services: names(&source.services),
            fields,
        }
    }

    fn told(&self) -> String {
        let fields: Vec<_> =
            self.fields.iter().map(|(name, values)| format!("{name}: {}", values.join(" | "))).collect();
        let product = self.product.as_deref().unwrap_or("none");
        let source = [self.categories.join(","), self.services.join(",")].join("/");
        format!("{product}/{source} {{{}}}", fields.join(", "))
    }
}

impl Expected {
    fn meets(&self, got: &Got) -> bool {
        let value = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let values = |expected: &serde_json::Value| match expected {
            serde_json::Value::Array(items) => items.iter().map(value).collect::<Vec<_>>(),
            one => vec![value(one)],
        };
        self.product.as_ref().is_none_or(|product| match product.as_str() {
            "none" => got.product.is_none(),
            product => got.product.as_deref() == Some(product),
        }) && self.category.as_ref().is_none_or(|category| got.categories.contains(category))
            && self.service.as_ref().is_none_or(|service| got.services.contains(service))
            && self.fields.iter().all(|(name, expected)| got.fields.get(name) == Some(&values(expected)))
            && !self.absent.iter().any(|name| got.fields.contains_key(name))
    }
}

impl Mappings {
    /// Runs the cases of test files, each given by name and text; `NAME.test.yml` tests the mapping of `NAME.yml`.
    pub fn test<'f>(&self, files: impl IntoIterator<Item = (&'f str, &'f str)>) -> TestReport {
        let mut report = TestReport::default();
        let mut found: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for (file, text) in files {
            let mut fail = |name: &str, failure: String| {
                report.cases.push(CaseResult { file: file.to_owned(), name: name.to_owned(), failures: vec![failure] });
            };
            let stem = stem(file, ".test.yml");
            let Some(mapping) = self.mappings.iter().find(|m| self::stem(&m.file, ".yml") == stem) else {
                fail("the file", format!("there is no mapping file '{stem}.yml' that loads"));
                continue;
            };
            let cases: Vec<Case> = match serde_yaml::from_str(text) {
                Ok(cases) => cases,
                Err(error) => {
                    fail("the file", format!("not a list of cases: {error}"));
                    continue;
                }
            };
            for case in cases {
                let (failures, led) = self.run(mapping, &case);
                let known = found.entry(&mapping.name).or_insert_with(|| vec![false; led.len()]);
                known.iter_mut().zip(led).for_each(|(known, led)| *known |= led);
                report.cases.push(CaseResult { file: file.to_owned(), name: case.name, failures });
            }
        }
        for mapping in &self.mappings {
            let Some(found) = found.get(&*mapping.name) else { continue };
            for ((path, line), _) in mapping.paths.iter().zip(found).filter(|(_, found)| !**found) {
                report.never.push(NeverMatched { file: mapping.file.to_string(), line: *line, path: path.to_string() });
            }
        }
        report.never.sort();
        report.never.dedup();
        report
    }

    fn run(&self, mapping: &Mapping, case: &Case) -> (Vec<String>, Vec<bool>) {
        let limits = Limits::default();
        let text = match (&case.text, &case.document) {
            (Some(text), None) => text.clone(),
            (None, Some(document)) => document.to_string(),
            _ => return (vec!["a case needs `document` or `text`, one of them".to_owned()], Vec::new()),
        };
        let mut failures = Vec::new();
        match self.recognise(text.as_bytes(), &limits) {
            Some(found) if found.name == mapping.name => {}
            _ if mapping.recognise.is_empty() => {}
            Some(other) => failures.push(format!("recognised as '{}'", other.name)),
            None => failures.push("not recognised by its content".to_owned()),
        }
        let mut got = Vec::new();
        let config = Arc::new(Config { limits, ..Config::default() });
        let context = RunContext { platform: case.platform, ..RunContext::default() };
        let artifact = Artifact { index: 0, name: &case.name, kind: None, bytes: text.as_bytes() };
        let (mut seen, mut records) = (Seen::default(), 0);
        let mut tracker = Tracker::new(Arc::clone(&config.origins), &config.limits);
        let mut sink = |record: &Record<'_>| {
            got.push(Got::of(record.event));
            ControlFlow::Continue(())
        };
        let mut out = Emitter::new(&config, &context, &artifact, &mut seen, &mut tracker, &mut records, &mut sink);
        let found = super::decode::read(mapping, artifact.bytes, &mut out);
        let report = out.finish();
        let mut left: Vec<&Got> = got.iter().collect();
        for expected in &case.events {
            match left.iter().position(|got| expected.meets(got)) {
                Some(place) => {
                    left.remove(place);
                }
                None => failures.push(format!("no such event: {}", describe(expected))),
            }
        }
        if !case.more || !failures.is_empty() {
            failures.extend(left.iter().map(|got| format!("unexpected event: {}", got.told())));
        }
        for (code, count) in &case.skipped {
            let skipped = report.skipped.iter().find(|s| s.code == code).map_or(0, |s| s.count);
            if skipped != *count {
                failures.push(format!("{skipped} records left out as '{code}', not {count}"));
            }
        }
        (failures, found)
    }
}

fn describe(expected: &Expected) -> String {
    let fields: Vec<_> = expected.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let source = [&expected.product, &expected.category, &expected.service];
    let source: Vec<_> = source.into_iter().flatten().map(String::as_str).collect();
    let absent =
        if expected.absent.is_empty() { String::new() } else { format!(" without {}", expected.absent.join(", ")) };
    format!("{} {{{}}}{absent}", source.join("/"), fields.join(", "))
}

fn stem<'f>(file: &'f str, extension: &str) -> &'f str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(extension).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "mapping: m\nrecognise: [{has: [runs]}]\nplatform: linux\nevents:\n  - name: run\n    each: runs[]\n    logsource: {category: process_creation}\n    fields:\n      Image: exe\n      User: who\n";

    #[test]
    fn a_case_tells_what_came_out_otherwise_and_which_paths_never_led() {
        let (mappings, findings) = Mappings::load([("m.yml", MAPPING)]);
        assert!(findings.is_empty(), "{findings:?}");
        let cases = "- name: right\n  document: {runs: [{exe: /bin/ls}]}\n  events: [{product: linux, category: process_creation, fields: {Image: /bin/ls}, absent: [User]}]\n- name: wrong\n  document: {runs: [{exe: /bin/ls}]}\n  events: [{fields: {Image: /bin/cat}}]\n";
        let report = mappings.test([("m.test.yml", cases)]);
        assert!(!report.passed());
        assert!(report.cases[0].failures.is_empty(), "{:?}", report.cases[0]);
        assert_eq!(report.cases[1].failures.len(), 2, "{:?}", report.cases[1]);
        assert_eq!(report.never, [NeverMatched { file: "m.yml".into(), line: 10, path: "who".into() }]);
    }
}
