//! A Rust file taken apart into code, comments and test code, well enough for rules about words.

mod lexer;
#[cfg(test)]
mod tests;

use crate::workspace::File;

/// A Rust file, line by line.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the workspace's root.
    pub path: String,
    /// Code, with comments and the insides of literals blanked.
    pub code: Vec<String>,
    /// Comments, with everything else blanked.
    pub comments: Vec<String>,
    /// Which lines are test code.
    pub is_test: Vec<bool>,
}

impl Source {
    /// Takes a file apart.
    pub fn parse(file: &File) -> Self {
        let (code, comments) = lexer::split(&file.text);
        let is_test = if is_test_file(&file.path) { vec![true; code.len()] } else { test_lines(&code) };
        Self { path: file.path.clone(), code, comments, is_test }
    }

    /// How many lines it has.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Whether it has no line at all.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }

    /// Whether the whole file is test code.
    pub fn is_test_file(&self) -> bool {
        is_test_file(&self.path)
    }
}

/// Whether `word` stands in `line` with no letter, digit or `_` joined to either end.
pub fn has_word(line: &str, word: &str) -> bool {
    let joins = |character: char| character.is_alphanumeric() || character == '_';
    let starts = word.chars().next().is_some_and(joins);
    let ends = word.chars().next_back().is_some_and(joins);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(joins);
        let after = line[at + word.len()..].chars().next().is_some_and(joins);
        !(starts && before || ends && after)
    })
}

/// `tests.rs`, `topic_tests.rs`, anything in a folder `tests`, and the `tests` crate.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.starts_with("tests/")
        || path.contains("/tests/")
}

/// The lines of items under `#[cfg(test)]`.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut marked = vec![false; code.len()];
    let mut index = 0;
    while index < code.len() {
        if code[index].trim_start().starts_with("#[cfg(test)]") {
            let end = item_end(code, index);
            marked[index..=end].fill(true);
            index = end;
        }
        index += 1;
    }
    marked
}

/// The last line of the item that begins at `start`: its closing brace, or the `;` of an item without a body.
fn item_end(code: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, line) in code[start..].iter().enumerate() {
        for character in line.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 1 => return start + offset,
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => return start + offset,
                _ => {}
            }
        }
    }
    code.len() - 1
}
