//! The type of a message's resources, read from its first bytes.
//!
//! A `DiscoveryResponse` begins with its version and its first resource, which is an `Any` and begins with its type; a
//! `DeltaDiscoveryResponse` likewise, but its resources are wrapped. The message's own type comes after all of them.

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::transport::Variant;

/// What a stream's responses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Message {
    Sotw,
    Delta,
    LoadStats,
}

impl From<Variant> for Message {
    fn from(variant: Variant) -> Self {
        match variant {
            Variant::Sotw => Self::Sotw,
            Variant::Delta => Self::Delta,
        }
    }
}

/// The type of the resources of a message of which only the beginning is there.
pub(super) fn type_url(message: Message, mut start: &[u8]) -> Option<String> {
    let start = &mut start;
    match message {
        Message::LoadStats => Some(LOAD_STATS.to_owned()),
        Message::Sotw => match seek(start, &[RESOURCES, TYPE_URL])? {
            RESOURCES => {
                enter(start)?;
                any(start)
            }
            _ => text(start),
        },
        Message::Delta => match seek(start, &[RESOURCES, TYPE_URL])? {
            RESOURCES => {
                enter(start)?;
                wrapped(start)
            }
            _ => text(start),
        },
    }
}

/// Of an `Any`; of what is in it, if that is a wrapped resource.
fn any(start: &mut &[u8]) -> Option<String> {
    seek(start, &[ANY_TYPE])?;
    let name = text(start)?;
    if name != WRAPPER {
        return Some(name);
    }
    seek(start, &[ANY_VALUE])?;
    enter(start)?;
    wrapped(start)
}

/// Of a `Resource`.
fn wrapped(start: &mut &[u8]) -> Option<String> {
    seek(start, &[WRAPPED_RESOURCE])?;
    enter(start)?;
    seek(start, &[ANY_TYPE])?;
    text(start)
}

/// Goes on to the first of these fields, behind its key.
fn seek(start: &mut &[u8], wanted: &[u32]) -> Option<u32> {
    loop {
        let (field, wire_type) = decode_key(start).ok()?;
        match wire_type {
            WireType::LengthDelimited if wanted.contains(&field) => return Some(field),
            WireType::LengthDelimited => _ = bytes(start)?,
            WireType::Varint => _ = decode_varint(start).ok()?,
            _ => return None,
        }
    }
}

/// Into a message.
fn enter(start: &mut &[u8]) -> Option<()> {
    decode_varint(start).ok().map(drop)
}

fn text(start: &mut &[u8]) -> Option<String> {
    String::from_utf8(bytes(start)?.to_vec()).ok()
}

fn bytes<'a>(start: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(decode_varint(start).ok()?).ok()?;
    let (bytes, rest) = start.split_at_checked(length)?;
    *start = rest;
    Some(bytes)
}

/// Of both `DiscoveryResponse` and `DeltaDiscoveryResponse`.
const RESOURCES: u32 = 2;
const TYPE_URL: u32 = 4;

/// Of `Resource`.
const WRAPPED_RESOURCE: u32 = 2;

const ANY_TYPE: u32 = 1;
const ANY_VALUE: u32 = 2;

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/// A message without resources: what is large is itself.
const LOAD_STATS: &str = "type.googleapis.com/envoy.service.load_stats.v3.LoadStatsResponse";

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse, Resource};
    use xds_proto::google::protobuf::Any;

    use super::*;

    fn any(type_url: &str, value: Vec<u8>) -> Any {
        Any { type_url: type_url.to_owned(), value }
    }

    fn wrapped() -> Resource {
        let resource = Some(any("type/Cluster", vec![0; 5_000]));
        Resource { name: "a".to_owned(), version: "1".to_owned(), resource, ..Resource::default() }
    }

    fn sotw(resources: Vec<Any>) -> Vec<u8> {
        let (version_info, type_url) = ("v1".to_owned(), "type/Own".to_owned());
        DiscoveryResponse { version_info, resources, type_url, ..DiscoveryResponse::default() }
            .encode_to_vec()
    }

    fn delta(resources: Vec<Resource>) -> Vec<u8> {
        let (system_version_info, type_url) = ("v1".to_owned(), "type/Own".to_owned());
        let removed_resources = vec!["gone".to_owned(); 1_000];
        DeltaDiscoveryResponse {
            system_version_info,
            resources,
            type_url,
            removed_resources,
            ..DeltaDiscoveryResponse::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn type_url_is_read_from_the_first_bytes() {
        let wrapper = any(WRAPPER, wrapped().encode_to_vec());
        let rows = [
            (Message::Sotw, sotw(vec![any("type/Cluster", vec![0; 5_000])]), "type/Cluster"),
            (Message::Sotw, sotw(vec![wrapper]), "type/Cluster"),
            (Message::Sotw, sotw(vec![]), "type/Own"),
            (Message::Delta, delta(vec![wrapped()]), "type/Cluster"),
            (Message::Delta, delta(vec![]), "type/Own"),
            (Message::LoadStats, vec![0; 10], LOAD_STATS),
        ];
        for (index, (message, bytes, expected)) in rows.into_iter().enumerate() {
            let start = &bytes[..bytes.len().min(200)];
            assert_eq!(type_url(message, start).as_deref(), Some(expected), "row {index}");
        }
    }

    #[test]
    fn unreadable_message_has_no_type() {
        for start in [&b""[..], b"\xff\xff", b"\x12\x05\x0a\xff", b"\x0d1234", b"\x12\x05\x12\x03\x0a\xff"] {
            for message in [Message::Sotw, Message::Delta] {
                assert_eq!(type_url(message, start), None, "{start:?}");
            }
        }
    }
}
