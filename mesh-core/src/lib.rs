//! The mesh inside a process: what it has been told, how it decides, and where it happens.
//!
//! - [`config`]: immutable, validated, complete; swapped whole.
//! - [`policy`]: decisions as pure functions and state machines; time and randomness are arguments.
//! - [`runtime`]: the request path, connections and tasks; the only tokio in the crate.
//! - [`shared`]: collections whose versions share what they have in common.
//!
//! This crate knows nothing of xDS, protobuf or tonic.

mod causes;
pub mod config;
pub mod policy;
pub mod runtime;
pub mod shared;

pub use causes::WithCauses;
pub use runtime::Mesh;
