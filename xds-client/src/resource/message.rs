//! Messages that are resources: their bytes, their names, their values.

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::Name;
use prost::Message;

use super::error::short_name;
use super::invalid::Checked;
use super::{AnyResource, DecodeError};
use crate::protocol::canonical;

type Result<T> = std::result::Result<T, DecodeError>;

/// A message with its own name in field 1.
pub(super) trait Named: Message + Default {
    /// The field that holds the resource's name.
    const NAME_FIELD: &'static str = "name";

    /// The resource's name.
    fn name(&self) -> &str;
}

/// Decodes the message `M`, reads its name and validates it.
pub(super) fn decode_message<M: Named, T: Send + Sync + 'static>(
    type_url: &'static str,
    outside: Option<&Name>,
    bytes: &Bytes,
    validate: impl FnOnce(M) -> Checked<T>,
) -> Result<(Name, AnyResource)> {
    let type_name = short_name(type_url);
    let message: M = parse(type_name, bytes)?;
    let name = Name::from(message.name());
    let refused = |name: Option<&Name>, reason: String| {
        let (name, field) = (name.cloned(), M::NAME_FIELD.to_owned());
        Err(DecodeError { type_name, name, field, reason })
    };
    // RV-01
    if name.is_empty() {
        return refused(outside, "must not be empty".to_owned());
    }
    if let Some(outside) = outside.filter(|outside| canonical(outside) != canonical(&name)) {
        return refused(Some(outside), format!("is {name:?}, but the resource was sent as {outside:?}"));
    }
    valid(type_name, name, validate(message))
}

/// Decodes the message `M`, which has no name, and validates it under the name that it was sent with.
pub(super) fn decode_nameless<M: Message + Default, T: Send + Sync + 'static>(
    type_url: &'static str,
    outside: Option<&Name>,
    bytes: &Bytes,
    validate: impl FnOnce(M) -> Checked<T>,
) -> Result<(Name, AnyResource)> {
    let type_name = short_name(type_url);
    let Some(name) = outside.cloned() else {
        let reason = "has no name: it must be wrapped in envoy.service.discovery.v3.Resource".to_owned();
        return Err(DecodeError { type_name, name: None, field: String::new(), reason });
    };
    valid(type_name, name, validate(parse(type_name, bytes)?))
}

/// The name in field 1, read without decoding other fields.
pub(super) fn peek_name(bytes: &Bytes) -> Option<Name> {
    let NameAlone { name } = NameAlone::decode(&**bytes).ok()?;
    (!name.is_empty()).then(|| name.into())
}

/// The part that all [`Named`] messages have in common: the name.
#[derive(Clone, PartialEq, Message)]
struct NameAlone {
    #[prost(string, tag = "1")]
    name: String,
}

fn parse<M: Message + Default>(type_name: &'static str, bytes: &Bytes) -> Result<M> {
    // From a slice, as extensions are: decoders for a second kind of buffer would be compiled besides.
    M::decode(&**bytes).map_err(|error| DecodeError {
        type_name,
        name: None,
        field: String::new(),
        reason: error.to_string(),
    })
}

fn valid<T: Send + Sync + 'static>(
    type_name: &'static str,
    name: Name,
    value: Checked<T>,
) -> Result<(Name, AnyResource)> {
    match value {
        Ok(value) => Ok((name, Arc::new(value))),
        Err(error) => {
            Err(DecodeError { type_name, name: Some(name), field: error.field, reason: error.reason })
        }
    }
}
