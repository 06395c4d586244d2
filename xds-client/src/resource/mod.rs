//! Resources: from bytes to validated values, in the terms of [`mesh_core::config`].
//!
//! Section 3 of the conformance list. [`decode`] takes one entry of a SotW response through unwrapping, the check of its
//! type and size and its [`ResourceType`]; [`decode_wrapped`] and [`decode_named`] are the same for incremental responses,
//! whose entries are named from outside. Six kinds are here: [`ListenerType`], [`RouteConfigurationType`],
//! [`ClusterType`], [`EndpointsType`], and [`EndpointCollectionType`] and [`LbEndpointType`] for endpoints that are
//! subscribed to apart from their cluster (gRFC A95). Others can be added from outside.
//!
//! Invariants:
//! - No input panics; a panic in a decoder refuses the resource and nothing else.
//! - Each error names type, resource and field path, because it becomes the text of the NACK.
//! - What is accepted is in the value. A field that would weaken security when ignored refuses the resource: TLS, on
//!   either side, is refused until it is supported, and never becomes plaintext.
//! - Validation depends on the resource, the server that sent it and the bootstrap, never on how the application
//!   secures its channels.
//! - Fields that the list does not name are ignored, and members of a `oneof` that are not known look unset.
//!
//! Choices where implementations differ: a header matcher without a specifier means "present", as in Envoy; a
//! header matcher on a pseudo-header (`:method`) sees no header, as in gRPC; the range of a CIDR prefix length
//! is clamped; a ring's minimum above its maximum is refused, as in Envoy; a domain may occur in
//! several virtual hosts, the first of which serves it, as in gRPC; a router cannot be disabled; DNS
//! names are resolved when they are needed, not by `dns_refresh_rate`, as in gRPC.
// RV-04, RV-03, RV-02, RDS-08, RT-12, LDS-18, CDS-08, RDS-03, LDS-11, CDS-22

mod address;
mod cluster;
mod config_source;
mod context;
mod decode;
mod decoding;
#[cfg(test)]
mod decoding_tests;
mod duration;
mod endpoint;
mod error;
mod extension;
mod filter;
mod fraction;
mod headers;
mod invalid;
mod listener;
mod matcher;
mod message;
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
pub(crate) use context::MAX_REGEX_SIZE;
pub use decode::{Decoded, Unwrapped, decode, decode_named, decode_wrapped};
use decoding::Decoding;
pub use endpoint::{
    ClusterLoadAssignment, CollectionEndpoint, CollectionRef, EndpointCollection, EndpointCollectionType,
    EndpointsType, LbEndpointType,
};
pub use error::DecodeError;
pub use filter::{FilterError, FilterPayload, FilterRegistry, HttpFilterType};
pub use listener::{ApiListener, FilterChain, Listener, ListenerType, RouteSource, SocketListener};
pub use route::{RouteConfiguration, RouteConfigurationType};

/// A validated resource of any type; downcast it to the type that its [`ResourceType`] makes.
pub type AnyResource = Arc<dyn Any + Send + Sync>;

/// A kind of resource: how it is named on the wire, decoded and validated. Open to users' own types:
///
/// ```
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use mesh_core::config::Name;
/// use xds_client::resource::{AnyResource, DecodeContext, DecodeError, ResourceType};
///
/// /// A resource that is a text. Its message holds no name, so it has to be wrapped.
/// #[derive(Debug)]
/// struct GreetingType;
///
/// impl ResourceType for GreetingType {
///     fn type_url(&self) -> &'static str {
///         "type.googleapis.com/example.Greeting"
///     }
///
///     fn is_full_state(&self) -> bool {
///         false
///     }
///
///     fn decode(
///         &self,
///         _: &DecodeContext,
///         name: Option<&Name>,
///         bytes: &Bytes,
///     ) -> Result<(Name, AnyResource), DecodeError> {
///         let refused = |reason: &str| DecodeError::new("Greeting", reason);
///         let name = name.ok_or_else(|| refused("must not be empty").with_field("name"))?;
///         let text = String::from_utf8(bytes.to_vec())
///             .map_err(|_| refused("is not UTF-8").with_name(name.clone()).with_field("text"))?;
///         Ok((name.clone(), Arc::new(text)))
///     }
/// }
/// ```
pub trait ResourceType: Debug + Send + Sync + 'static {
    /// `type.googleapis.com/` and the full message name.
    // TR-03
    fn type_url(&self) -> &'static str;

    /// Whether a SotW response holds every resource, so that one that is missing has been deleted.
    // TR-26
    fn is_full_state(&self) -> bool;

    /// Decodes and validates one resource from the bytes of its message (already unwrapped from `Any` and from
    /// `envoy.service.discovery.v3.Resource`).
    ///
    /// `name` is the name that the resource was sent under, where the wrapper or the protocol tells it. A message that
    /// holds its name decides what its name is, and is refused if it is another one; a message that does not is called
    /// by `name`.
    ///
    /// # Errors
    /// A [`DecodeError`], with the resource's name if it could be read. One without a name gets
    /// `name`.
    // TR-14, TR-15, RV-01
    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError>;

    /// The name in the message, for errors about one that is too large to be decoded
    /// ([`DecodeContext::max_resource_size`]); has to be cheap. `None`, the default: not known.
    fn peek_name(&self, _bytes: &Bytes) -> Option<Name> {
        None
    }
}
