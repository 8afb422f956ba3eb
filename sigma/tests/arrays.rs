//! The draft of array matching (SEP 212) and the version that turns it on (SEP 213).

mod support;

use sandsift_sigma::Options;
use serde_json::{Value, json};

fn set(selection: &str, version: &str, drafts: bool) -> (sandsift_sigma::RuleSet, Vec<&'static str>) {
    let text =
        format!("title: x\n{version}\nlogsource: {{category: test}}\ndetection:\n  s:\n{selection}\n  condition: s\n");
    let options = Options { drafts, ..Options::default() };
    let (set, findings) = support::build(&[("x.yml".to_owned(), text.into_bytes())], options);
    (set, findings.iter().map(|d| d.code).collect())
}

fn fires(selection: &str, json: Value) -> bool {
    let (set, findings) = set(selection, "sigma-version: 3", true);
    assert_eq!(findings, [] as [&str; 0], "{selection}");
    !support::fired(&set, &support::event(&json, None, Some("test"), None)).is_empty()
}

fn connections(list: &[(&str, &str)]) -> Value {
    let list: Vec<Value> = list.iter().map(|(p, ip)| json!({"protocol": p, "ip": ip})).collect();
    json!({"host": "web01", "connections": list})
}

#[test]
fn a_member_must_meet_all_of_a_block() {
    let any = "    connections[any]:\n      protocol: TCP\n      ip|cidr: 123.1.0.0/16";
    assert!(fires(any, connections(&[("UDP", "123.1.5.5"), ("tcp", "123.1.9.9")])));
    assert!(!fires(any, connections(&[("TCP", "10.0.0.1"), ("UDP", "123.1.9.9")])));
}

#[test]
fn quantifiers_and_emptiness() {
    let of = |quantifier: &str| format!("    connections[{quantifier}]: {{protocol: TCP}}");
    let (both, one, none) = (
        connections(&[("TCP", "a"), ("TCP", "b")]),
        connections(&[("TCP", "a"), ("UDP", "b")]),
        connections(&[("UDP", "a")]),
    );
    for (quantifier, expected) in [
        ("any", [true, true, false, false, false]),
        ("all", [true, false, false, false, false]),
        ("all_or_empty", [true, false, false, true, true]),
        ("none", [false, false, true, true, true]),
        ("0", [true, true, false, false, false]),
        ("-1", [true, false, false, false, false]),
        ("1", [true, false, false, false, false]),
    ] {
        let events = [both.clone(), one.clone(), none.clone(), connections(&[]), json!({"host": "x"})];
        let found = events.map(|event| fires(&of(quantifier), event));
        assert_eq!(found, expected, "{quantifier}");
    }
}

#[test]
fn members_that_are_values() {
    let tags = json!({"tags": ["alpha", "beta"]});
    assert!(fires("    tags[all]: {'.|contains': a}", tags.clone()));
    assert!(!fires("    tags[all]: {'.|contains': l}", tags.clone()));
    assert!(fires("    tags[0]: alpha\n    tags[-1]|startswith: be", tags.clone()));
    assert!(!fires("    tags[2]|exists: true", tags));
}

#[test]
fn blocks_with_conditions_nested_arrays_and_paths() {
    let block = "    connections[any]:
      in_range: {ip|cidr: 123.1.0.0/16}
      is_tcp: {protocol: tcp}
      condition: in_range and not is_tcp";
    assert!(fires(block, connections(&[("tcp", "10.0.0.5"), ("udp", "123.1.9.9")])));
    assert!(!fires(block, connections(&[("tcp", "123.1.9.9"), ("udp", "10.0.0.5")])));
    let nested = json!({"spec": {"pods": [
        {"name": "a", "mounts": [{"path": "/", "rw": true}]},
        {"name": "b", "mounts": [{"path": "/etc", "rw": false}]},
    ]}});
    let of = |name: &str| format!("    spec.pods[any]:\n      name: {name}\n      mounts[any]: {{path: /, rw: true}}");
    assert!(fires(&of("a"), nested.clone()) && !fires(&of("b"), nested.clone()));
    assert!(fires("    spec.pods[1].mounts[0].path: /etc", nested));
}

#[test]
fn the_version_decides_whether_brackets_are_selectors() {
    let literal = json!({"a[0]": "x"});
    assert!(fires(r"    a\[0\]: x", literal.clone()));
    let (plain, findings) = set("    a[0]: x", "sigma-version: 2", true);
    assert_eq!(findings, [] as [&str; 0]);
    assert_eq!(support::fired(&plain, &support::event(&literal, None, Some("test"), None)), [0]);
    assert_eq!(set("    a[0]: x", "sigma-version: 3", false).1, ["draft-feature"]);
    assert_eq!(set("    a: x", "sigma-version: 4", true).1, ["unsupported-version"]);
    assert_eq!(set("    a[some]: x", "sigma-version: 3", true).1, ["invalid-array-selector"]);
}
