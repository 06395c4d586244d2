//! Collections whose versions share what they have in common, so that a small change is a small cost.
//!
//! A version never changes. The next one is made from it: nodes that stay the same are the same `Arc` in both, and
//! whoever compares the two looks only into the others.

mod changes;
mod iter;
mod list;
mod mapping;
mod node;
mod table;
#[cfg(test)]
mod tests;

pub use changes::Changes;
pub use iter::Iter;
pub use list::SharedList;
pub(crate) use mapping::Mapping;
pub(crate) use table::SharedTable;
