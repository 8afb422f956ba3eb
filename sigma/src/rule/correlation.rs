//! Owns what a correlation means: which rules it watches, how their events are grouped, and what must hold of them
//! within a time span.

use super::{Comparison, Expr, Metadata, Origin};
use std::sync::Arc;
use uuid::Uuid;

/// A rule over the hits of other rules, in event time, within one completion.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// The Sigma UUID; a rule without one gets a UUIDv5 of its content.
    pub id: Uuid,
    /// Everything that a result says about the rule.
    pub metadata: Metadata,
    /// Where it stands.
    pub origin: Origin,
    /// What it measures.
    pub measure: Measure,
    /// The rules it watches, in the order of the file.
    pub bases: Vec<Base>,
    /// The names of the fields that separate groups, as the rule writes them; aliases are resolved in the bases.
    pub group_by: Vec<Arc<str>>,
    /// The time that a window spans, in nanoseconds.
    pub timespan: i64,
    /// What must hold of the measure.
    pub condition: Condition,
    /// Whether the rules it watches give results of their own.
    pub generate: bool,
    /// Whether hits only feed another correlation.
    pub hidden: bool,
}

/// What a correlation measures over the events of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// How many events.
    EventCount,
    /// How many different values (or tuples of values) these fields have.
    ValueCount(Vec<Arc<str>>),
    /// How many of the rules have a hit.
    Temporal,
    /// How many of the rules have hits in the order of the list.
    TemporalOrdered,
    /// The sum of a field.
    ValueSum(Arc<str>),
    /// The mean of a field.
    ValueAvg(Arc<str>),
    /// A percentile of a field (0 to 100), between neighbours by linear interpolation.
    ValuePercentile(Arc<str>, u8),
}

/// One of the rules that a correlation watches.
#[derive(Debug, Clone)]
pub struct Base {
    /// The rule or correlation.
    pub target: Target,
    /// The name or id by which the correlation refers to it.
    pub reference: String,
    /// For each entry of [`Correlation::group_by`] the field of this rule's events that holds it.
    pub group_fields: Vec<Arc<str>>,
}

/// What a correlation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// An index into the rules of the set.
    Rule(u32),
    /// An index into the correlations of the set; always a smaller one than that of the referring correlation.
    Correlation(u32),
}

/// What must hold of a window.
#[derive(Debug, Clone)]
pub enum Condition {
    /// All of these comparisons of the measure hold; the number is in [`SCALE`].
    Bounds(Vec<(Comparison, i128)>),
    /// A boolean condition over the bases, which [`Expr::Selection`] names by index (draft, SEP 198).
    Boolean(Expr),
}

/// Numbers of correlations are exact decimals of nine places, held as integers of this many units.
pub const SCALE: i128 = 1_000_000_000;

impl Condition {
    /// Whether more events can only make it hold, never stop it.
    pub fn is_monotone(&self) -> bool {
        fn positive(expr: &Expr) -> bool {
            match expr {
                Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => parts.iter().all(positive),
                Expr::Not(_) => false,
                Expr::Selection(_) | Expr::Test(_) | Expr::Elements(_) | Expr::Constant(_) => true,
            }
        }
        match self {
            Condition::Bounds(bounds) => {
                bounds.iter().all(|(c, _)| matches!(c, Comparison::Greater | Comparison::GreaterOrEqual))
            }
            Condition::Boolean(expr) => positive(expr),
        }
    }
}

/// Reads a decimal number into [`SCALE`]; `None` where it is none, is out of range, or has more than nine places.
pub fn scaled(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = if fraction.len() > 9 { fraction[..].trim_end_matches('0') } else { fraction };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || whole.len() > 19 || fraction.len() > 9 {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let places: i128 = format!("{fraction:0<9}").parse().ok()?;
    let value = whole * SCALE + places;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        assert_eq!(scaled("1.5"), Some(1_500_000_000));
        assert_eq!(scaled("-3"), Some(-3 * SCALE));
        assert_eq!(scaled(".000000001"), Some(1));
        assert_eq!(scaled("9223372036854775807"), Some(9_223_372_036_854_775_807 * SCALE));
        for text in ["", "x", "1.0000000001", "99999999999999999999", "1e3", "٣"] {
            assert_eq!(scaled(text), None, "{text}");
        }
    }
}
