//! Renders the stories into the sample completions: `cargo run -p sandsift-tests --bin render-samples`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match render(&root.join("stories"), &root.join("../producer/samples")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn render(stories: &Path, into: &Path) -> Result<(), sandsift_tests::story::SampleError> {
    for sample in sandsift_tests::story::all(stories)? {
        let folder = into.join(&sample.folder);
        std::fs::create_dir_all(&folder)?;
        for (name, content) in &sample.files {
            std::fs::write(folder.join(name), content)?;
            eprintln!("{}/{name}: {} bytes", sample.folder, content.len());
        }
    }
    Ok(())
}
