//! Owns tables: columns as wide as their content, the widest flexible one cut where the terminal ends.

use super::escape::{columns_of, escape, fit};
use super::{Style, paint};
use std::io::{self, Write};

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a head; all text is escaped.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(String, Style)>>,
}

/// Columns between two cells.
const GAP: usize = 2;

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: Vec<(String, Style)>) {
        self.rows.push(cells.into_iter().map(|(text, style)| (escape(&text).into_owned(), style)).collect());
    }

    /// Writes it at most `width` columns wide.
    pub fn write(&self, out: &mut dyn Write, width: usize, colored: bool) -> io::Result<()> {
        let widths = self.widths(width);
        let head = self.columns.iter().map(|(name, _)| ((*name).to_owned(), Style::Dim)).collect::<Vec<_>>();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (at, ((_, align), &wide)) in self.columns.iter().zip(&widths).enumerate() {
                let (text, style) = row.get(at).cloned().unwrap_or((String::new(), Style::Plain));
                let text = fit(&text, wide);
                let pad = " ".repeat(wide.saturating_sub(columns_of(&text)));
                let painted = paint(&text, if text.is_empty() { Style::Plain } else { style }, colored);
                match align {
                    Align::Left => line.push_str(&format!("{painted}{pad}")),
                    Align::Right => line.push_str(&format!("{pad}{painted}")),
                }
                line.push_str(&" ".repeat(GAP));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// The columns' widths: what they need, taken from the widest while they do not fit.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| columns_of(name)).collect();
        for row in &self.rows {
            for (have, (text, _)) in widths.iter_mut().zip(row) {
                *have = (*have).max(columns_of(text));
            }
        }
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().max() else { break };
            if *widest <= 8 {
                break;
            }
            *widest -= 1;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_column_gives_way_and_text_is_escaped() {
        let mut table = Table::new(&[("level", Align::Left), ("count", Align::Right), ("title", Align::Left)]);
        table.row(vec![
            ("high".into(), Style::High),
            ("12".into(), Style::Plain),
            ("a very long title\x1b[31m that does not fit".into(), Style::Plain),
        ]);
        let mut out = Vec::new();
        table.write(&mut out, 40, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| columns_of(line) <= 40), "{text}");
        assert!(text.starts_with("level  count  title\nhigh      12  a very long title\\u{1b}"), "{text}");
    }
}
