//! `scan` on the real binary: what users rely on, from paths to exit codes.

mod kit;

use kit::{CRONTAB, Folder, fired, sandsift};
use serde_json::{Value, json};

const CRONTAB_ID: &str = "403ed92c-b7ec-4edd-9947-5b535ee12d46";

fn event(image: &str, command_line: &str) -> String {
    json!({"Image": image, "CommandLine": command_line}).to_string() + "\n"
}

#[test]
fn ndjson_takes_its_logsource_from_the_flag_or_from_itself() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let lines = event("/bin/ls", "ls -l") + "\n" + &event("/usr/bin/crontab", "crontab -l");
    let plain = folder.write("plain.ndjson", lines);
    let flag = "product=linux,category=process_creation";
    let run = sandsift(["scan", "--rules", &rule, "--logsource", flag, &plain]).ends_with(0);
    let analysis = &run.lines()[0];
    assert_eq!(analysis["platform"], "linux");
    assert_eq!(fired(analysis), [CRONTAB_ID]);
    let result = &analysis["sigma_analysis_results"][0];
    assert_eq!((&result["count"], &result["cross_platform"]), (&json!(1), &json!(false)));
    let context = &result["match_context"][0];
    assert_eq!(context["values"]["Image"], "/usr/bin/crontab");
    assert_eq!(context["record_id"], 3, "the id of a record is the number of its line");
    assert_eq!(context["matched"][0]["field"], "Image");

    let own = json!({"product": "linux", "category": "process_creation", "Image": "/usr/bin/crontab", "CommandLine": "crontab -l"});
    let own = folder.write("own.ndjson", own.to_string());
    let run = sandsift(["scan", "--rules", &rule, "--platform", "linux", &own]).ends_with(0);
    assert_eq!(fired(&run.lines()[0]), [CRONTAB_ID]);
}

#[test]
fn an_unknown_platform_ends_with_2_and_names_the_flag() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let plain = folder.write("plain.ndjson", event("/usr/bin/crontab", "crontab -l"));
    let run = sandsift(["scan", "--rules", &rule, &plain]).ends_with(2);
    assert!(run.err().contains("--platform"), "{}", run.err());
    assert!(run.out().is_empty());
}

#[test]
fn a_match_of_the_level_asked_for_ends_with_3() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let plain = folder.write("plain.ndjson", event("/usr/bin/crontab", "crontab -l"));
    let scan = |level: &str| {
        let flag = "product=linux,category=process_creation";
        sandsift(["scan", "--rules", &rule, "--logsource", flag, "--fail-on", level, &plain])
    };
    scan("low").ends_with(3);
    scan("informational").ends_with(3);
    scan("medium").ends_with(0);
}

#[test]
fn a_report_of_linux_matches_on_both_unixes_and_says_so() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let report = json!({
        "data": {"id": "abc_Zenbox Linux", "type": "file_behaviour", "attributes": {
            "sandbox_name": "Zenbox Linux",
            "processes_created": ["/usr/bin/crontab -l"],
            "processes_tree": [{"process_id": "12", "name": "/usr/bin/crontab -l"}],
        }}
    });
    let report = folder.write("report.json", report.to_string());
    for (platform, cross) in [("linux", false), ("macos", true)] {
        let run = sandsift(["scan", "--rules", &rule, "--platform", platform, &report]).ends_with(0);
        let analysis = &run.lines()[0];
        assert_eq!(fired(analysis), [CRONTAB_ID], "{platform}: {analysis}");
        assert_eq!(analysis["sigma_analysis_results"][0]["cross_platform"], cross, "{platform}");
        let values = analysis["sigma_analysis_results"][0]["match_context"][0]["values"].as_object().unwrap();
        let names: std::collections::BTreeSet<&str> = values.keys().map(String::as_str).collect();
        assert_eq!(names, ["CommandLine", "Image"].into(), "a report shows the values that the rule used");
    }
    let none = ["scan", "--rules", &rule, "--platform", "macos", "--cross-platform", "none", &report];
    assert!(fired(&sandsift(none).ends_with(0).lines()[0]).is_empty());
}

#[test]
fn two_scans_are_equal_in_all_but_run() {
    let folder = Folder::new();
    let lines: String = (0..500).map(|n| event("/usr/bin/crontab", &format!("crontab -l {n}"))).collect();
    let plain = folder.write("plain.ndjson", lines);
    let scan = |threads: &str| -> Value {
        let flag = "product=linux,category=process_creation";
        let run = sandsift(["scan", "--logsource", flag, "--threads", threads, &plain]).ends_with(0);
        let mut analysis = run.lines().remove(0);
        analysis.as_object_mut().unwrap().remove("run");
        analysis
    };
    let first = scan("1");
    assert_eq!(first, scan("2"));
    assert!(!fired(&first).is_empty(), "the rules that ship know crontab -l");
}

