//! The HTTP face of the mesh: [`MeshClient`] for requests to its services by name, and [`MeshServer`] for axum, or for any other
//! service of `http` requests.
//!
//! It uses `mesh-core` as `mesh-tonic` does, and neither face knows the other. What differs between them stands in the
//! implementation of [`mesh_core::runtime::Protocol`].

mod client;
mod server;
mod status;

pub use client::{
    ClientError, ClientErrorKind, LocalFailure, MaxTargets, MeshClient, MeshClientBuilder, REASON,
    ResponseBody, ResponseFuture,
};
pub use server::{MeshServer, MeshServerBuilder};

pub use mesh_core::config::{ServerChain, ServerConfig, ServerListener, ServerRoutes};
#[cfg(feature = "opentelemetry")]
pub use mesh_core::observe::{CallSpans, ServerMetrics};
pub use mesh_core::peer::{Peer, PeerIdentity};
pub use mesh_core::runtime::server::{
    BindError, FixedServer, ServerHandle, ServerHttp1Settings, ServerHttp2Settings, ServerSettings,
    ServingState, TokenKeySettings,
};
pub use mesh_core::runtime::{
    CallInfo, CallOptions, Mesh, MeshBuilder, MeshError, MeshErrorKind, ReplayLimit, ReplayMemory,
    WaitForReady,
};
