//! The decisions of `docs/sigma.md` that the vectors do not hold, one test each.

mod support;

use sandsift_sigma::{Options, RuleSet, Severity};
use serde_json::{Value, json};
use support::{build, event};

fn load(detection: &str, options: Options) -> (RuleSet, Vec<(&'static str, Severity)>) {
    let text = format!("title: x\nlogsource: {{category: test}}\ndetection:\n  {}\n", detection.replace('\n', "\n  "));
    let (set, diagnostics) = build(&[("x.yml".to_owned(), text.into_bytes())], options);
    (set, diagnostics.iter().map(|d| (d.code, d.severity)).collect())
}

/// Whether a selection fires; it must load without a finding.
fn fires(selection: &str, json: Value) -> bool {
    let (set, findings) = load(&format!("s: {selection}\ncondition: s"), Options::default());
    assert_eq!(findings, [], "{selection}");
    !support::fired(&set, &event(&json, None, Some("test"), None)).is_empty()
}

/// The first finding about a selection.
fn finding(selection: &str) -> &'static str {
    load(&format!("s: {selection}\ncondition: s"), Options::default()).1.first().map_or("none", |f| f.0)
}

#[test]
fn wildcards_are_read_before_the_modifier_adds_its_own() {
    assert!(fires("{f|startswith: '*x'}", json!({"f": "axb"})));
    assert!(fires(r"{f|endswith: 'a\*'}", json!({"f": "xa*"})));
    assert!(!fires(r"{f|endswith: 'a\*'}", json!({"f": "xab"})));
    assert!(fires(r"{f|startswith: 'C:\\*\x'}", json!({"f": "C:\\a\nb\\xyz"})));
}

#[test]
fn null_and_empty() {
    for (selection, missing, null, empty, text) in [
        ("{f: null}", true, true, false, false),
        ("{f: ''}", false, false, true, false),
        ("{f: '*'}", false, false, true, true),
        ("{f|exists: true}", false, true, true, true),
        ("{f|exists: false}", true, false, false, false),
        ("{f|neq: x}", true, true, true, false),
        ("{f|neq: null}", false, false, true, true),
    ] {
        assert_eq!(fires(selection, json!({"g": 1})), missing, "{selection} missing");
        assert_eq!(fires(selection, json!({"f": null})), null, "{selection} null");
        assert_eq!(fires(selection, json!({"f": ""})), empty, "{selection} empty");
        assert_eq!(fires(selection, json!({"f": "x"})), text, "{selection} text");
    }
    assert_eq!(finding("{f: []}"), "empty-list");
    assert_eq!(finding("{f: [a, null]}"), "null-in-list");
}

#[test]
fn numbers_keep_their_text() {
    assert!(fires("{f: 1.10}", json!({"f": "1.10"})));
    assert!(fires("{f: 1.10}", json!({"f": 1.1})));
    assert!(!fires("{f: 1.10}", json!({"f": "1.1"})));
    let (set, findings) = load("s: {f: 0x1410}\ncondition: s", Options::default());
    assert_eq!(findings, [("ambiguous-number", Severity::Note)]);
    for value in [json!("0x1410"), json!("0X1410"), json!(5136), json!("5136")] {
        assert_eq!(support::fired(&set, &event(&json!({"f": value}), None, Some("test"), None)), [0], "{value}");
    }
    assert!(fires(
        "{f: 340282366920938463463374607431768211455}",
        json!({"f": "340282366920938463463374607431768211455"})
    ));
}

#[test]
fn truth_values_are_those_of_yaml_1_2() {
    assert!(fires("{f: yes}", json!({"f": "YES"})));
    assert!(!fires("{f: yes}", json!({"f": true})));
    assert!(fires("{f: true}", json!({"f": "TRUE"})) && !fires("{f: true}", json!({"f": 1})));
}

