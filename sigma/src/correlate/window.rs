//! Owns windows: runs of a group's events that fit in the time span, and which of them a condition holds for.
//!
//! A condition that more events can only fulfil (`gt`, `gte`) is asked at every event about the window that ends
//! there, so that a chained correlation learns of it as soon as it holds. Any other (`lt`, `lte`, `eq`, `neq`, a
//! range) is asked about maximal windows alone, those that no further event fits in: three events are not "fewer than
//! five" on the way to a hundred.

use super::measure::Rules;
use crate::rule::{Condition, Expr, SCALE};

/// How many events of a group are looked at where a window costs time in proportion to its length.
const MAX_COSTLY: usize = 5_000;

/// Something that happened: when, and which of the correlation's bases it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub time: i64,
    pub base: usize,
}

/// A window, by the indexes of its first and last item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// A measure of a window that items enter at the end and leave at the start.
pub(super) trait Window {
    fn enter(&mut self, index: usize, item: Item);
    fn leave(&mut self, index: usize, item: Item);
    /// The measure as a fraction in [`SCALE`]; the denominator is positive.
    fn value(&self) -> (i128, i128);
    /// Whether a base has an item in the window.
    fn has(&self, base: usize) -> bool {
        let _ = base;
        false
    }
}

/// The windows for which the condition holds.
pub(super) fn spans(items: &[Item], timespan: i64, condition: &Condition, window: &mut dyn Window) -> Vec<Span> {
    let monotone = condition.is_monotone();
    let mut spans = Vec::new();
    let mut start = 0;
    for (end, item) in items.iter().enumerate() {
        while item.time.saturating_sub(items[start].time) > timespan {
            window.leave(start, items[start]);
            start += 1;
        }
        window.enter(end, *item);
        let maximal = items.get(end + 1).is_none_or(|next| next.time.saturating_sub(items[start].time) > timespan);
        if (monotone || maximal) && holds(condition, window) {
            spans.push(Span { start, end });
        }
    }
    spans
}

fn holds(condition: &Condition, window: &dyn Window) -> bool {
    match condition {
        Condition::Bounds(bounds) => {
            let (numerator, denominator) = window.value();
            bounds.iter().all(|(comparison, bound)| comparison.holds(numerator.cmp(&(bound * denominator))))
        }
        Condition::Boolean(expr) => boolean(expr, &|base| window.has(base)),
    }
}

fn boolean(expr: &Expr, has: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| boolean(part, has)),
        Expr::Any(parts) => parts.iter().any(|part| boolean(part, has)),
        Expr::AtLeast(n, parts) => parts.iter().filter(|part| boolean(part, has)).count() >= *n,
        Expr::Not(part) => !boolean(part, has),
        Expr::Selection(base) => has(*base),
        Expr::Constant(truth) => *truth,
        Expr::Test(_) | Expr::Elements(_) => false,
    }
}

/// The windows in which the bases come in their order; equal times count as ordered.
pub(super) fn ordered_spans(items: &[Item], timespan: i64, condition: &Condition, bases: usize) -> Vec<Span> {
    match condition {
        Condition::Bounds(bounds) if condition.is_monotone() => {
            let enough = |length: usize| {
                bounds.iter().all(|(comparison, bound)| comparison.holds((length as i128 * SCALE).cmp(bound)))
            };
            chains(items, timespan, bases, &enough)
        }
        _ => {
            let items = &items[..items.len().min(MAX_COSTLY)];
            let holds_for = |window: &[Item]| match condition {
                Condition::Bounds(bounds) => {
                    let length = longest_chain(window, bases, &|_| true) as i128 * SCALE;
                    bounds.iter().all(|(comparison, bound)| comparison.holds(length.cmp(bound)))
                }
                Condition::Boolean(expr) => {
                    let has = |base: usize| window.iter().any(|item| item.base == base);
                    let mut wanted = Vec::new();
                    positive(expr, true, &mut wanted);
                    wanted.retain(|base| has(*base));
                    wanted.sort_unstable();
                    wanted.dedup();
                    boolean(expr, &has) && longest_chain(window, bases, &|base| wanted.contains(&base)) == wanted.len()
                }
            };
            // The shape of the windows is the same for every measure; which of them hold is asked here.
            let any = Condition::Bounds(Vec::new());
            let mut spans = spans_of(items, timespan, condition.is_monotone(), &any, bases);
            spans.retain(|span| holds_for(&items[span.start..=span.end]));
            spans
        }
    }
}

fn spans_of(items: &[Item], timespan: i64, every: bool, any: &Condition, bases: usize) -> Vec<Span> {
    let mut found = spans(items, timespan, any, &mut Rules::new(bases));
    if !every {
        let last = |i: usize, found: &[Span]| found.get(i + 1).is_none_or(|next| next.start != found[i].start);
        let keep: Vec<bool> = (0..found.len()).map(|i| last(i, &found)).collect();
        let mut keep = keep.into_iter();
        found.retain(|_| keep.next().unwrap_or(false));
    }
    found
}

