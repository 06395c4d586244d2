//! Columns that align.

use super::output::{Output, Style};

/// Rows of styled cells under a header.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.iter().map(|text| (Style::Bold, (*text).to_owned())).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<(Style, String)>) {
        self.rows.push(cells);
    }

    /// One line per row; every column but the last is as wide as its widest cell.
    pub(super) fn lines(&self, output: Output) -> Vec<String> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, (_, text)) in widths.iter_mut().zip(row) {
                *width = length(text).max(*width);
            }
        }
        self.rows.iter().map(|row| line(row, &widths, output)).collect()
    }
}

fn line(row: &[(Style, String)], widths: &[usize], output: Output) -> String {
    let mut line = String::new();
    for (index, ((style, text), width)) in row.iter().zip(widths).enumerate() {
        line.push_str(&output.style(*style, text));
        if index + 1 < row.len() {
            line.push_str(&" ".repeat(width - length(text) + GAP));
        }
    }
    line
}

fn length(text: &str) -> usize {
    text.chars().count()
}

const GAP: usize = 2;
