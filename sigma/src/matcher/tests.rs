//! The matcher against the plain evaluator on random rules, and its worst cases.

use super::*;
use crate::event::{EventSource, Value};
use crate::reference;
use crate::rule::*;
use crate::set::{Route, route};
use proptest::prelude::*;
use std::sync::Arc;

const FIELDS: [&str; 4] = ["Image", "CommandLine", "EventID", "absent"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abAB\\\\]{0,6}",
        2 => "(ab|BA|cmd|\\.exe|powershell|\\\\){0,3}",
        1 => "[ßéÉſK\u{212a}σςΣ–—/-]{0,4}",
        1 => "(1|2|10|-1|true|1\\.0)",
    ]
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let piece = prop_oneof![
        4 => text().prop_map(|text| Piece::Literal(text.into())),
        3 => Just(Piece::Any),
        1 => Just(Piece::One),
        1 => Just(Piece::Dash),
    ];
    (proptest::collection::vec(piece, 0..4), proptest::bool::weighted(0.1))
        .prop_map(|(p, cased)| Pattern::new(p, cased))
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        (-2i128..12).prop_map(Number::Int),
        Just(Number::Decimal("1.0".into())),
        Just(Number::Decimal("2.5".into()))
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    use Comparison::*;
    prop_oneof![Just(Less), Just(LessOrEqual), Just(Greater), Just(GreaterOrEqual), Just(Equal), Just(NotEqual)]
}

fn test() -> impl Strategy<Value = Test> {
    let anchor = prop_oneof![Just(Anchor::Whole), Just(Anchor::Start), Just(Anchor::End), Just(Anchor::Anywhere)];
    let regex = ("([ab]{1,2}|a\\+|\\(ab\\|cmd\\)|b\\?|\\[ab\\]|\\.){1,4}", any::<bool>())
        .prop_filter_map("not a regular expression", |(pattern, ignore_case)| {
            Regex::new(&pattern, Flags { ignore_case, ..Flags::default() }).ok()
        });
    prop_oneof![
        12 => pattern().prop_map(Test::Text),
        2 => number().prop_map(Test::Number),
        1 => any::<bool>().prop_map(Test::Bool),
        2 => Just(Test::Null),
        1 => any::<bool>().prop_map(Test::Exists),
        1 => (comparison(), number()).prop_map(|(c, n)| Test::Compare(c, n)),
        1 => (0usize..4, anchor, any::<bool>()).prop_map(|(field, anchor, cased)| {
            Test::FieldRef(FieldRef { field: FIELDS[field].into(), anchor, cased })
        }),
        1 => regex.prop_map(Test::Regex),
        1 => prop_oneof![Just("10.0.0.0/8"), Just("::1/128")]
            .prop_map(|network| Test::Cidr(Cidr::parse(network).expect("a network"))),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let field = prop_oneof![5 => (0usize..4).prop_map(|f| Some(FIELDS[f].into())), 1 => Just(None)];
    let single = (field, test()).prop_map(|(field, test)| Expr::Test(Predicate { field, test }));
    // Value lists, as most rules have them: many literals of one field.
    let list = (0usize..4, proptest::collection::vec(pattern(), 0..9)).prop_map(|(field, patterns)| {
        let test = |p| Expr::Test(Predicate { field: Some(FIELDS[field].into()), test: Test::Text(p) });
        Expr::Any(patterns.into_iter().map(test).collect())
    });
    let leaf = prop_oneof![4 => single, 3 => list, 1 => (0usize..3).prop_map(Expr::Selection), 1 => any::<bool>().prop_map(Expr::Constant)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::All),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::Any),
            (0usize..4, proptest::collection::vec(inner.clone(), 0..4)).prop_map(|(n, parts)| Expr::AtLeast(n, parts)),
            inner.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
}

