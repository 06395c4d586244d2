//! Columns that align.

use super::output::{Output, Span, Style};
use super::text::clipped;

/// Rows of styled cells under a header.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Span>>,
}

impl Table {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.iter().map(|text| (Style::Bold, (*text).to_owned())).collect()] }
    }

    /// Adds a row. Every cell has at most [`MAX_CELL`] characters, except the last, which aligns no other.
    pub(super) fn row(&mut self, cells: Vec<Span>) {
        let last = cells.len().saturating_sub(1);
        let limit = |index| if index < last { MAX_CELL } else { usize::MAX };
        let cells = cells.into_iter().enumerate();
        self.rows.push(cells.map(|(index, (style, text))| (style, clipped(&text, limit(index)))).collect());
    }

    pub(super) fn print(&self, output: Output) {
        self.lines().iter().for_each(|line| output.spans(line));
    }

    /// One line per row; every column but the last is as wide as its widest cell.
    pub(super) fn lines(&self) -> Vec<Vec<Span>> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, (_, text)) in widths.iter_mut().zip(row) {
                *width = length(text).max(*width);
            }
        }
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[Span], widths: &[usize]) -> Vec<Span> {
    let mut line = Vec::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        line.push(cell.clone());
        if index + 1 < row.len() {
            line.push((Style::Plain, " ".repeat(width - length(&cell.1) + GAP)));
        }
    }
    line
}

fn length(text: &str) -> usize {
    text.chars().count()
}

const GAP: usize = 2;
/// Longer than the names of services and nodes in any cluster.
pub(super) const MAX_CELL: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_control_characters_keep_the_table_aligned() {
        let mut table = Table::new(["A", "B"]);
        let plain = |text: &str| (Style::Plain, text.to_owned());
        table.row(vec![plain("a\u{1b}[2J"), plain("second")]);
        table.row(vec![plain(&"x".repeat(5000)), plain(&"y".repeat(5000))]);
        let texts: Vec<String> =
            table.lines().into_iter().map(|line| line.into_iter().map(|(_, text)| text).collect()).collect();
        let column = |text: &str| texts.iter().find_map(|line| line.find(text)).unwrap();
        assert!(texts[1].starts_with("a\\u{1b}[2J  "), "{}", texts[1]);
        assert_eq!((column("B"), texts[1].find("second")), (MAX_CELL + GAP, Some(MAX_CELL + GAP)));
        assert!(texts[2].starts_with(&format!("{}…  yyy", "x".repeat(MAX_CELL - 1))));
        assert!(texts[2].ends_with(&"y".repeat(5000)), "nothing stands behind the last one");
    }
}
