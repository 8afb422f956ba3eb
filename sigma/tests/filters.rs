//! What users of filters rely on: which rules they reach, and that their names never meet those of the rule.

mod support;

use sandsift_sigma::{Options, RuleSet};
use serde_json::json;
use support::{build, event, fired};

const RULE: &str = "
title: Base
id: 6f3e2987-db24-4c78-a860-b4f4095a7095
name: base
logsource: {category: process_creation, product: windows}
detection: {selection: {Image: a}, condition: selection}
---
";

fn filtered(filter: &str) -> (RuleSet, Vec<&'static str>) {
    let text = format!("{RULE}title: Filter\nlogsource: {{category: process_creation}}\nfilter:\n{filter}");
    let (set, diagnostics) = build(&[("rule.yml".to_owned(), text.into_bytes())], Options::default());
    (set, diagnostics.iter().map(|d| d.code).collect())
}

fn fires(set: &RuleSet, user: &str) -> bool {
    let json = json!({"Image": "a", "User": user});
    !fired(set, &event(&json, Some("windows"), Some("process_creation"), None)).is_empty()
}

#[test]
fn a_filter_is_joined_as_written() {
    for rules in ["[6f3e2987-db24-4c78-a860-b4f4095a7095]", "[base]", "base", "any", "[any]", "['b*']"] {
        let (set, codes) = filtered(&format!(
            "  rules: {rules}\n  selection: {{User|startswith: adm_}}\n  condition: not selection\n"
        ));
        assert_eq!(codes, [] as [&str; 0], "{rules}");
        assert!(fires(&set, "bob") && !fires(&set, "ADM_x"), "{rules}: the names of both selections are their own");
    }
    let (set, _) = filtered("  rules: any\n  selection: {User: bob}\n  condition: selection\n");
    assert!(fires(&set, "bob") && !fires(&set, "ann"), "without 'not' it narrows the rule");
}

#[test]
fn a_filter_that_reaches_nothing_is_reported() {
    let not = "  selection: {User: bob}\n  condition: not selection\n";
    let (set, codes) = filtered(&format!("  rules: [other]\n{not}"));
    assert_eq!(codes, ["unused-filter"]);
    assert!(fires(&set, "bob"));
    assert_eq!(filtered(&format!("  rules: [base, other]\n{not}")).1, ["unknown-rule-reference"]);
    assert_eq!(filtered(not).1, ["missing-filter-rules"]);
    let linux = format!("{RULE}title: Filter\nlogsource: {{product: linux}}\nfilter:\n  rules: any\n{not}");
    let (set, diagnostics) = build(&[("rule.yml".to_owned(), linux.into_bytes())], Options::default());
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["unused-filter"]);
    assert!(fires(&set, "bob"));
}

#[test]
fn a_filter_changes_the_digest_and_one_without_values_filters_nothing() {
    let (plain, _) = build(&[("rule.yml".to_owned(), RULE.as_bytes().to_vec())], Options::default());
    let (set, _) = filtered("  rules: any\n  selection: {User: bob}\n  condition: not selection\n");
    assert_ne!(plain.digest(), set.digest());
    let (set, codes) = filtered("  rules: any\n  s: {User|expand: '%admins%'}\n  condition: not s\n");
    assert_eq!(codes, ["placeholder-without-values", "filter-without-values"]);
    assert!(fires(&set, "bob"));
}
