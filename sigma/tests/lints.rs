//! What rule writers are told of rules that load.

mod support;

use sandsift_sigma::{Severity, SourceFile, lint};

const GOOD: &str = "title: Example
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
status: test
description: Shows what is said of a rule
author: Sandsift
date: 2026-01-01
tags:
    - attack.execution
    - attack.t1059.001
    - cve.2021-44228
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|endswith: '\\cmd.exe'
    condition: selection
level: medium
";

fn codes(text: &str) -> Vec<&'static str> {
    let file = SourceFile { source: "test", file: "proc_creation_example.yml", text: text.as_bytes() };
    let mut found: Vec<_> = lint::file(&file).iter().map(|d| d.code).collect();
    found.extend(lint::rules(&support::rules(text).0).iter().map(|d| d.code));
    found
}

/// The good rule with one part exchanged.
fn changed(from: &str, to: &str) -> Vec<&'static str> {
    let text = GOOD.replace(from, to);
    assert_ne!(text, GOOD);
    codes(&text)
}

#[test]
fn a_good_rule_is_left_in_peace() {
    assert_eq!(codes(GOOD), [] as [&str; 0]);
}

#[test]
fn metadata() {
    assert_eq!(changed("id: 929a690e-bef0-4204-a928-ef5e620d6fcc\n", ""), ["missing-id"]);
    assert_eq!(changed("-4204-", "-1204-"), ["id-version"]);
    assert_eq!(changed("author: Sandsift\n", ""), ["missing-metadata"]);
    assert_eq!(changed("2026-01-01", "2026/01/01"), ["invalid-date"]);
    assert_eq!(changed("tags:", "modified: 2025-01-01\ntags:"), ["date-order"]);
    assert_eq!(changed("tags:", "refrences: [x]\ntags:"), ["misspelt-key"]);
    assert_eq!(changed("tags:", "my_own_key: x\ntags:"), [] as [&str; 0]);
    assert_eq!(changed("tags:", "related: [{id: x, type: sibling}]\ntags:"), ["invalid-related", "invalid-related"]);
    assert_eq!(changed("tags:", "references: [a, a, {b: c}]\ntags:"), ["duplicate-entry", "not-text"]);
    assert_eq!(changed("product: windows", "product: Windows"), ["logsource-case"]);
    assert_eq!(changed("tags:", "taxonomy: ecs\ntags:"), ["foreign-taxonomy"]);
    let file = SourceFile { source: "test", file: "dir/My Rule.yaml", text: GOOD.as_bytes() };
    assert_eq!(lint::file(&file).iter().map(|d| d.code).collect::<Vec<_>>(), ["file-name"]);
}

#[test]
fn tags() {
    for (tag, code) in [
        ("attack.Execution", "tag-format"),
        ("execution", "tag-format"),
        ("attack.defense_evasion", "unknown-tag"),
        ("attack.t10591", "unknown-tag"),
        ("attack.executon", "unknown-tag"),
        ("tlp.white", "unknown-tag"),
        ("cve.44228", "unknown-tag"),
        ("mine.x", "tag-namespace"),
    ] {
        assert_eq!(changed("attack.execution", tag), [code], "{tag}");
    }
    for tag in ["attack.g0016", "attack.s0002", "attack.ds0009", "stp.3k", "car.2016-04-005", "tlp.amber-strict"] {
        assert_eq!(changed("attack.execution", tag), [] as [&str; 0], "{tag}");
    }
}

#[test]
fn values() {
    assert_eq!(changed("'\\cmd.exe'", r"'C:\*\cmd.exe'"), ["escaped-wildcard"]);
    assert_eq!(changed("'\\cmd.exe'", r"'C:\\*\cmd.exe'"), [] as [&str; 0]);
    assert_eq!(changed("'\\cmd.exe'", r"'*\cmd.exe'"), ["redundant-wildcard"]);
    assert_eq!(changed("Image|endswith: '\\cmd.exe'", r"Image: '*\cmd.exe'"), ["prefer-modifier"]);
    assert_eq!(changed("'\\cmd.exe'", "['\\cmd.exe', '\\CMD.exe']"), ["duplicate-value"]);
    assert_eq!(changed("Image|endswith: '\\cmd.exe'", "Image|contains: [cmd, cmdkey]"), ["needless-value"]);
    assert_eq!(changed("Image|", "Process Image|"), ["field-with-space"]);
}

#[test]
fn conditions() {
    assert_eq!(changed("condition: selection", "condition: all of them"), ["all-of-them"]);
    assert_eq!(changed("condition: selection", "condition: [selection, selection]"), ["condition-list"]);
    assert_eq!(changed("condition: selection", "condition: not selection"), ["only-negative"]);
    assert_eq!(changed("condition: selection", "condition: selection and 1 of missing_*"), ["never-fires"]);
    let two = "other: {EventID: 1}\n    third: {EventID: [2, 3]}\n    condition: selection and other and third";
    assert_eq!(changed("condition: selection", two), ["contradiction"]);
    let fits = "other: {EventID: 1}\n    third: {EventID: [2, 1]}\n    condition: selection and other and third";
    assert_eq!(changed("condition: selection", fits), [] as [&str; 0]);
}

#[test]
fn sets() {
    let twin = GOOD.replace("929a690e", "829a690e").replace("Example", "Twin");
    let (set, _) = support::rules(&format!("{GOOD}---\n{twin}"));
    assert_eq!(lint::duplicates(&set).iter().map(|d| d.code).collect::<Vec<_>>(), ["duplicate-detection"]);
    assert_eq!(lint::unreachable(&set, &|_| true).len(), 0);
    let unreached = lint::unreachable(&set, &|logsource| logsource.product.as_deref() != Some("windows"));
    assert_eq!(unreached[0].message, "no mapped event has product windows, category process_creation");
}

/// SigmaHQ's own rules keep SigmaHQ's conventions, so a lint that speaks of many of them is wrong.
#[test]
fn few_rules_of_sigmahq_are_warned_of() {
    let Some(files) = support::sigmahq() else { return };
    let mut by_code = std::collections::BTreeMap::new();
    let (set, _) = support::build(&files, Default::default());
    let of_files = files.iter().flat_map(|(file, text)| lint::file(&SourceFile { source: "SigmaHQ", file, text }));
    for finding in of_files.chain(lint::rules(&set)) {
        assert_ne!(finding.severity, Severity::Error);
        let entry = by_code.entry((finding.severity, finding.code)).or_insert((0, finding.file, finding.line));
        entry.0 += 1;
    }
    eprintln!("{by_code:#?}");
    for ((severity, code), (count, ..)) in by_code {
        assert!(severity < Severity::Warning || count < 100, "{code}: {count}");
    }
}
