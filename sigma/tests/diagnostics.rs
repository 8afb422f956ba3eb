//! Golden files: what is said of each kind of mistake, to the letter. `UPDATE_GOLDEN=1` writes them anew.

mod support;

use sandsift_sigma::{Builder, Options, SourceFile, diagnostic};
use std::path::Path;

#[test]
fn every_mistake_is_shown_as_its_golden_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut files = Vec::new();
    support::rule_files(&folder, &mut files);
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for (path, text) in files {
        let name = Path::new(&path).file_name().unwrap().to_string_lossy().into_owned();
        let mut builder = Builder::new(Options { drafts: name.contains("draft"), ..Options::default() });
        builder.add(&SourceFile { source: "test", file: &name, text: &text });
        let shown = diagnostic::text(&builder.build().1, false);
        let golden = Path::new(&path).with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if shown != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}\n-- shown\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn machines_get_the_same_findings() {
    let (_, findings) = support::rules("title: x\nlogsource: {category: a}\ndetection: {s: {a|b: 1}, condition: s}\n");
    let json = diagnostic::json(&findings);
    assert_eq!((&json[0]["code"], &json[0]["severity"]), (&"unknown-modifier".into(), &"error".into()));
    let sarif = diagnostic::sarif(&findings, "1.2.3");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"unknown-modifier".into(), &"error".into()));
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!((region["startLine"].as_u64(), region["startColumn"].as_u64()), (Some(3), Some(17)));
}

/// The page lists every code, so that nobody has to guess what a code means.
#[test]
fn the_documentation_lists_every_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/sigma.md")).unwrap();
    let mut sources = Vec::new();
    collect(&root.join("src"), &mut sources);
    let code =
        regex::Regex::new(r#"(?:Problem::new|of_file|finding)\(\s*(?:rule, )?"([a-z0-9-]+)"|code: "([a-z0-9-]+)""#)
            .unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for source in &sources {
        let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
        let found = code.captures_iter(shipped);
        codes.extend(found.filter_map(|c| Some(c.get(1).or(c.get(2))?.as_str().to_owned())));
    }
    assert!(codes.len() > 60, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn collect(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(std::fs::read_to_string(path).unwrap());
        }
    }
}
