//! Owns what a regular expression cannot do without: a few literals of which one stands in every text that it is found
//! in, after both were folded.

use super::literals::rarity;
use crate::fold::fold_into;
use crate::rule::{Engine, Regex};
use regex_syntax::hir::{Class, Hir, HirKind};

/// More alternatives than this are no help.
const ALTERNATIVES: usize = 16;

/// Folded literals of which at least one stands in every text that the expression is found in; `None` where there are
/// none worth looking for.
pub(super) fn literals(regex: &Regex) -> Option<Vec<Box<[u8]>>> {
    let literals = required(&parse(regex)?)?;
    Some(literals.into_iter().map(|text| text.into_bytes().into()).collect())
}

/// The length in bytes that a text must have for the expression to be found in it.
pub(super) fn length(regex: &Regex) -> usize {
    parse(regex).and_then(|hir| hir.properties().minimum_len()).unwrap_or(0)
}

/// The expression's syntax; `None` for one that needs backtracking, which is of another dialect.
fn parse(regex: &Regex) -> Option<Hir> {
    if regex.engine() != Engine::Linear {
        return None;
    }
    let flags = regex.flags();
    regex_syntax::ParserBuilder::new()
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_matches_new_line)
        .build()
        .parse(&regex.translated())
        .ok()
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    let parts = match hir.kind() {
        HirKind::Capture(capture) => return required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 && exact(hir).is_none() => {
            return required(&repetition.sub);
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(required(part)?);
            }
            return worth_it(all);
        }
        HirKind::Concat(parts) => parts,
        _ => return worth_it(exact(hir)?),
    };
    let mut best: Option<Vec<String>> = None;
    let mut offer = |literals: Option<Vec<String>>| {
        if let Some(literals) = literals
            && best.as_ref().is_none_or(|best| share(&literals) < share(best))
        {
            best = Some(literals);
        }
    };
    // Neighbours that are exact make longer literals together.
    let mut run = vec![String::new()];
    for part in parts {
        match exact(part) {
            Some(next) if next.len() * run.len() <= ALTERNATIVES => {
                run = run.iter().flat_map(|a| next.iter().map(move |b| format!("{a}{b}"))).collect();
            }
            _ => {
                offer(worth_it(std::mem::replace(&mut run, vec![String::new()])));
                offer(required(part));
            }
        }
    }
    offer(worth_it(run));
    best
}

/// All folded texts that the expression matches, where these are few.
fn exact(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => {
            let mut folded = String::new();
            fold_into(std::str::from_utf8(&literal.0).ok()?, &mut folded);
            Some(vec![folded])
        }
        HirKind::Class(Class::Unicode(class)) => {
            let size: u64 = class.iter().map(|range| u64::from(range.end()) - u64::from(range.start()) + 1).sum();
            if size > 4 * ALTERNATIVES as u64 {
                return None;
            }
            let mut texts: Vec<String> = class
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .map(|c| crate::fold::fold(c).to_string())
                .collect();
            texts.sort();
            texts.dedup();
            (texts.len() <= 4).then_some(texts)
        }
        HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Repetition(repetition) => {
            let sub = exact(&repetition.sub)?;
            match (repetition.min, repetition.max, sub.as_slice()) {
                (min, Some(max), [only]) if min == max && only.len() * min as usize <= 64 => {
                    Some(vec![only.repeat(min as usize)])
                }
                _ => None,
            }
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |run, part| {
            let next = exact(part)?;
            let joined = run.iter().flat_map(|a| next.iter().map(move |b| format!("{a}{b}")));
            (next.len() * run.len() <= ALTERNATIVES).then(|| joined.collect())
        }),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(exact(part)?);
            }
            (all.len() <= ALTERNATIVES).then_some(all)
        }
    }
}

/// Literals that tell something: not too many, and none of them empty.
fn worth_it(literals: Vec<String>) -> Option<Vec<String>> {
    (literals.len() <= ALTERNATIVES && literals.iter().all(|text| !text.is_empty())).then_some(literals)
}

fn share(literals: &[String]) -> f32 {
    literals.iter().map(|text| rarity::share(text.as_bytes())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Flags;

    fn of(pattern: &str) -> Option<Vec<String>> {
        let regex = Regex::new(pattern, Flags::default()).unwrap();
        literals(&regex).map(|all| all.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
    }

    #[test]
    fn finds_what_must_stand_in_the_text() {
        let some = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(of("MimiKatz"), some(&["mimikatz"]));
        assert_eq!(of(r"a\d+(?:foobar|bazqux).*"), some(&["foobar", "bazqux"]));
        assert_eq!(of(r"(?i)power[s5]hell"), some(&["power5hell", "powershell"]));
        assert_eq!(of(r"x{3}"), some(&["xxx"]));
        assert_eq!(of(r"(?:abc)?"), None);
        assert_eq!(of(r"\w+"), None);
        assert_eq!(of(r"abc|\d"), None);
        assert_eq!(of("\u{212a}elvin"), some(&["kelvin"]));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_found_has_one_of_them(
            pattern in r"([ab]{1,3}|\(a\|bb\)|a\*|\(ab\)\+|b\?|\[ab\]|\.|\(\?i\)){1,6}",
            text in "[abAB]{0,12}",
        ) {
            if let Ok(regex) = Regex::new(&pattern, Flags::default())
                && let Some(literals) = literals(&regex)
                && regex.is_match(&text)
            {
                let mut folded = String::new();
                fold_into(&text, &mut folded);
                let stands = literals.iter().any(|l| folded.contains(std::str::from_utf8(l).unwrap()));
                proptest::prop_assert!(stands, "{} {}", pattern, text);
            }
        }
    }
}
