//! A copy of a text: the text itself under a comment with its checksum.

use crate::source::entry::content_hash;

/// A copy is YAML too: to recover a text, copy the copy.
pub(super) fn encode(text: &str) -> String {
    format!("{}\n{text}", header(text))
}

/// The text of a copy; `None` if any part of it is missing or different.
pub(super) fn decode(copy: &str) -> Option<&str> {
    let (first, text) = copy.split_once('\n')?;
    (first == header(text)).then_some(text)
}

fn header(text: &str) -> String {
    format!("# As it was last good. Content: xxh64 {:016x}", content_hash(text))
}
