//! In the steady state neither reading nor matching an event allocates.

use sandsift_bench::corpus;
use sandsift_bench::generate::Lane;
use sandsift_bench::inside::Reader;
use sandsift_ingest::ndjson::Lines;
use std::path::Path;

#[test]
fn reading_and_matching_do_not_allocate_once_warm() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut files = Vec::new();
    for platform in ["windows", "linux", "macos"] {
        files.extend(corpus::read(&shipped.join(platform)).expect("the shipped rules can be read"));
    }
    let rules = corpus::build(&files);
    assert!(!rules.rules().is_empty());
    for lane in Lane::ALL {
        let lines = lane.write(11, 300);
        let mut reader = Reader::default();
        let (mut scratch, mut hits) = (rules.scratch(), Vec::new());
        let sources: Vec<_> = Lines::new(&lines)
            .map(|line| {
                assert!(reader.read(line.bytes));
                reader.source()
            })
            .collect();
        let mut pass = || {
            let mut total = 0;
            for (line, source) in Lines::new(&lines).zip(&sources) {
                reader.read(line.bytes);
                reader.event.set_source(source);
                hits.clear();
                rules.matches(&reader.event, &mut scratch, &mut hits);
                total += hits.len();
            }
            total
        };
        let warm = pass();
        let mut total = 0;
        let counted = allocation_counter::measure(|| total = pass());
        assert_eq!(total, warm);
        assert_eq!(counted.count_total, 0, "lane {}", lane.name());
    }
}
