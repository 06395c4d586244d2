//! Resources: from bytes to validated values, in the terms of [`mesh_core::config`].
//!
//! Section 3 of the conformance list. [`decode`] takes one resource of a response through unwrapping, the check of its
//! type and its [`ResourceType`]; four kinds are here ([`ListenerType`], [`RouteConfigurationType`], [`ClusterType`],
//! [`EndpointsType`]), others can be added from outside.
//!
//! Invariants:
//! - No input panics; a panic in a decoder refuses the resource and nothing else (RV-04).
//! - Each error names type, resource and field path, because it becomes the text of the NACK.
//! - What is accepted is in the value. A field that would weaken security when ignored refuses the resource: TLS, on
//!   either side, is refused until it is supported, and never becomes plaintext.
//! - Validation depends on the resource, the server that sent it and the bootstrap, never on how the application
//!   secures its channels (RV-03).
//! - Fields that the list does not name are ignored, and members of a `oneof` that are not known look unset (RV-02).
//!
//! Choices where implementations differ: a header matcher without a specifier means "present", as in Envoy (RDS-08); a
//! header matcher on a pseudo-header (`:method`) sees no header, as in gRPC (RT-12); the range of a CIDR prefix length
//! is clamped (LDS-18); a ring's minimum above its maximum is refused, as in Envoy (CDS-08).

mod address;
mod cluster;
mod config_source;
mod context;
mod decode;
mod duration;
mod endpoint;
mod error;
mod extension;
mod filter;
mod fraction;
mod invalid;
mod listener;
mod matcher;
mod metadata;
mod route;
mod transport_socket;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::Name;

pub use cluster::{Cluster, ClusterDiscovery, ClusterType};
pub use context::DecodeContext;
pub use decode::{Decoded, decode};
pub use endpoint::{ClusterLoadAssignment, EndpointsType};
pub use error::DecodeError;
pub use listener::{ApiListener, Listener, ListenerType, RouteSource};
pub use route::{RouteConfiguration, RouteConfigurationType};

/// A validated resource of any type; downcast it to the type that its [`ResourceType`] makes.
pub type AnyResource = Arc<dyn Any + Send + Sync>;

/// A kind of resource: how it is named on the wire, decoded and validated. Open to users' own types.
pub trait ResourceType: Debug + Send + Sync + 'static {
    /// `type.googleapis.com/` and the full message name (TR-03).
    fn type_url(&self) -> &'static str;

    /// Whether a SotW response holds every resource, so that one that is missing has been deleted (TR-26).
    fn is_full_state(&self) -> bool;

    /// Decodes and validates one resource from the bytes of its message (already unwrapped from `Any` and from
    /// `envoy.service.discovery.v3.Resource`).
    ///
    /// # Errors
    /// A [`DecodeError`], with the resource's name if it could be read (TR-14, TR-15, RV-01).
    fn decode(&self, context: &DecodeContext, bytes: &Bytes) -> Result<(Name, AnyResource), DecodeError>;
}
