use super::*;
use serde_json::json;

fn read(line: &str) -> Result<Vec<(String, String)>, JsonError> {
    let mut event = Event::new();
    Decoder::new(&Limits::default()).decode(line.as_bytes(), &mut event)?;
    Ok(event.iter().map(|(name, value)| (name.to_owned(), format!("{value:?}"))).collect())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn objects_become_paths_and_lists_become_repeated_names() {
    let line = r#" {"a": {"b": 1, "c": {"d": "x"}}, "l": [1, [2, {"k": true}], {"k": null}], "a.b": 2, "e": [], "o": {}, "a": 3} "#;
    let expected = [
        ("a.b", "Int(1)"),
        ("a.c.d", "Str(\"x\")"),
        ("l", "Int(1)"),
        ("l", "Int(2)"),
        ("l.k", "Bool(true)"),
        ("l.k", "Null"),
        ("a.b", "Int(2)"),
        ("e", "Empty"),
        ("o", "Empty"),
        ("a", "Int(3)"),
    ];
    assert_eq!(read(line).unwrap(), pairs(&expected));
    assert_eq!(read("{}").unwrap(), []);
}

#[test]
fn an_empty_name_keeps_its_place_in_a_path() {
    assert_eq!(read(r#"{"": {"a": {"": 1}}, "b": [{"": 2}]}"#).unwrap(), pairs(&[(".a.", "Int(1)"), ("b.", "Int(2)")]));
}

#[test]
fn numbers_lose_nothing() {
    let line = r#"{"a":-9223372036854775808,"b":9223372036854775808,"c":1.0,"d":1e3,"e":-0,"f":0,"g":1E-7}"#;
    let expected = [
        ("a", "Int(-9223372036854775808)"),
        ("b", "Number(\"9223372036854775808\")"),
        ("c", "Number(\"1.0\")"),
        ("d", "Number(\"1e3\")"),
        ("e", "Number(\"-0\")"),
        ("f", "Int(0)"),
        ("g", "Number(\"1E-7\")"),
    ];
    assert_eq!(read(line).unwrap(), pairs(&expected));
}

#[test]
fn escapes_are_decoded_in_names_and_values() {
    let mut event = Event::new();
    let line = r#"{"k\u0065y\\":"a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00\ud800x\udc00\ud800\u0041"}"#;
    Decoder::new(&Limits::default()).decode(line.as_bytes(), &mut event).unwrap();
    assert_eq!(event.get_str("key\\"), Some("a\"\\/\u{8}\u{c}\n\r\tä😀\u{fffd}x\u{fffd}\u{fffd}A"));
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_and_the_line_is_read() {
    let mut event = Event::new();
    Decoder::new(&Limits::default()).decode(b"{\"a\":\"x\xff\\u0079\"}", &mut event).unwrap();
    assert_eq!(event.get_str("a"), Some("x\u{fffd}y"));
}

#[test]
fn what_is_not_json_is_refused_with_its_column() {
    for (line, column, code) in [
        ("[]", 1, "record-not-json"),
        ("nonsense", 1, "record-not-json"),
        (r#"{"a":1"#, 7, "record-not-json"),
        (r#"{"a":1,}"#, 8, "record-not-json"),
        (r#"{"a" 1}"#, 6, "record-not-json"),
        (r#"{"a":01}"#, 6, "record-not-json"),
        (r#"{"a":1.}"#, 8, "record-not-json"),
        (r#"{"a":+1}"#, 6, "record-not-json"),
        (r#"{"a":tru}"#, 6, "record-not-json"),
        (r#"{"a":"x}"#, 9, "record-not-json"),
        (r#"{"a":"\x"}"#, 8, "record-not-json"),
        (r#"{"a":"\u12"}"#, 9, "record-not-json"),
        (r#"{"a":[1}"#, 8, "record-not-json"),
        (r#"{"a":1} 2"#, 9, "record-not-json"),
        (r#"{a:1}"#, 2, "record-not-json"),
    ] {
        let error = read(line).expect_err(line);
        assert_eq!((error.column, error.reason.code()), (column, code), "{line}: {error}");
    }
}

#[test]
fn limits_hold_and_leave_an_empty_event() {
    let limits = Limits { depth: 3, event_fields: 4, record_bytes: 200, ..Limits::default() };
    let mut decoder = Decoder::new(&limits);
    let mut event = Event::new();
    decoder.decode(br#"{"a":{"b":{"c":1}}}"#, &mut event).unwrap();
    for (line, code) in [
        (r#"{"a":{"b":{"c":{"d":1}}}}"#.to_owned(), "record-too-deep"),
        (r#"{"a":[1,2,3,4,5]}"#.to_owned(), "record-too-many-fields"),
        (format!("{{\"a\":\"{}\"}}", "x".repeat(200)), "record-too-long"),
        (format!("{{\"{}\":{{\"a\":1,\"b\":2,\"c\":3}}}}", "x".repeat(100)), "record-too-long"),
    ] {
        assert_eq!(decoder.decode(line.as_bytes(), &mut event).unwrap_err().reason.code(), code);
        assert!(event.is_empty());
    }
    let deep = "[".repeat(1_000_000);
    let error = Decoder::new(&Limits::default()).decode(format!("{{\"a\":{deep}").as_bytes(), &mut event);
    assert_eq!(error.unwrap_err().reason.code(), "record-too-deep");
}

#[test]
fn lines_have_their_numbers_and_blank_ones_count() {
    let text = "\u{feff}{}\r\n\n  \n{\"a\":1}\n{\"b\":2}";
    let lines: Vec<_> = Lines::new(text.as_bytes()).map(|l| (l.number, l.bytes)).collect();
    assert_eq!(lines, [(1, &b"{}"[..]), (4, b"{\"a\":1}"), (5, b"{\"b\":2}")]);
}

/// What another JSON reader makes of the same text, flattened by the rules of this module.
fn flatten(name: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    use serde_json::Value as J;
    match value {
        J::Null => out.push((name.to_owned(), "Null".to_owned())),
        J::Bool(b) => out.push((name.to_owned(), format!("Bool({b})"))),
        J::Number(n) if n.is_i64() => out.push((name.to_owned(), format!("Int({n})"))),
        J::Number(n) => out.push((name.to_owned(), format!("Number(\"{n}\")"))),
        J::String(s) => out.push((name.to_owned(), format!("Str({s:?})"))),
        J::Array(a) if a.is_empty() => out.push((name.to_owned(), "Empty".to_owned())),
        J::Array(a) => a.iter().for_each(|v| flatten(name, v, out)),
        J::Object(o) if o.is_empty() => out.push((name.to_owned(), "Empty".to_owned())),
        J::Object(o) => o.iter().for_each(|(k, v)| flatten(&format!("{name}.{k}"), v, out)),
    }
}

#[test]
fn agrees_with_another_reader_on_text_of_all_kinds() {
    let long = "x".repeat(63);
    let value = json!({
        "plain": "a", "path": "C:\\Windows\\System32\\cmd.exe", "quote": "\"", "long": long.clone() + "\\" + &long + "\"ä",
        "unicode": "ä😀\u{0}\u{1f}\u{7f}\u{2028}", "list": ["", "\\", ["\n"]], "deep": {"er": {"est": [{"x": 1.5}, {"x": -3}]}},
    });
    for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
        let mut expected = Vec::new();
        for (key, value) in value.as_object().unwrap() {
            flatten(key, value, &mut expected);
        }
        assert_eq!(read(&text).unwrap(), expected);
    }
    for length in 0..140 {
        let text = json!({ "a".repeat(length): "b".repeat(length) + "\\" + &"c".repeat(length) }).to_string();
        let expected = ("a".repeat(length), format!("Str({:?})", "b".repeat(length) + "\\" + &"c".repeat(length)));
        assert_eq!(read(&text).unwrap(), [expected]);
    }
}

/// Rules that ask two things of one array member need to know which values are of one member.
#[test]
fn values_of_one_array_member_stay_together() {
    let rule = "title: x\nsigma-version: 3\nlogsource: {category: test}\ndetection:\n  s:\n    a[any]: {b: 1, \"c[0]\": x}\n  condition: s\n";
    let options = sandsift_sigma::Options { drafts: true, ..Default::default() };
    let mut builder = sandsift_sigma::Builder::new(options);
    builder.add(&sandsift_sigma::SourceFile { source: "test", file: "x.yml", text: rule.as_bytes() });
    let (set, findings) = builder.build();
    assert!(findings.is_empty(), "{findings:?}");
    let mut event = Event::new();
    event.set_source(&sandsift_sigma::EventSource::new(None, ["test"], []));
    for (line, fires) in [
        (r#"{"a": [{"b": 2, "c": ["x"]}, {"b": 1, "c": ["x", "y"]}]}"#, true),
        (r#"{"a": [{"b": 1, "c": ["y", "x"]}, {"b": 2, "c": ["x"]}], "z": [1]}"#, false),
        (r#"{"a": []}"#, false),
    ] {
        Decoder::new(&Limits::default()).decode(line.as_bytes(), &mut event).expect("JSON");
        let mut hits = Vec::new();
        set.matches(&event, &mut set.scratch(), &mut hits);
        assert_eq!(!hits.is_empty(), fires, "{line}");
    }
}