/// The bases that stand without a `not`.
fn positive(expr: &Expr, sign: bool, into: &mut Vec<usize>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter().for_each(|part| positive(part, sign, into));
        }
        Expr::Not(part) => positive(part, !sign, into),
        Expr::Selection(base) if sign => into.push(*base),
        _ => {}
    }
}

/// Follows chains of bases in order, one of each, remembering for each last base and length the latest start.
fn chains(items: &[Item], timespan: i64, bases: usize, enough: &dyn Fn(usize) -> bool) -> Vec<Span> {
    let mut starts = vec![vec![i64::MIN; bases + 1]; bases];
    let mut spans = Vec::new();
    let (mut first, mut batch) = (0, 0);
    while batch < items.len() {
        let time = items[batch].time;
        let end = items[batch..].iter().take_while(|item| item.time == time).count() + batch;
        let mut present: Vec<usize> = items[batch..end].iter().map(|item| item.base).collect();
        present.sort_unstable();
        present.dedup();
        for &base in &present {
            starts[base][1] = time;
            for length in 2..=base + 1 {
                let best = (0..base).map(|before| starts[before][length - 1]).max().unwrap_or(i64::MIN);
                starts[base][length] = starts[base][length].max(best);
            }
        }
        while time.saturating_sub(items[first].time) > timespan {
            first += 1;
        }
        let earliest = time.saturating_sub(timespan);
        let longest =
            (1..=bases).rev().find(|&length| starts.iter().any(|s| s[length] >= earliest && s[length] != i64::MIN));
        if longest.is_some_and(enough) {
            spans.push(Span { start: first, end: end - 1 });
        }
        batch = end;
    }
    spans
}

/// The length of the longest chain of different bases in order within a window.
fn longest_chain(window: &[Item], bases: usize, counts: &dyn Fn(usize) -> bool) -> usize {
    let mut lengths = vec![0; bases];
    let mut batch = 0;
    while batch < window.len() {
        let time = window[batch].time;
        let end = window[batch..].iter().take_while(|item| item.time == time).count() + batch;
        let mut present: Vec<usize> = window[batch..end].iter().map(|i| i.base).filter(|b| counts(*b)).collect();
        present.sort_unstable();
        for base in present {
            let before = lengths[..base].iter().max().copied().unwrap_or(0);
            lengths[base] = lengths[base].max(before + 1);
        }
        batch = end;
    }
    lengths.into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::measure::Count;
    use super::*;
    use crate::rule::Comparison::{Equal, GreaterOrEqual, Less};

    fn items(list: &[(i64, usize)]) -> Vec<Item> {
        list.iter().map(|&(time, base)| Item { time, base }).collect()
    }

    fn count(times: &[i64], comparison: crate::rule::Comparison, bound: i128) -> Vec<(usize, usize)> {
        let items: Vec<Item> = times.iter().map(|&time| Item { time, base: 0 }).collect();
        let condition = Condition::Bounds(vec![(comparison, bound * SCALE)]);
        let found = spans(&items, 10, &condition, &mut Count::default());
        found.into_iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn windows_slide() {
        assert_eq!(count(&[0, 8, 12], GreaterOrEqual, 2), [(0, 1), (1, 2)]);
        assert_eq!(count(&[0, 10], GreaterOrEqual, 2), [(0, 1)], "the span is inclusive");
        assert_eq!(count(&[0, 11], GreaterOrEqual, 2), []);
    }

    #[test]
    fn upper_bounds_ask_maximal_windows() {
        assert_eq!(count(&[0, 1, 2, 3, 4, 5], Less, 3), []);
        assert_eq!(count(&[0, 1, 50], Less, 3), [(0, 1), (2, 2)]);
        assert_eq!(count(&[0, 1, 2, 3], Equal, 3), []);
        assert_eq!(count(&[0, 1, 2], Equal, 3), [(0, 2)]);
    }

    #[test]
    fn order_counts_and_equal_times_are_ordered() {
        let all = |n: i128| Condition::Bounds(vec![(GreaterOrEqual, n * SCALE)]);
        let found = |list: &[(i64, usize)], n| !ordered_spans(&items(list), 10, &all(n), 3).is_empty();
        assert!(found(&[(0, 0), (1, 1), (2, 2)], 3));
        assert!(!found(&[(0, 0), (1, 2), (2, 1)], 3));
        assert!(found(&[(0, 0), (1, 2), (2, 1)], 2));
        assert!(found(&[(0, 2), (0, 1), (0, 0)], 3));
        assert!(!found(&[(0, 0), (6, 1), (12, 2)], 3), "too long");
        assert!(found(&[(0, 0), (5, 0), (6, 1), (12, 2)], 3), "a later start");
    }

    #[test]
    fn boolean_conditions_hold_for_windows() {
        let not_second =
            Condition::Boolean(Expr::All(vec![Expr::Selection(0), Expr::Not(Box::new(Expr::Selection(1)))]));
        let found = |list: &[(i64, usize)]| !spans(&items(list), 10, &not_second, &mut Rules::new(2)).is_empty();
        assert!(found(&[(0, 0)]));
        assert!(!found(&[(0, 0), (5, 1)]));
        assert!(found(&[(0, 0), (15, 1)]));
    }
}
