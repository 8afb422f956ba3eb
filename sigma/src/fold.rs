//! Owns case folding: how two texts are equal when case does not count.
//!
//! Sigma compares without case. Every character is folded on its own (Unicode simple case folding), so that lengths
//! in characters stay, the Kelvin sign is a `k`, final sigma is a sigma, and a sharp s is itself.

/// Folds one character; two characters are equal without case if and only if this is equal.
///
/// The representative is the simple lower case of the simple upper case, which needs no table of its own and is the
/// same partition of all characters as Unicode's `CaseFolding.txt` (status C and S); a test compares them all.
#[inline]
pub fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { fold_wide(c) }
}

fn fold_wide(c: char) -> char {
    match c {
        // Dotless i folds to itself outside Turkish, though its upper case is `I`.
        '\u{131}' => c,
        // Pairs whose upper case is more than one character.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => single(single(c, c.to_uppercase()), single(c, c.to_uppercase()).to_lowercase()),
    }
}

/// The only character of an iterator, or `otherwise` where there are several.
fn single(otherwise: char, mut characters: impl Iterator<Item = char>) -> char {
    match (characters.next(), characters.next()) {
        (Some(only), None) => only,
        _ => otherwise,
    }
}

/// Appends the folded text to `into`.
pub fn fold_into(text: &str, into: &mut String) {
    into.reserve(text.len());
    into.extend(text.chars().map(fold));
}

/// Whether two texts are equal without case.
pub fn equal(left: &str, right: &str) -> bool {
    left.chars().map(fold).eq(right.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_meet() {
        assert!(equal("ΣΑΣ", "σας"));
        assert!(equal("\u{212a}", "k"));
        assert!(equal("ÄÖÜ", "äöü"));
        assert!(!equal("ß", "ss"));
        assert!(!equal("ı", "i"));
        assert!(!equal("İ", "i"));
    }

    /// The oracle is the case folding of `regex-syntax`, which is generated from `CaseFolding.txt`.
    #[test]
    fn the_partition_is_unicodes() {
        use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
        // Characters newer than the oracle's tables are not its to judge.
        let unassigned = regex::Regex::new(r"\p{Cn}").expect("tables are compiled in");
        for c in ('\0'..=char::MAX).filter(|c| !unassigned.is_match(c.encode_utf8(&mut [0; 4]))) {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.try_case_fold_simple().expect("tables are compiled in");
            for range in class.ranges() {
                for other in range.start()..=range.end() {
                    assert_eq!(fold(c), fold(other), "{c:?} and {other:?} are one letter");
                }
            }
            let mut folded = ClassUnicode::new([ClassUnicodeRange::new(fold(c), fold(c))]);
            folded.try_case_fold_simple().expect("tables are compiled in");
            assert!(folded.ranges().iter().any(|r| (r.start()..=r.end()).contains(&c)), "{c:?} folds to a stranger");
        }
    }
}
