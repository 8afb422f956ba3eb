//! Owns the selectors of arrays in field names (draft, SEP 212): `connections[any]`, `args[0]`, with `\[` for a bracket.

use super::report::Problem;
use crate::rule::Quantifier;

/// A field name cut at its first selector.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selector {
    /// The path of the array.
    pub array: String,
    pub quantifier: Quantifier,
    /// What follows the selector, without its dot; empty for the element itself.
    pub rest: String,
}

/// Cuts a field name at its first selector; `None` where it has none.
pub(super) fn cut(field: &str) -> Result<Option<Selector>, Problem> {
    let mut array = String::new();
    let mut chars = field.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.clone().next() {
                Some((_, bracket @ ('[' | ']'))) => {
                    chars.next();
                    array.push(bracket);
                }
                _ => array.push('\\'),
            },
            '[' => {
                let inner = &field[at + 1..];
                let (name, rest) = inner.split_once(']').ok_or_else(|| invalid(field))?;
                let quantifier = quantifier(name).ok_or_else(|| invalid(field))?;
                let rest = rest.strip_prefix('.').unwrap_or(rest).to_owned();
                if array.is_empty() {
                    return Err(invalid(field));
                }
                return Ok(Some(Selector { array, quantifier, rest }));
            }
            _ => array.push(c),
        }
    }
    Ok(None)
}

/// A field name without selectors, with its escaped brackets read.
pub(super) fn unescaped(field: &str) -> String {
    field.replace("\\[", "[").replace("\\]", "]")
}

fn quantifier(name: &str) -> Option<Quantifier> {
    Some(match name {
        "any" => Quantifier::Any,
        "all" => Quantifier::All,
        "all_or_empty" => Quantifier::AllOrEmpty,
        "none" => Quantifier::None,
        number => {
            let digits = number.strip_prefix('-').unwrap_or(number);
            let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            good.then(|| number.parse().ok()).flatten().map(Quantifier::At)?
        }
    })
}

fn invalid(field: &str) -> Problem {
    Problem::new(
        "invalid-array-selector",
        format!("'{field}' has no known array selector"),
        "use [any], [all], [all_or_empty], [none] or an index; write '\\[' for a bracket of the name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_their_first_selector() {
        let cut = |field| cut(field).map_err(|p| p.code);
        let selector = |array: &str, quantifier, rest: &str| {
            Ok(Some(Selector { array: array.to_owned(), quantifier, rest: rest.to_owned() }))
        };
        assert_eq!(cut("a.b[any]"), selector("a.b", Quantifier::Any, ""));
        assert_eq!(cut("a[0].c[all]"), selector("a", Quantifier::At(0), "c[all]"));
        assert_eq!(cut("a[-1]"), selector("a", Quantifier::At(-1), ""));
        assert_eq!(cut(r"a\[0\]"), Ok(None));
        assert_eq!(cut("a[some]"), Err("invalid-array-selector"));
        assert_eq!(cut("a[0"), Err("invalid-array-selector"));
    }
}
