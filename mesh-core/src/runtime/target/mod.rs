//! Targets: what is known of each, compiled once for all channels that reach for it.
//!
//! ```text
//!  ConfigWatch -> task: compile, start and update clusters -> swap the state -> calls load it
//! ```
//!
//! One task per target and mesh, however many channels there are; it ends with the last of them.

mod cluster;
mod compiler;
mod connection;
mod context;
mod handle;
mod log;
mod routes;
mod snapshot;
mod task;

pub(crate) use cluster::{Cluster, Picked, Refusal};
pub(crate) use compiler::Compiler;
pub(crate) use context::TargetContext;
pub(crate) use handle::{State, TargetHandle};
pub(crate) use snapshot::{RouteInput, Routed, Snapshot};
