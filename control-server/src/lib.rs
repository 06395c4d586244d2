//! The management plane of the mesh: configuration kinds in, xDS out, one per cluster.
//!
//! ```text
//! source -> typed objects (kinds) -> model -> translate -> resources -> discovery (ADS)
//!                     `-- diagnostics --> admin
//! ```

pub mod resources;
pub mod state;
