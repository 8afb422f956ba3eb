//! The sample completions that ship are what the stories say: rendered again, every byte is the same.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_committed_samples_are_what_the_stories_render() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let samples = sandsift_tests::story::all(&root.join("stories")).expect("readable stories");
    assert!(samples.len() >= 6, "two stories a platform");
    let committed = root.join("../producer/samples");
    for sample in &samples {
        let folder = committed.join(&sample.folder);
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let mut rendered: Vec<&str> = sample.files.iter().map(|(name, _)| name.as_str()).collect();
        rendered.sort_unstable();
        assert_eq!(names, rendered, "{}", sample.folder);
        for (name, content) in &sample.files {
            let on_disk = std::fs::read(folder.join(name)).expect("a readable sample");
            assert!(
                on_disk == *content,
                "{}/{name} differs from its story: run cargo run -p sandsift-tests --bin render-samples",
                sample.folder
            );
        }
    }
}

/// What the demo shows: every story is found out, on every platform, by rules of every level, and all of it is read.
#[test]
fn the_shipped_rules_find_the_stories_out() {
    let analyses = sandsift_tests::runs::analyse_samples().expect("analyses");
    let mut seen = BTreeSet::new();
    for analysis in &analyses {
        let name = analysis.sample.name.as_deref().unwrap_or_default();
        // A report tells its processes twice, as commands and as a tree; that each counts once is no loss.
        let lost: Vec<_> = analysis.incomplete.iter().filter(|left| !left.code.contains("duplicate")).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
        let fired: Vec<&str> =
            analysis.sigma_analysis_results.iter().map(|result| result.rule_title.as_str()).collect();
        assert!(fired.len() >= 8, "{name}: {fired:?}");
        assert!(analysis.sigma_analysis_stats.high + analysis.sigma_analysis_stats.critical > 0, "{name}: {fired:?}");
        for result in &analysis.sigma_analysis_results {
            seen.insert((analysis.platform.clone(), result.rule_level.clone()));
        }
    }
    for platform in ["windows", "linux", "macos"] {
        for level in ["low", "medium", "high", "critical"] {
            assert!(
                seen.contains(&(platform.to_owned(), level.to_owned())),
                "{platform}: no rule of level {level} fired"
            );
        }
    }
    let shared = analyses.iter().flat_map(|analysis| &analysis.sigma_analysis_results);
    assert!(shared.clone().any(|result| result.cross_platform), "a rule for Linux fires on macOS");
}
