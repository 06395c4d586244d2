//! The encoded configuration of an extension: a filter, or a load-balancing policy.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Number;
use xds_proto::google::protobuf::{ListValue, Struct, Value, value::Kind};

use super::invalid::{Checked, Invalid};
use super::{DecodeContext, Decoding};

/// The encoded configuration of an extension: the bytes of its message, or, if the control plane sent a `TypedStruct`, its
/// fields.
// RV-05
#[derive(Debug)]
pub struct ExtensionPayload<'a> {
    content: Content<'a>,
    /// `None` in users' tests.
    context: Option<&'a Decoding<'a>>,
}

#[derive(Debug)]
enum Content<'a> {
    Message(&'a [u8]),
    Fields(serde_json::Value),
}

impl<'a> ExtensionPayload<'a> {
    /// A message's protobuf encoding.
    pub fn of_message(bytes: &'a [u8]) -> Self {
        Self { content: Content::Message(bytes), context: None }
    }

    /// The fields of a `TypedStruct`, as an object.
    pub fn of_fields(fields: serde_json::Value) -> Self {
        Self { content: Content::Fields(fields), context: None }
    }

    /// The message's protobuf encoding; `None` for a `TypedStruct`.
    pub fn message(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Message(bytes) => Some(bytes),
            Content::Fields(_) => None,
        }
    }

    /// The fields of a `TypedStruct`, as an object; `None` for a message.
    pub fn fields(&self) -> Option<&serde_json::Value> {
        match &self.content {
            Content::Message(_) => None,
            Content::Fields(fields) => Some(fields),
        }
    }

    pub(in crate::resource) fn of_struct(fields: &Struct) -> Self {
        Self::of_fields(to_json(fields))
    }

    pub(in crate::resource) fn with_context(self, context: &'a Decoding<'a>) -> Self {
        Self { context: Some(context), ..self }
    }

    /// Decodes the message.
    pub(in crate::resource) fn decode<M: Message + Default + prost::Name>(
        &self,
    ) -> Result<M, ExtensionError> {
        let Some(bytes) = self.message() else {
            return Err(ExtensionError::new(format!("{} cannot be given as a TypedStruct", M::full_name())));
        };
        M::decode(bytes).map_err(|error| ExtensionError::new(format!("{}: {error}", M::full_name())))
    }

    /// Reads a part of the configuration with the context of its resource.
    pub(in crate::resource) fn read<T>(
        &self,
        read: impl FnOnce(&Decoding<'_>) -> Checked<T>,
    ) -> Result<T, ExtensionError> {
        let read = match self.context {
            Some(context) => read(context),
            None => read(&Decoding::new(&DecodeContext::default())),
        };
        read.map_err(ExtensionError::from)
    }
}

/// Why an extension's configuration is refused: which field, and what was expected. It becomes part of the NACK's text, with
/// the path to the configuration in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}", .field, if .field.is_empty() { "" } else { ": " })]
pub struct ExtensionError {
    field: String,
    reason: String,
}

impl ExtensionError {
    /// The whole configuration is invalid.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { field: String::new(), reason: reason.into() }
    }

    /// A field is invalid; `field` is its path, for example `delay.percentage`.
    pub fn at(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl From<ExtensionError> for Invalid {
    fn from(error: ExtensionError) -> Self {
        Self { field: error.field, reason: error.reason }
    }
}

impl From<Invalid> for ExtensionError {
    fn from(invalid: Invalid) -> Self {
        Self { field: invalid.field, reason: invalid.reason }
    }
}

/// The same values in JSON, in the order of names; whole numbers as such.
fn to_json(fields: &Struct) -> serde_json::Value {
    let entries = fields.fields.iter().map(|(name, value)| (name.clone(), value_to_json(value)));
    let in_order: BTreeMap<_, _> = entries.collect();
    serde_json::Value::Object(in_order.into_iter().collect())
}

fn value_to_json(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::StringValue(text)) => text.as_str().into(),
        Some(Kind::NumberValue(number)) => number_to_json(*number),
        Some(Kind::ListValue(ListValue { values })) => values.iter().map(value_to_json).collect(),
        Some(Kind::StructValue(fields)) => to_json(fields),
    }
}

/// JSON has no infinite number and no NaN.
fn number_to_json(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

/// 2^53: every whole number up to here is exact in the double that carries it.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
