//! Items for tests of other crates and for fuzz targets.

pub use crate::protocol::name::{authority, canonical};