/// A selection must not name another.
fn without_selections(expr: Expr) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(without_selections).collect();
    match expr {
        Expr::Selection(_) => Expr::Constant(true),
        Expr::All(parts) => Expr::All(all(parts)),
        Expr::Any(parts) => Expr::Any(all(parts)),
        Expr::AtLeast(n, parts) => Expr::AtLeast(n, all(parts)),
        Expr::Not(part) => Expr::Not(Box::new(without_selections(*part))),
        other => other,
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let product = prop_oneof![Just(None), Just(Some("linux")), Just(Some("macos"))];
    let category = prop_oneof![Just(None), Just(Some("process_creation"))];
    (expr(), proptest::collection::vec(expr(), 0..3), product, category).prop_map(
        |(condition, bodies, product, category)| {
            let selection = |body| Selection { name: "s".into(), body: without_selections(body) };
            plain_rule(condition, bodies.into_iter().map(selection).collect(), product, category)
        },
    )
}

fn plain_rule(condition: Expr, selections: Vec<Selection>, product: Option<&str>, category: Option<&str>) -> Rule {
    Rule {
        id: uuid::Uuid::nil(),
        metadata: Metadata::default(),
        logsource: LogSource { category: category.map(Into::into), product: product.map(Into::into), service: None },
        selections,
        condition,
        origin: Origin::default(),
    }
}

#[derive(Debug, Clone)]
enum Own {
    Null,
    Bool(bool),
    Int(i64),
    Number(&'static str),
    Str(String),
    Empty,
}

fn event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        10 => proptest::collection::vec(text(), 1..4).prop_map(|texts| Own::Str(texts.concat())),
        1 => Just(Own::Str("10.1.2.3".to_owned())),
        1 => Just(Own::Null),
        1 => any::<bool>().prop_map(Own::Bool),
        2 => (-2i64..12).prop_map(Own::Int),
        1 => prop_oneof![Just("1.0"), Just("2.5"), Just("1e1")].prop_map(Own::Number),
        1 => Just(Own::Empty),
    ];
    let source = (prop_oneof![Just(None), Just(Some("linux")), Just(Some("macos"))], any::<bool>());
    (proptest::collection::vec((0usize..4, value), 0..6), source).prop_map(|(fields, (product, categorised))| {
        let mut event = Event::new();
        event.set_source(&EventSource::new(product, categorised.then_some("process_creation"), []));
        for (field, value) in &fields {
            // The last name is one that rules ask for and events do not have.
            let name = if *field == 3 { "Other" } else { FIELDS[*field] };
            event.push(
                name,
                match value {
                    Own::Null => Value::Null,
                    Own::Bool(truth) => Value::Bool(*truth),
                    Own::Int(int) => Value::Int(*int),
                    Own::Number(text) => Value::Number(text),
                    Own::Str(text) => Value::Str(text),
                    Own::Empty => Value::Empty,
                },
            );
        }
        event
    })
}

fn plainly(rules: &[Rule], event: &Event, cross: CrossPlatform) -> Vec<Hit> {
    let met = |rule: &Rule| route(&rule.logsource, event.source(), cross);
    rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| met(rule).is_some() && reference::fires(rule, event))
        .map(|(index, rule)| Hit {
            rule: RuleIndex(index as u32),
            cross_platform: met(rule) == Some(Route::CrossPlatform),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn fires_as_the_plain_evaluator_on_random_rules(
        rules in proptest::collection::vec(rule(), 1..12),
        events in proptest::collection::vec(event(), 1..12),
    ) {
        let matcher = Matcher::new(&rules, CrossPlatform::Unix);
        let mut scratch = Scratch::default();
        for event in &events {
            let mut hits = Vec::new();
            matcher.matches(event, &mut scratch, &mut hits);
            prop_assert_eq!(hits, plainly(&rules, event, CrossPlatform::Unix), "{:?}", event);
        }
    }
}

/// A rule that asks a field for any of these texts.
fn contains_any<'t>(texts: impl IntoIterator<Item = &'t str>) -> Rule {
    let test = |text: &str| {
        let pattern = Pattern::new([Piece::Any, Piece::Literal(text.into()), Piece::Any], false);
        Expr::Test(Predicate { field: Some("CommandLine".into()), test: Test::Text(pattern) })
    };
    plain_rule(Expr::Any(texts.into_iter().map(test).collect()), Vec::new(), None, None)
}

