//! Tables over strings that are built once and read by every request: whole strings, and prefixes.
//!
//! Their keys come from the operator, never from a request, and a lookup allocates nothing.

mod exact_table;
mod prefix_trie;

pub(crate) use exact_table::ExactTable;
pub(crate) use prefix_trie::{Forward, Lowered, LoweredBackward, PrefixTrie, TrieText};

/// Whether a key's ASCII case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Matters,
    Ignored,
}
