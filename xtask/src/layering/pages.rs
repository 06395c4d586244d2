//! What Markdown pages promise: that their links lead somewhere, and that the map stays a map.

use std::path::Path;

use super::Violation;
use crate::workspace::File;

/// The map of the code, which is not read if it is long.
const MAP: (&str, usize) = ("ARCHITECTURE.md", 250);

/// Looks at a page; `exists` tells whether a path relative to the root does.
pub(super) fn inspect(page: &File, exists: impl Fn(&str) -> bool) -> Vec<Violation> {
    let mut found = Vec::new();
    let folder = Path::new(&page.path).parent().unwrap_or_else(|| Path::new(""));
    for (index, line) in page.text.lines().enumerate() {
        for link in links(line).filter(|link| !link.contains("://")) {
            let Some(path) = link.split('#').next().filter(|path| !path.is_empty()) else { continue };
            if !exists(&folder.join(path).to_string_lossy()) {
                found.push(Violation::new(&page.path, index + 1, format!("the link {link} leads nowhere")));
            }
        }
    }
    let lines = page.text.lines().count();
    if page.path == MAP.0 && lines >= MAP.1 {
        found.push(Violation::new(&page.path, 0, format!("{lines} lines; a map has fewer than {}", MAP.1)));
    }
    found
}

/// A guide is found by its index: every page of `docs/` stands there.
pub(super) fn inspect_index(index: &File, pages: &[File]) -> Vec<Violation> {
    let folder = index.path.trim_end_matches("README.md");
    let is_named = |name: &str| index.text.lines().any(|line| links(line).any(|link| link == name));
    pages
        .iter()
        .filter_map(|page| page.path.strip_prefix(folder).filter(|name| *name != "README.md"))
        .filter(|name| !is_named(name))
        .map(|name| Violation::new(&index.path, 0, format!("the page {name} is not in the index")))
        .collect()
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}
