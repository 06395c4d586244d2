//! Targets: the configuration of each, compiled once for all its channels.
//!
//! ```text
//!  ConfigWatch -> task: compile, start and update clusters -> swap the state -> calls load it
//! ```
//!
//! All channels of a mesh to one target share one task, which ends with the last of them.

mod cluster;
mod compiler;
mod connection;
mod context;
mod features;
mod handle;
mod log;
mod routes;
mod snapshot;
mod task;

pub(crate) use cluster::{Avoid, Cluster, Picked, Refusal};
pub(crate) use compiler::Compiler;
pub(crate) use context::TargetContext;
use features::MirrorPlan;
pub(crate) use features::{CallFeatures, Features, set_authority};
pub(crate) use handle::{TargetHandle, TargetState};
pub(crate) use snapshot::{RouteInput, Routed, Snapshot};
