//! Random rules against random events: the matcher must say what the plain evaluator says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandsift_sigma::testing::{Choices, event, rules};
use sandsift_sigma::{Builder, Options, SourceFile};

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let text = rules(&mut choices);
    let mut builder = Builder::new(Options::default());
    builder.add(&SourceFile { source: "fuzz", file: "fuzz.yml", text: text.as_bytes() });
    let (set, _) = builder.build();
    let mut scratch = set.scratch();
    for _ in 0..4 {
        let event = event(&mut choices);
        let (mut fast, mut plain) = (Vec::new(), Vec::new());
        set.matches(&event, &mut scratch, &mut fast);
        set.matches_plainly(&event, &mut plain);
        assert_eq!(fast, plain, "{text}\n{:?}", event.iter().collect::<Vec<_>>());
        for hit in plain {
            set.explain(&event, hit.rule);
        }
        if choices.is_used_up() {
            break;
        }
    }
});
