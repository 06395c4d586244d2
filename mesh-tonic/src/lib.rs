#![doc = include_str!("../../docs/mesh-tonic.md")]

mod body;
mod builder;
mod channel;
mod client_status;
mod connection;
mod error;
mod future;
mod in_memory;
mod protocol;
mod status;

pub use body::ResponseBody;
pub use builder::MeshChannelBuilder;
pub use channel::MeshChannel;
pub use client_status::ClientStatusService;
pub use error::ConnectError;
pub use future::ResponseFuture;
pub use in_memory::Incoming;

// What users of channels meet: errors, targets, and what a mesh of their own is made of.
pub use mesh_core::config::MeshConfig;
pub use mesh_core::policy::retry::MaxAttempts;
pub use mesh_core::runtime::connect::{
    ConnectTarget, Dial, Http2Settings, Keepalive, KeepaliveInterval, KeepaliveScope,
};
pub use mesh_core::runtime::{
    CallInfo, ChannelState, FixedSource, Mesh, MeshBuilder, MeshError, MeshErrorKind, PoolSettings,
    ReplayLimit, ReplayMemory, SourceError, Target, WaitForReady,
};
