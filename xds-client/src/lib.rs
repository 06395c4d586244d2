//! xDS in: bootstrap, the ADS protocol, validation, and one complete configuration per target.
//!
//! ```text
//! bytes -> transport -> protocol (pure) <- resource (decode, validate) -> dependency -> mesh_core::config
//! ```

pub mod bootstrap;
pub mod dependency;
pub mod protocol;
pub mod resource;
