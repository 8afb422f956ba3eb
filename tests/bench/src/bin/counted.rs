//! Matches a fixed set of events a number of times, for a tool that counts instructions.

use sandsift_bench::corpus;
use sandsift_bench::generate::Lane;
use sandsift_bench::inside::Reader;
use sandsift_ingest::ndjson::Lines;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().unwrap_or_default();
    let passes = arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    let rules = corpus::build(&corpus::read(Path::new(&folder))?);
    let lines = Lane::Mixed.write(1, 500);
    let mut reader = Reader::default();
    let (mut scratch, mut hits) = (rules.scratch(), Vec::new());
    let mut total = 0;
    for _ in 0..passes {
        for line in Lines::new(&lines) {
            if reader.read(line.bytes) {
                let source = reader.source();
                reader.event.set_source(&source);
                hits.clear();
                rules.matches(&reader.event, &mut scratch, &mut hits);
                total += hits.len();
            }
        }
    }
    println!("{total}");
    Ok(())
}
