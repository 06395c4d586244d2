//! Collections whose versions share what they have in common, so that a small change is a small cost.
//!
//! A version never changes. The next one is made from it: chunks that stay the same are the same `Arc` in both, and
//! whoever compares the two looks only into the others.

mod list;
mod table;
#[cfg(test)]
mod tests;

pub use list::{Changes, Iter, SharedList};
pub(crate) use table::SharedTable;
