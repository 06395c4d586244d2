//! The mesh inside a process: its configuration, its decisions, and the runtime that carries them out.
//!
//! A service uses it through a face: `mesh_tonic` for gRPC, whose `MeshChannel` goes under any generated client. This crate is
//! for those who tell a mesh what to do, open its connections, or write a face:
//!
//! ```
//! use mesh_core::Mesh;
//! use mesh_core::config::MeshConfig;
//! use mesh_core::runtime::FixedSource;
//!
//! // A source of configurations: this one is the program itself, xds_client::XdsClient is another.
//! let source = FixedSource::new();
//! source.set("greeter", MeshConfig::to_endpoints("greeter", ["127.0.0.1:50051".parse()?]));
//! // One mesh for all channels of the process, which share its connections.
//! let mesh = Mesh::builder(source.clone()).seed(7).build();
//! // mesh_tonic::MeshChannel::builder("greeter").mesh(&mesh).build()
//! # drop(mesh);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! - [`certificate`]: key material, and where it comes from.
//! - [`config`]: immutable, validated, complete; swapped whole.
//! - [`counters`]: what is counted, for metrics.
//! - [`filter`]: HTTP filters: the trait that they implement, and those that come with the mesh.
//! - [`observe`]: what calls tell those who observe them, for metrics.
//! - [`peer`]: what a server knows of a connection and its client.
//! - [`policy`]: decisions as pure functions and state machines; time and randomness are arguments.
//! - [`runtime`]: the request path, connections and tasks; the only tokio in the crate.
//! - [`shared`]: collections whose versions share what they have in common.
//!
//! The feature `testing` adds the module `testing`, for the tests of this workspace; nothing about it is promised.
//!
//! This crate knows nothing of xDS, protobuf or tonic.

mod causes;
pub mod certificate;
pub mod config;
pub mod counters;
pub mod filter;
pub mod observe;
pub mod peer;
pub mod policy;
pub mod runtime;
mod sharded;
pub mod shared;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use causes::WithCauses;
pub use runtime::Mesh;
