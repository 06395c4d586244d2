//! The HTTP face of the mesh: [`MeshServer`] for axum, and for any other service of `http` requests. A client is to come.
//!
//! It uses `mesh-core` as `mesh-tonic` does, and neither face knows the other. What differs between them stands in the
//! implementation of [`mesh_core::runtime::Protocol`].

mod server;

pub use server::{MeshServer, MeshServerBuilder};

pub use mesh_core::config::{ServerChain, ServerConfig, ServerListener, ServerRoutes};
pub use mesh_core::peer::{Peer, PeerIdentity};
pub use mesh_core::runtime::server::{
    BindError, FixedServer, ServerHandle, ServerHttp1Settings, ServerHttp2Settings, ServerSettings,
    ServingState, TokenKeySettings,
};
pub use mesh_core::runtime::{Mesh, MeshBuilder};
