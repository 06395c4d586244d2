//! From one resource of a response to a validated value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::Name;
use prost::Message;
use xds_proto::envoy::service::discovery::v3::Resource;
use xds_proto::google::protobuf::Any;

use super::error::short_name;
use super::{AnyResource, DecodeContext, DecodeError, ResourceType, fields};

/// A resource that has been validated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decoded {
    /// Its name.
    pub name: Name,
    /// The bytes of its message: equal bytes are an unchanged resource.
    // TR-23
    pub bytes: Bytes,
    /// Its value, of the type that its [`ResourceType`] decodes to.
    pub value: AnyResource,
    /// Its own version, if it was wrapped and had one; otherwise empty.
    pub version: String,
    /// How long it may be used without a renewal; `None`: for ever.
    // TR-35
    pub ttl: Option<Duration>,
}

/// An entry of a response without its wrapper.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Unwrapped {
    /// A resource.
    Resource(Decoded),
    /// Not a resource, but a new time to live of one that was sent before. Only wrapped entries
    /// can be that.
    // TR-35
    Heartbeat {
        /// The resource.
        name: Name,
        /// The version that this is for: another version does not get it.
        version: String,
        /// How long from now; `None`: for ever.
        ttl: Option<Duration>,
    },
}

/// Decodes one entry of a SotW response: a resource, bare or wrapped in `envoy.service.discovery.v3.Resource`.
///
/// # Errors
/// A [`DecodeError`] when the resource is of another type, when it is larger than the context allows, when it does not
/// decode or is not valid, and when its decoder panics.
// TR-17, RV-04
pub fn decode(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    any: Any,
) -> Result<Unwrapped, DecodeError> {
    if any.type_url != WRAPPER {
        return decode_bare(resource_type, context, None, any).map(Unwrapped::Resource);
    }
    match Resource::decode(any.value.as_slice()) {
        Ok(wrapper) => decode_wrapped(resource_type, context, wrapper),
        Err(error) => Err(DecodeError::of(resource_type, None, format!("{WRAPPER}: {error}"))),
    }
}

/// Decodes the content of a wrapper: an entry of an incremental response, or of a SotW response with wrappers.
///
/// # Errors
/// As [`decode`]; also when the wrapper holds neither a resource nor a name, when its `ttl` is not valid, and when it
/// has another name than the resource inside.
pub fn decode_wrapped(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    wrapper: Resource,
) -> Result<Unwrapped, DecodeError> {
    let Resource { name, version, resource, ttl, .. } = wrapper;
    let ttl = fields::optional_duration(ttl.as_ref(), "ttl").map_err(|invalid| DecodeError {
        field: invalid.field,
        ..DecodeError::of(resource_type, given(&name), invalid.reason)
    })?;
    match (resource, given(&name)) {
        (Some(any), _) => decode_named(resource_type, context, &name, any)
            .map(|decoded| Unwrapped::Resource(Decoded { version, ttl, ..decoded })),
        (None, Some(name)) => Ok(Unwrapped::Heartbeat { name, version, ttl }),
        (None, None) => {
            Err(DecodeError::of(resource_type, None, format!("{WRAPPER} without a resource and a name")))
        }
    }
}

/// Decodes a bare resource whose name is known from outside; an empty `name` means that it is not.
///
/// # Errors
/// As [`decode`]; also when the resource has another name. Errors are about `name`.
pub fn decode_named(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    name: &str,
    any: Any,
) -> Result<Decoded, DecodeError> {
    decode_bare(resource_type, context, given(name), any)
}

fn given(name: &str) -> Option<Name> {
    (!name.is_empty()).then(|| name.into())
}

fn decode_bare(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    name: Option<Name>,
    any: Any,
) -> Result<Decoded, DecodeError> {
    let expected = resource_type.type_url();
    if any.type_url != expected {
        let reason = format!("expected type {expected:?}, found {:?}", any.type_url);
        return Err(DecodeError::of(resource_type, name, reason));
    }
    let bytes = Bytes::from(any.value);
    if let Some(limit) = context.max_resource_size.filter(|limit| bytes.len() > *limit) {
        let name = name.or_else(|| resource_type.peek_name(&bytes));
        let size = bytes.len();
        let reason =
            format!("its {size} bytes are more than the limit of {limit} (Options::max_resource_size)");
        return Err(DecodeError::of(resource_type, name, reason));
    }
    // A panic leaves no decoder half done: a decoder's state lives for one resource.
    let result = catch_unwind(AssertUnwindSafe(|| resource_type.decode(context, name.as_ref(), &bytes)));
    let panicked = |panic: Box<dyn std::any::Any + Send>| {
        Err(DecodeError::of(resource_type, None, format!("the decoder panicked: {}", text_of(&*panic))))
    };
    match result.unwrap_or_else(panicked) {
        Ok((name, value)) => Ok(Decoded { name, bytes, value, version: String::new(), ttl: None }),
        Err(error) => Err(DecodeError { name: name.or(error.name), ..error }),
    }
}

impl DecodeError {
    fn of(resource_type: &dyn ResourceType, name: Option<Name>, reason: String) -> Self {
        Self { type_name: short_name(resource_type.type_url()), name, field: String::new(), reason }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
