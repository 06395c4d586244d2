//! The lines that only one of two listings has.

use std::collections::{BTreeMap, BTreeSet};

/// Blocks by their first lines.
type Blocks<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Lines of `old` that are gone with `-`, lines of `new` with `+`, each under the block that it belongs to.
pub(super) fn difference(old: &str, new: &str) -> String {
    let (old, new) = (blocks(old), blocks(new));
    let none = BTreeSet::new();
    let heads: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let mut text = String::new();
    for head in heads {
        let sign = match (old.contains_key(head), new.contains_key(head)) {
            (true, false) => '-',
            (false, true) => '+',
            _ => ' ',
        };
        let (before, after) = (old.get(head).unwrap_or(&none), new.get(head).unwrap_or(&none));
        let gone = before.difference(after).map(|line| format!("-{line}\n"));
        let come = after.difference(before).map(|line| format!("+{line}\n"));
        let lines: String = gone.chain(come).collect();
        if sign != ' ' || !lines.is_empty() {
            text.push_str(&format!("{sign}{head}\n{lines}"));
        }
    }
    text
}

fn blocks(text: &str) -> Blocks<'_> {
    let mut blocks = Blocks::new();
    let mut head = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(' ') {
            blocks.entry(head).or_default().insert(line);
        } else {
            head = line;
            blocks.entry(head).or_default();
        }
    }
    blocks
}
