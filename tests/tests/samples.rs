//! The sample completions that ship are what the stories say: rendered again, every byte is the same.

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
