//! Resources: from bytes to validated values, in the terms of [`mesh_core::config`].
//!
//! Section 3 of the conformance list. [`decode`] takes one entry of a SotW response through unwrapping, the check of its
//! type and size and its [`ResourceType`]; [`decode_wrapped`] and [`decode_named`] are the same for incremental responses,
//! whose entries are named from outside. Six types are here: [`ListenerType`], [`RouteConfigurationType`],
//! [`ClusterType`], [`EndpointsType`], and [`EndpointCollectionType`] and [`LbEndpointType`] for endpoints that are
//! resources of their own (gRFC A95). Users can add others.
//!
//! Invariants:
//! - No input panics; a panic in a decoder refuses its resource only.
//! - Each error names type, resource and field path, because it becomes the text of the NACK.
//! - Accepted fields are in the value. A field that would weaken security when ignored refuses the resource: TLS, on
//!   either side, is refused until it is supported, and never becomes plaintext.
//! - Validation depends on the resource, the server that sent it and the bootstrap, never on how the application
//!   secures its channels.
//! - Fields outside of the conformance list are ignored, and unknown members of a `oneof` count as unset.
//!
//! Choices where implementations differ: a header matcher without a specifier means "present", as in Envoy; a
//! header matcher on a pseudo-header (`:method`) sees no header, as in gRPC; the range of a CIDR prefix length
//! is clamped; a ring's minimum above its maximum is refused, as in Envoy; a domain may occur in
//! several virtual hosts, the first of which serves it, as in gRPC; a router cannot be disabled; DNS
//! names are resolved when they are needed, not by `dns_refresh_rate`, as in gRPC.
// RV-04, RV-03, RV-02, RDS-08, RT-12, LDS-18, CDS-08, RDS-03, LDS-11, CDS-22

mod cluster;
mod context;
mod decode;
mod decoding;
#[cfg(test)]
mod decoding_tests;
mod endpoint;
mod error;
mod extension;
mod fields;
mod filter;
mod headers;
mod invalid;
mod listener;
mod matcher;
mod message;
mod metadata;
mod payload;
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

pub use crate::certificate::CertificateProviders;
pub use cluster::{Cluster, ClusterDiscovery, ClusterType, LbPolicyRegistry, LbPolicyType};
pub use context::DecodeContext;
pub(crate) use context::MAX_REGEX_SIZE;
pub use decode::{Decoded, Unwrapped, decode, decode_named, decode_wrapped};
use decoding::Decoding;
pub use endpoint::{
    ClusterLoadAssignment, CollectionEndpoint, CollectionRef, EndpointCollection, EndpointCollectionType,
    EndpointsType, LbEndpointType,
};
pub use error::DecodeError;
pub use filter::{AuditLoggerType, FilterRegistry, FilterSides, HttpFilterType, RbacFilter};
pub use listener::{ApiListener, Listener, ListenerType, RouteSource, SocketListener};
pub use payload::{ExtensionError, ExtensionPayload};
pub use route::{RouteConfiguration, RouteConfigurationType};

/// A validated resource of any type; downcast it to the type that its [`ResourceType`] decodes to.
pub type AnyResource = Arc<dyn Any + Send + Sync>;

/// A type of resource: its name on the wire, its decoder and its validation. Open to users' own types:
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

    /// Whether a SotW response has every resource, so that a missing one has been deleted.
    // TR-26
    fn is_full_state(&self) -> bool;

    /// Decodes and validates one resource from the bytes of its message (already unwrapped from `Any` and from
    /// `envoy.service.discovery.v3.Resource`).
    ///
    /// `name` is the name that the resource was sent under, if the wrapper or the protocol has one. A message with a name of
    /// its own is known by that, and refused if it differs; a message without one is known
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

    /// The name in the message, for the error of a resource that is too large to be decoded
    /// ([`DecodeContext::max_resource_size`]); has to be cheap. `None`, the default: not known.
    fn peek_name(&self, _bytes: &Bytes) -> Option<Name> {
        None
    }
}
