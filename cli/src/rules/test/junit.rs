//! Owns the JUnit report of test cases, as continuous integration reads it.

use super::Case;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The report: a suite a file.
pub fn report(cases: &[Case]) -> String {
    let mut suites: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        suites.entry(&case.file).or_default().push(case);
    }
    let failed = |cases: &[&Case]| cases.iter().filter(|case| case.failure.is_some()).count();
    let skipped = |cases: &[&Case]| cases.iter().filter(|case| case.skipped.is_some()).count();
    let all: Vec<&Case> = cases.iter().collect();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "<testsuites name=\"sandsift rules test\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
        all.len(),
        failed(&all),
        skipped(&all)
    );
    for (file, cases) in &suites {
        let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">",
            xml(file),
            cases.len(),
            failed(cases),
            skipped(cases)
        );
        for case in cases {
            let (name, rule, seconds) = (xml(&case.name), xml(&case.rule), case.seconds);
            let _ = write!(text, "    <testcase name=\"{name}\" classname=\"{rule}\" time=\"{seconds:.3}\"");
            let _ = match (&case.failure, &case.skipped) {
                (Some(why), _) => writeln!(text, "><failure message=\"{}\"/></testcase>", xml(why)),
                (_, Some(why)) => writeln!(text, "><skipped message=\"{}\"/></testcase>", xml(why)),
                _ => writeln!(text, "/>"),
            };
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text for an attribute; what XML cannot hold becomes U+FFFD.
fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' | '\r' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped() {
        let case = Case::run("a.test.yml", "a <b> & \"c\"\u{1}", "id", || Err("line\nline".into()));
        let report = report(&[case]);
        assert!(report.contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\u{fffd}\""), "{report}");
        assert!(report.contains("failures=\"1\"") && report.contains("message=\"line&#10;line\""));
    }
}