#[test]
fn modifiers_in_order() {
    // "cmd" in UTF-16LE is Y21k.. only where `wide` comes first.
    assert!(fires("{f|wide|base64: cmd}", json!({"f": "YwBtAGQA"})));
    assert_eq!(finding("{f|base64|wide|base64|wide|wide: cmd}"), "modifier-not-applicable");
    assert!(fires("{f|utf16|base64: cmd}", json!({"f": "//5jAG0AZAA="})));
    assert!(fires("{f|utf16be|base64: cmd}", json!({"f": "AGMAbQBk"})));
    assert!(fires("{f|wide: ab}", json!({"f": "a\u{0}b\u{0}"})));
    assert!(fires("{f|contains|wide: ab}", json!({"f": "xa\u{0}b\u{0}y"})));
    assert!(fires("{f|base64offset: foobar!}", json!({"f": "--Zm9vYmFyIXg=--"})));
    assert!(fires("{f|base64offset|contains|all: [foo, bar]}", json!({"f": "Zm9v..YmFy"})));
    assert!(!fires("{f|base64offset|contains|all: [foo, bar]}", json!({"f": "Zm9v"})));
    assert!(fires("{f|base64offset|contains: ä}", json!({"f": "w6Q="})));
    assert!(fires("{f|re|i|m: '^abc$'}", json!({"f": "x\nABC\ny"})));
    assert!(
        fires("{f|re|startswith: 'b+'}", json!({"f": "bba"})) && !fires("{f|re|startswith: 'b+'}", json!({"f": "ab"}))
    );
    assert!(fires("{f|contains|all|neq: [a, b]}", json!({"f": "a"})));
    assert!(!fires("{f|contains|all|neq: [a, b]}", json!({"f": "ab"})));
    assert!(fires("{f|cased|contains|windash: ' -A'}", json!({"f": "x /A"})));
    assert!(!fires("{f|cased|contains|windash: ' -A'}", json!({"f": "x /a"})));
    assert!(fires("{f|windash|base64offset|contains: '-enc'}", json!({"f": "L2VuYw=="})));
    assert!(fires("{f|contains: 5}", json!({"f": 1512})), "a number's text");
    for (selection, code) in [
        ("{f|contains|re: x}", "modifier-not-applicable"),
        ("{f|contains|base64: x}", "wildcard-in-encoding"),
        ("{f|i: x}", "modifier-not-applicable"),
        ("{f|contains: null}", "modifier-not-applicable"),
        ("{f|gt: x}", "modifier-value-type"),
        ("{f|exists: x}", "modifier-value-type"),
        ("{f|cidr: 1}", "modifier-not-applicable"),
        ("{f|Contains: x}", "unknown-modifier"),
        ("{f|all: x}", "all-of-one"),
        ("{'|exists': true}", "field-required"),
    ] {
        assert_eq!(finding(selection), code, "{selection}");
    }
}

#[test]
fn windash_takes_all_five_where_a_flag_starts() {
    for dash in ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"] {
        assert!(fires("{f|contains|windash: ' -delete '}", json!({"f": format!("schtasks {dash}delete x")})));
    }
    assert!(!fires(r"{f|contains|windash: 'a-b'}", json!({"f": "a/b"})));
    let many: String = (0..12).map(|i| format!(" -f{i}")).collect();
    assert!(fires(&format!("{{f|contains|windash: '{many}'}}"), json!({"f": many.replace('-', "/")})));
}

#[test]
fn keywords() {
    assert!(fires("[evil]", json!({"a": {"b": ["x", "an EVIL thing"]}})));
    assert!(fires("[4688]", json!({"EventID": 46881})), "a number is found by its text");
    assert!(!fires("[EventID]", json!({"EventID": 1})), "names of fields are not searched");
    assert!(fires("{'|all': [aa, bb]}", json!({"m": "aa", "n": "bb"})));
    assert!(!fires("{'|all': [aa, bb]}", json!({"m": "aa"})));
    assert!(fires("{'|re': 'ev.l'}", json!({"m": "xevilx"})));
    assert!(fires("{'|contains|all': [a, b]}", json!({"m": "ab"})));
    assert!(fires("{'|startswith': ev}", json!({"m": "evil"})) && !fires("{'|startswith': ev}", json!({"m": "devil"})));
    assert!(!fires("{'|cased': EVIL}", json!({"m": "evil"})));
    assert!(fires("[a, {g: 1}]", json!({"g": 1})), "keywords and maps in one list");
}

#[test]
fn field_references() {
    assert!(fires("{f|fieldref: g}", json!({"f": "A", "g": "a"})));
    assert!(!fires("{f|cased|fieldref: g}", json!({"f": "A", "g": "a"})));
    assert!(!fires("{f|fieldref|cased: g}", json!({"f": "A", "g": "a"})));
    assert!(fires("{f|contains|fieldref: g}", json!({"f": "xay", "g": "A"})));
    assert!(!fires("{f|fieldref: g}", json!({"f": null})));
    assert!(fires("{f|fieldref|neq: g}", json!({"f": "a"})), "either is missing");
    assert!(fires("{f|fieldref: g}", json!({"f": ["a", "b"], "g": ["c", "B"]})), "any pair of members");
}

#[test]
fn lists_in_events_hold_by_any_member() {
    assert!(fires("{f|contains|all: [a, b]}", json!({"f": ["xa", "yb"]})));
    let (set, _) = load("s: {f: a}\ncondition: not s", Options::default());
    assert!(support::fired(&set, &event(&json!({"f": ["a", "b"]}), None, Some("test"), None)).is_empty());
}

#[test]
fn parts_of_times() {
    let time = json!({"t": "2024-03-05T07:12:59+02:00"});
    assert!(fires("{t|hour: 7}", time.clone()), "in its own offset");
    assert!(fires("{t|week: 10, t|minute: [11, 12]}", time.clone()));
    assert!(fires("{t|hour|gte: 7}", time.clone()) && !fires("{t|hour|gt: 7}", time.clone()));
    assert!(fires("{t|lt|hour: 8}", time));
    assert!(!fires("{t|hour: 7}", json!({"t": "seven"})));
    assert!(fires("{t|year: 2024}", json!({"t": 1709622779})));
}

