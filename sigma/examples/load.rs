//! Loads every rule under the given folders, says how long it took and what was found: `load FOLDER…`.

use sandsift_sigma::{Builder, Options, Severity, SourceFile};
use std::path::Path;
use std::time::Instant;

fn main() {
    let mut files = Vec::new();
    for folder in std::env::args().skip(1) {
        collect(Path::new(&folder), &mut files);
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let mut builder = Builder::new(Options::default());
        for (file, text) in &files {
            builder.add(&SourceFile { source: "files", file, text });
        }
        let read = start.elapsed().as_secs_f64();
        let (set, diagnostics) = builder.build();
        let seconds = start.elapsed().as_secs_f64();
        let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        println!("{} rules, {errors} errors, read {read:.3} s, all {seconds:.3} s", set.rules().len());
        best = best.min(seconds);
    }
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    println!("best {best:.3} s for {} files, {:.1} MB", files.len(), bytes as f64 / 1e6);
}

fn collect(path: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| collect(path, files));
    } else if path.extension().is_some_and(|e| e == "yml")
        && let Ok(text) = std::fs::read(path)
    {
        files.push((path.display().to_string(), text));
    }
}
