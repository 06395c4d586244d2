//! Collections whose successive versions share unchanged nodes, so that a small change costs little.
//!
//! A version never changes. The next version is made from it: an unchanged node is the same `Arc` in both, and a
//! comparison of the two versions skips it.

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
