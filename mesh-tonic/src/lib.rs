#![doc = include_str!("../../docs/mesh-tonic.md")]

mod body;
mod builder;
mod channel;
mod client_status;
mod error;
mod future;
mod protocol;
mod status;

pub use body::ResponseBody;
pub use builder::MeshChannelBuilder;
pub use channel::MeshChannel;
pub use client_status::ClientStatusService;
pub use error::ConnectError;
pub use future::ResponseFuture;
pub use mesh_core::policy::retry::MaxAttempts;
pub use mesh_core::runtime::{Mesh, ReplayLimit, WaitForReady};