fn with_placeholders(detection: &str, values: &[&str]) -> (RuleSet, Vec<(&'static str, Severity)>) {
    let placeholders = [("admins".to_owned(), values.iter().map(|v| (*v).to_owned()).collect())].into();
    load(detection, Options { placeholders, ..Options::default() })
}

#[test]
fn placeholders() {
    let fires = |set: &RuleSet, user: &str| {
        !support::fired(set, &event(&json!({"user": user, "x": 1}), None, Some("test"), None)).is_empty()
    };
    let (set, findings) = with_placeholders("s: {user|expand: '%admins%'}\ncondition: s", &["root", "adm_*"]);
    assert_eq!(findings, []);
    assert!(fires(&set, "root") && fires(&set, "ADM_ann") && !fires(&set, "bob"));
    let (set, _) = with_placeholders(
        r"s: {user|contains|expand: '-%admins%-\%x%'}\ncondition: s".replace("\\n", "\n").as_str(),
        &["a", "b"],
    );
    assert!(fires(&set, "..-b-%x%..") && !fires(&set, "..-c-%x%.."));
    let (set, _) = with_placeholders("s: {user|re|expand: '^%admins%$'}\ncondition: s", &["ro+t"]);
    assert!(fires(&set, "roooot"));
    let (set, _) = with_placeholders("s: {user|cidr|expand: '%admins%'}\ncondition: s", &["10.0.0.0/8", "::1"]);
    assert!(fires(&set, "10.9.9.9") && fires(&set, "::1"));
    let (set, _) = with_placeholders("s: {user: '%admins%'}\ncondition: s", &["root"]);
    assert!(fires(&set, "%admins%"), "without 'expand' it is a text");
}

#[test]
fn what_is_unknown_never_makes_a_rule_fire() {
    let any = event(&json!({"user": "ann", "x": 1}), None, Some("test"), None);
    let fires = |detection: &str| {
        let (set, findings) = load(detection, Options::default());
        assert_eq!(findings, [("placeholder-without-values", Severity::Warning)]);
        !support::fired(&set, &any).is_empty()
    };
    assert!(!fires("s: {user|expand: '%admins%'}\ncondition: s"));
    assert!(!fires("s: {user|expand: '%admins%'}\ncondition: not s"));
    assert!(!fires("s: {user|expand|neq: '%admins%'}\ncondition: s"));
    assert!(!fires("s: {x: 1}\nf: {user|expand: '%admins%'}\ncondition: s and not f"));
    assert!(fires("s: {x: 1}\nf: {user|expand: '%admins%'}\ncondition: s or f"), "where it does not decide");
    assert!(fires("s: {user: [ann]}\nf: {user|expand: '%admins%', x: 2}\ncondition: s and not f"));
}

#[test]
fn documents() {
    let one = "title: A\nlogsource: {category: test}\ndetection: {s: {a: 1}, condition: s}\nmy_key: {b: [1, null]}\nrelated:\n  - {id: x, type: similar}\n";
    let (set, findings) = support::rules(&format!("{one}---\n{}", one.replace("title: A", "title: B")));
    assert_eq!(findings, []);
    assert_eq!(set.rules().len(), 2);
    assert_eq!(set.rules()[0].metadata.custom["my_key"], json!({"b": [1, null]}));
    assert_eq!(set.rules()[0].metadata.related, [("x".to_owned(), "similar".to_owned())]);
    let (set, findings) = support::rules(&format!("{one}---\ntitle: [\n---\n{one}"));
    assert_eq!((set.rules().len(), findings[0].code), (1, "invalid-yaml"));
    let (set, findings) = support::rules(&format!("{one}---\n{one}"));
    assert_eq!((set.rules().len(), findings[0].code, findings[0].severity), (1, "duplicate-rule", Severity::Note));
}

#[test]
fn two_rules_of_one_id_cannot_both_load() {
    let one = "title: A\nid: 929a690e-bef0-4204-a928-ef5e620d6fcc\nlogsource: {category: test}\ndetection: {s: {a: 1}, condition: s}\n";
    let (set, findings) = support::rules(&format!("{one}---\n{}", one.replace("a: 1", "a: 2")));
    assert_eq!((set.rules().len(), findings[0].code, findings[0].severity), (1, "duplicate-id", Severity::Error));
    let named = one.replace("title: A", "title: A\nname: a");
    let other = named.replace("929a690e", "829a690e").replace("a: 1", "a: 2");
    let (set, findings) = support::rules(&format!("{named}---\n{other}"));
    assert_eq!((set.rules().len(), findings[0].code), (2, "duplicate-name"));
}

#[test]
fn windows_line_ends_and_byte_order_marks_are_read() {
    let text = "\u{feff}title: A\r\nlogsource: {category: test}\r\ndetection: {s: {a: 1}, condition: s}\r\n";
    let (set, findings) = support::rules(text);
    assert_eq!((set.rules().len(), findings), (1, vec![]));
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(build(&[("x.yml".to_owned(), utf16)], Options::default()).1[0].code, "not-utf8");
}
