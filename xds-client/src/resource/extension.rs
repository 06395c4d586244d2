//! Extension configurations: an `Any`, or a `TypedStruct` inside one (RV-05).

use std::time::Duration;

use prost::Message;
use xds_proto::google::protobuf::{Any, Struct, Value, value::Kind};

use super::Decoding;
use super::invalid::{Checked, Invalid};
use super::payload::ExtensionPayload;

/// An extension's configuration under its own type, without its wrapper.
#[derive(Debug)]
pub(super) struct Extension<'a> {
    type_name: String,
    payload: Payload<'a>,
}

#[derive(Debug)]
enum Payload<'a> {
    Message(&'a [u8]),
    Fields(Struct),
}

/// `xds.type.v3.TypedStruct` and `udpa.type.v1.TypedStruct`, which are the same on the wire.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TypedStruct {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Struct>,
}

impl<'a> Extension<'a> {
    /// Unwraps `any`.
    pub(super) fn of(any: &'a Any) -> Checked<Self> {
        let type_name = after_last_slash(&any.type_url);
        if !TYPED_STRUCTS.contains(&type_name) {
            return Ok(Self { type_name: type_name.to_owned(), payload: Payload::Message(&any.value) });
        }
        let typed =
            TypedStruct::decode(any.value.as_slice()).map_err(|error| Invalid::new(error.to_string()))?;
        Ok(Self {
            type_name: after_last_slash(&typed.type_url).to_owned(),
            payload: Payload::Fields(typed.value.unwrap_or_default()),
        })
    }

    /// The message's full name, or the part after the last slash of a `TypedStruct`'s type URL.
    pub(super) fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The fields of a `TypedStruct`; `None` for a message.
    pub(super) fn fields(&self) -> Option<&Struct> {
        match &self.payload {
            Payload::Message(_) => None,
            Payload::Fields(fields) => Some(fields),
        }
    }

    /// Its content, for extensions of users.
    pub(super) fn payload<'b>(&'b self, context: &'b Decoding<'b>) -> ExtensionPayload<'b> {
        let payload = match &self.payload {
            Payload::Message(bytes) => ExtensionPayload::of_message(bytes),
            Payload::Fields(fields) => ExtensionPayload::of_struct(fields),
        };
        payload.with_context(context)
    }

    /// Decodes the message.
    pub(super) fn message<M: Message + Default>(&self) -> Checked<M> {
        match &self.payload {
            Payload::Message(bytes) => {
                M::decode(*bytes).map_err(|error| Invalid::new(format!("{}: {error}", self.type_name)))
            }
            Payload::Fields(_) => {
                Err(Invalid::new(format!("{} cannot be given as a TypedStruct", self.type_name)))
            }
        }
    }

    /// Checks that the message decodes; a `TypedStruct` always does.
    pub(super) fn well_formed<M: Message + Default>(&self) -> Checked<()> {
        match &self.payload {
            Payload::Message(_) => self.message::<M>().map(drop),
            Payload::Fields(_) => Ok(()),
        }
    }
}

/// A field of a `TypedStruct`, under any of its spellings.
pub(super) fn field<'a>(fields: &'a Struct, keys: &[&str]) -> Option<&'a Kind> {
    let kind = keys.iter().find_map(|key| fields.fields.get(*key))?.kind.as_ref()?;
    (!matches!(kind, Kind::NullValue(_))).then_some(kind)
}

/// A whole number of a `TypedStruct`: a number, or digits in a string, as proto JSON allows.
pub(super) fn number(fields: &Struct, keys: &[&str]) -> Checked<Option<u64>> {
    let wrong = || Invalid::at(keys[0], "expected a whole number of at most 2^53");
    match field(fields, keys) {
        None => Ok(None),
        Some(Kind::NumberValue(value)) if value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(value) => {
            Ok(Some(*value as u64))
        }
        Some(Kind::StringValue(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

/// A number of a `TypedStruct`.
pub(super) fn float(fields: &Struct, keys: &[&str]) -> Checked<Option<f64>> {
    match field(fields, keys) {
        None => Ok(None),
        Some(Kind::NumberValue(value)) => Ok(Some(*value)),
        Some(_) => Err(Invalid::at(keys[0], "expected a number")),
    }
}

/// True or false in a `TypedStruct`.
pub(super) fn flag(fields: &Struct, keys: &[&str]) -> Checked<Option<bool>> {
    match field(fields, keys) {
        None => Ok(None),
        Some(Kind::BoolValue(value)) => Ok(Some(*value)),
        Some(_) => Err(Invalid::at(keys[0], "expected true or false")),
    }
}

/// A duration of a `TypedStruct`: seconds and an `s` in a string, as in proto JSON.
pub(super) fn span(fields: &Struct, keys: &[&str]) -> Checked<Option<Duration>> {
    let wrong = || Invalid::at(keys[0], "expected a duration such as \"1.5s\"");
    let text = match field(fields, keys) {
        None => return Ok(None),
        Some(Kind::StringValue(text)) => text,
        Some(_) => return Err(wrong()),
    };
    let digits = text.strip_suffix('s').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let seconds: f64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| span.as_secs() <= MAX_SECONDS)
        .map(Some)
        .ok_or_else(wrong)
}

/// The fields of a message in a `TypedStruct`.
pub(super) fn section<'a>(fields: &'a Struct, keys: &[&str]) -> Checked<Option<&'a Struct>> {
    match field(fields, keys) {
        None => Ok(None),
        Some(Kind::StructValue(section)) => Ok(Some(section)),
        Some(_) => Err(Invalid::at(keys[0], "expected an object")),
    }
}

/// The strings of a list in a `TypedStruct`.
pub(super) fn strings(fields: &Struct, key: &str) -> Checked<Vec<String>> {
    strings_of(fields, &[key])
}

/// The strings of a list in a `TypedStruct`, under any of its spellings.
pub(super) fn strings_of(fields: &Struct, keys: &[&str]) -> Checked<Vec<String>> {
    let wrong = || Invalid::at(keys[0], "expected a list of strings");
    let text = |value: &Value| match &value.kind {
        Some(Kind::StringValue(text)) => Ok(text.clone()),
        _ => Err(wrong()),
    };
    match field(fields, keys) {
        None => Ok(Vec::new()),
        Some(Kind::ListValue(list)) => list.values.iter().map(text).collect(),
        Some(_) => Err(wrong()),
    }
}

fn after_last_slash(type_url: &str) -> &str {
    type_url.rsplit('/').next().unwrap_or_default()
}

const TYPED_STRUCTS: [&str; 2] = ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"];

/// The longest duration of proto JSON.
const MAX_SECONDS: u64 = 315_576_000_000;

/// 2^53: every whole number up to here is exact in the double that carries it.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
