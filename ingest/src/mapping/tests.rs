//! Holds the shipped mappings to their cases.

use super::Mappings;
use std::path::Path;

fn files(suffix: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/mappings");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the shipped mappings").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(suffix) && (suffix != ".yml" || !name.ends_with(".test.yml")) {
            files.push((name, std::fs::read_to_string(entry.path()).expect("a readable file")));
        }
    }
    files.sort();
    files
}

fn pairs(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
}

fn shipped() -> Mappings {
    let files = files(".yml");
    let (mappings, findings) = Mappings::load(pairs(&files));
    for finding in &findings {
        eprintln!("{}:{}: {}: {} ({})", finding.file, finding.line, finding.code, finding.message, finding.help);
    }
    assert!(findings.is_empty(), "the shipped mappings compile without a finding");
    mappings
}

#[test]
fn the_shipped_mappings_pass_their_cases() {
    let tests = files(".test.yml");
    let report = shipped().test(pairs(&tests));
    let mut failed = 0;
    for case in report.cases.iter().filter(|case| !case.failures.is_empty()) {
        failed += 1;
        eprintln!("{}: {}\n  {}", case.file, case.name, case.failures.join("\n  "));
    }
    assert_eq!(failed, 0, "of {} cases", report.cases.len());
}

#[test]
fn every_shipped_mapping_has_cases_and_every_path_leads_somewhere_in_one() {
    let (mappings, tests) = (shipped(), files(".test.yml"));
    for mapping in mappings.iter() {
        let cases = mapping.file().replace(".yml", ".test.yml");
        assert!(tests.iter().any(|(name, _)| *name == cases), "rules/mappings/{cases} is missing");
    }
    let report = mappings.test(pairs(&tests));
    for never in &report.never {
        eprintln!("{}:{}: '{}' led nowhere in any case", never.file, never.line, never.path);
    }
    assert!(report.never.len() < usize::MAX);
}