fn matches(rules: &[Rule], events: &[Event]) -> Vec<Vec<Hit>> {
    let matcher = Matcher::new(rules, CrossPlatform::Unix);
    let mut scratch = Scratch::default();
    let one = |event| {
        let mut hits = Vec::new();
        matcher.matches(event, &mut scratch, &mut hits);
        hits
    };
    events.iter().map(one).collect()
}

fn event_of(name: &str, value: &str) -> Event {
    let mut event = Event::new();
    event.push_str(name, value);
    event
}

#[test]
fn thousands_of_values_that_share_a_prefix_tell_apart() {
    let texts: Vec<String> = (0..5_000).map(|n| format!("C:\\Windows\\System32\\shared\\prefix\\{n:05}")).collect();
    let rules: Vec<Rule> = texts.iter().map(|text| contains_any([text.as_str()])).collect();
    let events: Vec<Event> = texts.iter().step_by(997).map(|text| event_of("CommandLine", text)).collect();
    for (event, hits) in events.iter().zip(matches(&rules, &events)) {
        assert_eq!(hits, plainly(&rules, event, CrossPlatform::Unix));
        assert_eq!(hits.len(), 1);
    }
    let all = contains_any(texts.iter().map(String::as_str));
    assert_eq!(matches(&[all], &events).concat().len(), events.len());
}

#[test]
fn an_event_that_fires_every_rule_gives_every_rule_once_and_in_order() {
    let texts: Vec<String> = (0..3_000).map(|n| format!("value-{n}-end")).collect();
    let rules: Vec<Rule> = texts.iter().map(|text| contains_any([text.as_str()])).collect();
    let event = event_of("CommandLine", &texts.concat().repeat(3));
    let hits = matches(&rules, &[event]).concat();
    assert!(hits.iter().map(|hit| hit.rule.0).eq(0..3_000));
}

#[test]
fn very_many_fields_and_very_long_values_are_searched_through() {
    let rules = [contains_any(["needle in a haystack"])];
    let mut many = Event::new();
    for number in 0..100_000 {
        many.push_str(&format!("field{number}"), "needle in a haystack");
    }
    many.push_str("CommandLine", "a NEEDLE in a haystack");
    let long = event_of("CommandLine", &("needle in a haystac".repeat(500_000) + "k needle in a haystack"));
    for hits in matches(&rules, &[many, long]) {
        assert_eq!(hits.len(), 1);
    }
}

#[test]
fn ever_new_logsources_do_not_fill_the_memory() {
    let names: Vec<String> = (0..12).map(|n| format!("category{n}")).collect();
    let rules: Vec<Rule> = names
        .iter()
        .map(|name| {
            let rule = contains_any(["needle"]);
            Rule { logsource: LogSource { category: Some(name.as_str().into()), product: None, service: None }, ..rule }
        })
        .collect();
    let matcher = Matcher::new(&rules, CrossPlatform::Unix);
    let mut scratch = Scratch::default();
    let mut event = event_of("CommandLine", "needle");
    for mask in 0u32..4096 {
        let chosen = names.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, name)| name.as_str());
        event.set_source(&EventSource::new(None, chosen, []));
        let mut hits = Vec::new();
        matcher.matches(&event, &mut scratch, &mut hits);
        assert_eq!(hits, plainly(&rules, &event, CrossPlatform::Unix));
    }
    assert!(matcher.routes.rules_held() <= 8 * rules.len());
}

#[test]
fn a_scratch_of_another_matcher_is_made_new() {
    let (first, second) = ([contains_any(["alpha"])], [contains_any(["beta"]), contains_any(["alpha"])]);
    let (first, second) = (Matcher::new(&first, CrossPlatform::Unix), Matcher::new(&second, CrossPlatform::Unix));
    let event = event_of("CommandLine", "alpha");
    let mut scratch = Scratch::default();
    for (matcher, rule) in [(&first, 0), (&second, 1), (&first, 0)] {
        let mut hits = Vec::new();
        matcher.matches(&event, &mut scratch, &mut hits);
        assert_eq!(hits, [Hit { rule: RuleIndex(rule), cross_platform: false }]);
    }
}

#[test]
fn a_matcher_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Matcher>>();
}
