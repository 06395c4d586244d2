//! Shared parts of this module's tables.

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::Name;
use prost::Message;
use serde_json::Value;
use xds_proto::envoy::config::core::v3 as core;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::google::protobuf as wkt;
use xds_proto::google::protobuf::value::Kind;

use super::extension::TypedStruct;
use super::{DecodeContext, DecodeError, ResourceType};

pub(super) use xds_proto::pack_any;

/// The expected result of a row: accepted, or refused at this field with a reason that contains this text.
pub(super) type Expected = Result<(), (&'static str, &'static str)>;

/// A row: its rule and name, the change of a valid message, and the expected result.
pub(super) type Row<M> = (&'static str, fn(&mut M), Expected);

pub(super) const OK: Expected = Ok(());

/// Decodes a message to the value of its type.
pub(super) fn decode<T: Send + Sync + 'static>(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    message: &impl Message,
) -> Result<Arc<T>, DecodeError> {
    let (_, value) = resource_type.decode(context, None, &Bytes::from(message.encode_to_vec()))?;
    Ok(value.downcast().expect("each type makes one type of value"))
}

/// Runs a table over changes of `good`.
#[track_caller]
pub(super) fn check<M: Message + Clone>(resource_type: &dyn ResourceType, good: &M, rows: &[Row<M>]) {
    check_as(resource_type, None, good, rows);
}

/// The same for messages that were sent under this name.
#[track_caller]
pub(super) fn check_as<M: Message + Clone>(
    resource_type: &dyn ResourceType,
    name: Option<&Name>,
    good: &M,
    rows: &[Row<M>],
) {
    let context = DecodeContext::default();
    for (row, change, expected) in rows {
        let mut message = good.clone();
        change(&mut message);
        let result = resource_type.decode(&context, name, &Bytes::from(message.encode_to_vec()));
        match (result, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err((field, reason))) => {
                assert_eq!(error.field, *field, "{row}: field, with reason {:?}", error.reason);
                assert!(error.reason.contains(reason), "{row}: {:?} lacks {reason:?}", error.reason);
                let type_name = resource_type.type_url().rsplit('.').next();
                assert_eq!(Some(error.type_name), type_name, "{row}");
            }
            (Ok(_), Err(expected)) => panic!("{row}: accepted, expected {expected:?}"),
            (Err(error), Ok(())) => panic!("{row}: {error}"),
        }
    }
}

pub(super) fn seconds(seconds: i64) -> Option<wkt::Duration> {
    Some(wkt::Duration { seconds, nanos: 0 })
}

pub(super) fn millis(millis: i32) -> Option<wkt::Duration> {
    Some(wkt::Duration { seconds: 0, nanos: millis * 1_000_000 })
}

pub(super) fn bool_value(value: bool) -> Option<wkt::BoolValue> {
    Some(wkt::BoolValue { value })
}

pub(super) fn u32_value(value: u32) -> Option<wkt::UInt32Value> {
    Some(wkt::UInt32Value { value })
}

/// A source of this kind.
pub(super) fn source(specifier: ConfigSourceSpecifier) -> Option<core::ConfigSource> {
    Some(core::ConfigSource { config_source_specifier: Some(specifier), ..Default::default() })
}

pub(super) fn ads() -> Option<core::ConfigSource> {
    source(ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {}))
}

pub(super) fn from_self() -> Option<core::ConfigSource> {
    source(ConfigSourceSpecifier::Self_(core::SelfConfigSource::default()))
}

pub(super) fn elsewhere() -> Option<core::ConfigSource> {
    source(ConfigSourceSpecifier::ApiConfigSource(core::ApiConfigSource::default()))
}

pub(super) fn address(host: &str, port: u32) -> Option<core::Address> {
    let socket = core::SocketAddress {
        address: host.into(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

pub(super) fn pipe() -> Option<core::Address> {
    let pipe = core::Pipe { path: "/run/x".into(), mode: 0 };
    Some(core::Address { address: Some(core::address::Address::Pipe(pipe)) })
}

/// An unknown type.
pub(super) fn unknown_any() -> wkt::Any {
    wkt::Any { type_url: "type.googleapis.com/example.Unknown".into(), value: vec![0xff; 7] }
}

/// A known type with bytes that are not a message.
pub(super) fn broken_any<M: prost::Name>() -> wkt::Any {
    wkt::Any { type_url: M::type_url(), value: vec![0xff; 7] }
}

/// A `TypedStruct` of the package `xds` or `udpa`, around a type.
pub(super) fn typed_struct(package: &str, inner: &str, fields: Value) -> wkt::Any {
    let inner =
        TypedStruct { type_url: format!("type.googleapis.com/{inner}"), value: Some(to_struct(fields)) };
    wkt::Any { type_url: format!("type.googleapis.com/{package}.TypedStruct"), value: inner.encode_to_vec() }
}

pub(super) fn to_struct(fields: Value) -> wkt::Struct {
    let Value::Object(fields) = fields else { panic!("an object is needed") };
    wkt::Struct { fields: fields.into_iter().map(|(key, value)| (key, to_value(value))).collect() }
}

fn to_value(value: Value) -> wkt::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().expect("a number in a test is small")),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(values) => {
            Kind::ListValue(wkt::ListValue { values: values.into_iter().map(to_value).collect() })
        }
        Value::Object(_) => Kind::StructValue(to_struct(value)),
    };
    wkt::Value { kind: Some(kind) }
}

/// Metadata with one untyped entry.
pub(super) fn metadata(key: &str, fields: Value) -> Option<core::Metadata> {
    let filter_metadata = [(key.to_owned(), to_struct(fields))].into();
    Some(core::Metadata { filter_metadata, ..Default::default() })
}

/// The same with a typed entry under the same key.
pub(super) fn typed_metadata(key: &str, fields: Value, any: wkt::Any) -> Option<core::Metadata> {
    let mut metadata = metadata(key, fields);
    metadata.as_mut()?.typed_filter_metadata.insert(key.to_owned(), any);
    metadata
}

/// A transport socket by the last part of its name.
pub(super) fn transport_socket(name: &str, any: wkt::Any) -> Option<core::TransportSocket> {
    let config_type = Some(core::transport_socket::ConfigType::TypedConfig(any));
    Some(core::TransportSocket { name: format!("envoy.transport_sockets.{name}"), config_type })
}
