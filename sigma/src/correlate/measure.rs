//! Owns what is measured of a window, kept exact while events enter and leave.

use super::window::{Item, Window};
use crate::rule::SCALE;
use std::collections::HashMap;

/// How many values of a window a percentile is taken of; beyond it the window starts later.
const MAX_SORTED: usize = 10_000;

/// How many events there are.
#[derive(Debug, Default)]
pub(super) struct Count(i128);

impl Window for Count {
    fn enter(&mut self, _: usize, _: Item) {
        self.0 += 1;
    }

    fn leave(&mut self, _: usize, _: Item) {
        self.0 -= 1;
    }

    fn value(&self) -> (i128, i128) {
        (self.0 * SCALE, 1)
    }
}

/// How many different rules have a hit.
#[derive(Debug)]
pub(super) struct Rules(Vec<u32>);

impl Rules {
    pub fn new(bases: usize) -> Self {
        Self(vec![0; bases])
    }
}

impl Window for Rules {
    fn enter(&mut self, _: usize, item: Item) {
        self.0[item.base] += 1;
    }

    fn leave(&mut self, _: usize, item: Item) {
        self.0[item.base] -= 1;
    }

    fn value(&self) -> (i128, i128) {
        (self.0.iter().filter(|count| **count > 0).count() as i128 * SCALE, 1)
    }

    fn has(&self, base: usize) -> bool {
        self.0.get(base).is_some_and(|count| *count > 0)
    }
}

/// How many different values, or tuples of values, there are.
#[derive(Debug)]
pub(super) struct Tuples<'v> {
    values: &'v [Vec<String>],
    counts: HashMap<&'v [String], u32>,
}

impl<'v> Tuples<'v> {
    pub fn new(values: &'v [Vec<String>]) -> Self {
        Self { values, counts: HashMap::new() }
    }
}

impl Window for Tuples<'_> {
    fn enter(&mut self, index: usize, _: Item) {
        *self.counts.entry(&self.values[index]).or_default() += 1;
    }

    fn leave(&mut self, index: usize, _: Item) {
        if let Some(count) = self.counts.get_mut(self.values[index].as_slice()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(self.values[index].as_slice());
            }
        }
    }

    fn value(&self) -> (i128, i128) {
        (self.counts.len() as i128 * SCALE, 1)
    }
}

/// The sum or the mean.
#[derive(Debug)]
pub(super) struct Numbers<'v> {
    values: &'v [i128],
    sum: i128,
    count: i128,
    mean: bool,
}

impl<'v> Numbers<'v> {
    pub fn sum(values: &'v [i128]) -> Self {
        Self { values, sum: 0, count: 0, mean: false }
    }

    pub fn average(values: &'v [i128]) -> Self {
        Self { values, sum: 0, count: 0, mean: true }
    }
}

impl Window for Numbers<'_> {
    fn enter(&mut self, index: usize, _: Item) {
        self.sum += self.values[index];
        self.count += 1;
    }

    fn leave(&mut self, index: usize, _: Item) {
        self.sum -= self.values[index];
        self.count -= 1;
    }

    fn value(&self) -> (i128, i128) {
        (self.sum, if self.mean { self.count.max(1) } else { 1 })
    }
}

/// A percentile: the value at its rank among the sorted ones, between two neighbours by linear interpolation.
#[derive(Debug)]
pub(super) struct Percentile<'v> {
    values: &'v [i128],
    sorted: Vec<i128>,
    /// The first item that counts.
    first: usize,
    percentile: usize,
}

impl<'v> Percentile<'v> {
    pub fn new(values: &'v [i128], percentile: u8) -> Self {
        Self { values, sorted: Vec::new(), first: 0, percentile: usize::from(percentile) }
    }

    fn remove(&mut self, value: i128) {
        if let Ok(at) = self.sorted.binary_search(&value) {
            self.sorted.remove(at);
        }
    }
}

impl Window for Percentile<'_> {
    fn enter(&mut self, index: usize, _: Item) {
        if self.sorted.len() == MAX_SORTED {
            self.remove(self.values[self.first]);
            self.first += 1;
        }
        let value = self.values[index];
        let at = self.sorted.partition_point(|other| *other < value);
        self.sorted.insert(at, value);
    }

    fn leave(&mut self, index: usize, _: Item) {
        if index >= self.first {
            self.remove(self.values[index]);
            self.first = index + 1;
        }
    }

    fn value(&self) -> (i128, i128) {
        let Some(last) = self.sorted.len().checked_sub(1) else { return (0, 1) };
        let rank = self.percentile * last;
        let (low, part) = (rank / 100, (rank % 100) as i128);
        let (below, above) = (self.sorted[low], self.sorted[(low + 1).min(last)]);
        (below * 100 + (above - below) * part, 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentile(values: &[i128], percentile: u8) -> i128 {
        let mut window = Percentile::new(values, percentile);
        for index in 0..values.len() {
            window.enter(index, Item { time: 0, base: 0 });
        }
        let (numerator, denominator) = window.value();
        numerator / denominator
    }

    #[test]
    fn percentiles_interpolate() {
        assert_eq!(percentile(&[3, 1, 2], 50), 2);
        assert_eq!(percentile(&[10, 20], 50), 15);
        assert_eq!(percentile(&[10, 20, 30, 40, 50], 0), 10);
        assert_eq!(percentile(&[10, 20, 30, 40, 50], 100), 50);
        assert_eq!(percentile(&[0, 100], 95), 95);
        assert_eq!(percentile(&[7], 95), 7);
    }
}
