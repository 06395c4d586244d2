//! What tests of other crates and fuzz targets need of this one.

pub use crate::protocol::name::{authority, canonical};
