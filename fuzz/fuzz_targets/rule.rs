//! Any bytes as a rule file: read or refused, linted and shown, never a crash or a hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandsift_sigma::{Builder, Event, Options, SourceFile, diagnostic, lint};

fuzz_target!(|data: &[u8]| {
    let file = SourceFile { source: "fuzz", file: "fuzz.yml", text: data };
    let mut builder = Builder::new(Options { drafts: true, ..Options::default() });
    builder.add(&file);
    let (set, findings) = builder.build();
    diagnostic::text(&findings, true);
    diagnostic::sarif(&findings, "0");
    lint::file(&file);
    lint::rules(&set);
    let mut event = Event::new();
    event.push_str("Image", "C:\\Windows\\cmd.exe");
    event.set_time(Some(0));
    let (mut hits, mut correlator) = (Vec::new(), set.correlator());
    set.matches(&event, &mut set.scratch(), &mut hits);
    correlator.feed(&event, &hits, 0);
    correlator.finish();
});