#[test]
fn contexts_are_bounded_and_counts_are_exact() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let lines: String = (0..50).map(|n| event("/usr/bin/crontab", &format!("crontab -l {n}"))).collect();
    let plain = folder.write("plain.ndjson", lines);
    let flag = "product=linux,category=process_creation";
    for (asked, shown) in [(None, 10), (Some("3"), 3), (Some("0"), 50)] {
        let mut arguments = vec!["scan", "--rules", &rule, "--logsource", flag, &plain];
        if let Some(asked) = asked {
            arguments.extend(["--max-contexts", asked]);
        }
        let run = sandsift(arguments).ends_with(0);
        let result = &run.lines()[0]["sigma_analysis_results"][0];
        assert_eq!(result["count"], 50);
        let contexts = result["match_context"].as_array().unwrap();
        assert_eq!(contexts.len(), shown);
        let ids: Vec<u64> = contexts.iter().map(|context| context["record_id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (1..=shown as u64).collect::<Vec<_>>(), "the first ones, in order");
    }
}

#[test]
fn files_of_a_folder_are_one_analysis_each_and_together_one() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    folder.write("logs/a.ndjson", event("/usr/bin/crontab", "crontab -l"));
    folder.write("logs/b.ndjson", event("/bin/ls", "ls"));
    let logs = folder.path().join("logs").display().to_string();
    let common = ["scan", "--rules", &rule, "--logsource", "product=linux,category=process_creation", &logs];
    let each = sandsift(common).ends_with(0).lines();
    assert_eq!(each.len(), 2);
    assert!(each[0]["run"]["input"].as_str().unwrap().ends_with("a.ndjson"));
    let together = sandsift(common.iter().copied().chain(["--together"])).ends_with(0).lines();
    assert_eq!(together.len(), 1);
    assert_eq!(together[0]["artifacts"].as_array().unwrap().len(), 2);
    assert_eq!(together[0]["events"]["total"], 2);
}

#[test]
fn a_bad_rule_is_reported_and_the_rest_match() {
    let folder = Folder::new();
    folder.write("rules/good.yml", CRONTAB);
    folder.write("rules/bad.yml", CRONTAB.replace("|endswith", "|endswiht").replace("403ed92c", "503ed92c"));
    folder.write("rules/worse.yml", "title: [");
    let rules = folder.path().join("rules").display().to_string();
    let plain = folder.write("plain.ndjson", event("/usr/bin/crontab", "crontab -l"));
    let flag = "product=linux,category=process_creation";
    let run = sandsift(["scan", "--rules", &rules, "--logsource", flag, &plain]).ends_with(1);
    assert_eq!(fired(&run.lines()[0]), [CRONTAB_ID]);
    assert!(run.err().contains("bad.yml:12"), "{}", run.err());
    assert!(run.err().contains("worse.yml"), "{}", run.err());
}

#[test]
fn what_cannot_be_read_ends_with_1_and_the_rest_is_scanned() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let noise = folder.write("noise.bin", [0_u8, 159, 146, 150, 1, 2, 3]);
    let plain = folder.write("plain.ndjson", event("/usr/bin/crontab", "crontab -l"));
    let flag = "product=linux,category=process_creation";
    let run = sandsift(["scan", "--rules", &rule, "--logsource", flag, &noise, &plain]).ends_with(1);
    assert_eq!(run.lines().len(), 1);
    assert!(run.err().contains("noise.bin"), "{}", run.err());
    sandsift(["scan", "--rules", &rule, "no/such/file"]).ends_with(1);
}

#[test]
fn a_table_shows_the_event_that_fired_and_obeys_no_attacker() {
    let folder = Folder::new();
    let rule = folder.write("rule.yml", CRONTAB);
    let plain = folder.write("plain.ndjson", event("/usr/bin/crontab", "crontab -l \u{1b}]0;owned\u{7}\u{202e}"));
    let flag = "product=linux,category=process_creation";
    let run = sandsift(["scan", "--rules", &rule, "--logsource", flag, "--format", "table", &plain]).ends_with(0);
    let out = run.out();
    assert!(out.contains("Crontab Enumeration") && out.contains("crontab -l") && out.contains("T1007"), "{out}");
    assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}') && !out.contains('\u{7}'), "{out:?}");
}
