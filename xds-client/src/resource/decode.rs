//! From one `Any` of a response to a validated resource.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::Resource;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::config::Name;
use prost::Message;

use super::invalid::Checked;
use super::{AnyResource, DecodeContext, DecodeError, ResourceType};

/// A resource that has been validated.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Its name.
    pub name: Name,
    /// The bytes of its message: equal bytes are an unchanged resource (TR-23).
    pub bytes: Bytes,
    /// Its value, of the type that its [`ResourceType`] makes.
    pub value: AnyResource,
}

/// Decodes one resource of a response, bare or wrapped in `envoy.service.discovery.v3.Resource` (TR-17).
///
/// # Errors
/// A [`DecodeError`] when the resource is of another type, when it does not decode or is not valid, and when its
/// decoder panics (RV-04).
pub fn decode(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    any: Any,
) -> Result<Decoded, DecodeError> {
    let refused = |reason: String| DecodeError {
        type_name: short_name(resource_type.type_url()),
        name: None,
        field: String::new(),
        reason,
    };
    let any = match any.type_url.as_str() {
        WRAPPER => match Resource::decode(any.value.as_slice()) {
            Ok(wrapper) => {
                wrapper.resource.ok_or_else(|| refused(format!("{WRAPPER} without a resource")))?
            }
            Err(error) => return Err(refused(format!("{WRAPPER}: {error}"))),
        },
        _ => any,
    };
    if any.type_url != resource_type.type_url() {
        return Err(refused(format!(
            "expected type {:?}, found {:?}",
            resource_type.type_url(),
            any.type_url
        )));
    }
    let bytes = Bytes::from(any.value);
    // A decoder holds nothing that a panic could leave half done: what it works on is made anew for each resource.
    let result = catch_unwind(AssertUnwindSafe(|| resource_type.decode(context, &bytes)));
    let (name, value) =
        result.unwrap_or_else(|panic| Err(refused(format!("the decoder panicked: {}", text_of(&*panic)))))?;
    Ok(Decoded { name, bytes, value })
}

/// A message that is a resource.
pub(super) trait Named: Message + Default {
    /// The field that holds the resource's name.
    const NAME_FIELD: &'static str = "name";

    /// The resource's name.
    fn name(&self) -> &str;
}

/// Decodes the message `M`, reads its name and validates it.
pub(super) fn decode_message<M: Named, T: Send + Sync + 'static>(
    type_url: &'static str,
    bytes: &Bytes,
    validate: impl FnOnce(M) -> Checked<T>,
) -> Result<(Name, AnyResource), DecodeError> {
    let type_name = short_name(type_url);
    let message = M::decode(bytes.clone()).map_err(|error| DecodeError {
        type_name,
        name: None,
        field: String::new(),
        reason: error.to_string(),
    })?;
    let name = Name::from(message.name());
    // RV-01
    if name.is_empty() {
        let reason = "must not be empty".to_owned();
        return Err(DecodeError { type_name, name: None, field: M::NAME_FIELD.to_owned(), reason });
    }
    match validate(message) {
        Ok(value) => Ok((name, Arc::new(value))),
        Err(error) => {
            Err(DecodeError { type_name, name: Some(name), field: error.field, reason: error.reason })
        }
    }
}

fn short_name(type_url: &'static str) -> &'static str {
    type_url.rsplit(['.', '/']).next().unwrap_or_default()
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
