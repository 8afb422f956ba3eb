//! Random rules and events: the matcher says what the plain evaluator says, and nothing that is read brings it down.

mod support;

use proptest::prelude::*;
use sandsift_sigma::testing::{Choices, event, rules};
use sandsift_sigma::{Builder, Options, SourceFile, lint};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_agrees_with_the_plain_evaluator(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut choices = Choices::new(&bytes);
        let text = rules(&mut choices);
        let (set, _) = support::rules(&text);
        for _ in 0..8 {
            let event = event(&mut choices);
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            set.matches(&event, &mut set.scratch(), &mut fast);
            set.matches_plainly(&event, &mut plain);
            prop_assert_eq!(fast, plain, "{}\n{:?}", text, event.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn explanations_agree_with_the_evaluator(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut choices = Choices::new(&bytes);
        let (set, _) = support::rules(&rules(&mut choices));
        let event = event(&mut choices);
        let mut hits = Vec::new();
        set.matches_plainly(&event, &mut hits);
        for index in (0..set.rules().len() as u32).map(sandsift_sigma::RuleIndex) {
            let fired = hits.iter().any(|hit| hit.rule == index);
            prop_assert_eq!(set.explain_all(&event, index).holds, fired);
            prop_assert!(fired || set.explain(&event, index).is_empty());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|(title|detection|a|- |: |\\||\\[|\\{|\n|  |'|\"|&x|\\*x){0,60}") {
        let file = SourceFile { source: "test", file: "any.yml", text: text.as_bytes() };
        let mut builder = Builder::new(Options { drafts: true, ..Options::default() });
        builder.add(&file);
        builder.build();
        lint::file(&file);
    }
}

/// The digest names what decides a match: it is stable, and changes with rules, options and placeholders.
#[test]
fn digests() {
    let text = "title: x\nlogsource: {category: a}\ndetection: {s: {a: 1}, condition: s}\n";
    let of = |text: &str, options: Options| {
        let mut builder = Builder::new(options);
        builder.add(&SourceFile { source: "test", file: "x.yml", text: text.as_bytes() });
        builder.build().0.digest()
    };
    let plain = of(text, Options::default());
    assert_eq!(plain, of(text, Options::default()));
    assert_ne!(plain, of(&text.replace("a: 1", "a: 2"), Options::default()));
    assert_ne!(plain, of(text, Options { drafts: true, ..Options::default() }));
    let placeholders = [("x".to_owned(), vec!["y".to_owned()])].into();
    assert_ne!(plain, of(text, Options { placeholders, ..Options::default() }));
}
