use super::*;
use std::collections::BTreeSet;

#[derive(Default)]
struct Found {
    ids: BTreeSet<u32>,
    reports: usize,
}

impl Hits for Found {
    fn known(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }
    fn hit(&mut self, id: u32) -> Search {
        self.ids.insert(id);
        self.reports += 1;
        Search::Continue
    }
}

fn search(literals: &[(Place, &str)], value: &str) -> BTreeSet<u32> {
    let set: Vec<Literal<'_>> = literals
        .iter()
        .enumerate()
        .map(|(id, &(place, text))| Literal { place, bytes: text.as_bytes(), id: id as u32 })
        .collect();
    let mut found = Found::default();
    assert_eq!(Literals::new(&set).search(value.as_bytes(), &mut found), Search::Continue);
    found.ids
}

fn plainly(literals: &[(Place, &str)], value: &str) -> BTreeSet<u32> {
    let stands = |&(place, text): &(Place, &str)| match place {
        Place::Whole => value == text,
        Place::Start => value.starts_with(text),
        Place::End => value.ends_with(text),
        Place::Anywhere => value.contains(text),
    };
    (0..literals.len() as u32).filter(|&id| stands(&literals[id as usize])).collect()
}

const PLACES: [Place; 4] = [Place::Whole, Place::Start, Place::End, Place::Anywhere];

#[test]
fn finds_what_a_plain_search_finds() {
    let texts = [
        "",
        "a",
        "b",
        "ab",
        "ba",
        "aba",
        "abab",
        "babab",
        "ababab",
        "aaaaaaaaaaaa",
        "abcdefgh",
        "bcdefghi",
        "é",
        "ééé",
    ];
    let values =
        ["", "a", "ab", "aba", "ababa", "abababab", "aaaaaaaaaaaaaaaa", "xabcdefghix", "abcdefgh", "éé", "xéééx"];
    let literals: Vec<_> = texts.iter().flat_map(|&text| PLACES.map(|place| (place, text))).collect();
    for value in values {
        assert_eq!(search(&literals, value), plainly(&literals, value), "{value}");
    }
}

#[test]
fn finds_all_of_many_that_differ_in_little() {
    let texts: Vec<String> = (0..40)
        .flat_map(|n| {
            let run = "a".repeat(n);
            [format!("{run}b"), format!("b{run}"), format!("commonprefix{n}"), format!("{n}commonsuffix")]
        })
        .collect();
    let literals: Vec<_> = texts.iter().flat_map(|text| PLACES.map(|place| (place, text.as_str()))).collect();
    for value in texts.iter().cloned().chain((0..40).map(|n| format!("x{}b{}", "a".repeat(n), "a".repeat(40 - n)))) {
        assert_eq!(search(&literals, &value), plainly(&literals, &value), "{value}");
    }
}

#[test]
fn nested_literals_are_reported_once_however_long_the_value_is() {
    let texts: Vec<String> = (1..500).map(|n| "a".repeat(n)).collect();
    let set: Vec<Literal<'_>> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| Literal { place: Place::Anywhere, bytes: text.as_bytes(), id: id as u32 })
        .collect();
    let mut found = Found::default();
    Literals::new(&set).search("a".repeat(100_000).as_bytes(), &mut found);
    assert_eq!(found.ids.len(), texts.len());
    assert!(found.reports < 4 * texts.len(), "{} reports of {} literals", found.reports, texts.len());
}

proptest::proptest! {
    #[test]
    fn equals_a_plain_search(
        texts in proptest::collection::vec(("[ab\\\\]{0,12}", 0usize..4), 1..80),
        values in proptest::collection::vec("[ab\\\\]{0,40}", 1..8),
    ) {
        let literals: Vec<_> = texts.iter().map(|(text, place)| (PLACES[*place], text.as_str())).collect();
        for value in &values {
            proptest::prop_assert_eq!(search(&literals, value), plainly(&literals, value), "{}", value);
        }
    }
}
