//! Encodes a response around resources that are encoded already.
//!
//! The generated messages own their bytes, so every client would get its own copy of every resource.

use std::sync::Arc;

use bytes::{Buf as _, BufMut};
use prost::{encode_length_delimiter, length_delimiter_len};
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::stream::{Limits, Protocol, Request};
use super::unread_request::excess;
use crate::resources::{EncodedResource, ResourceKind};

/// An `envoy.service.discovery.v3.DiscoveryResponse` or `DeltaDiscoveryResponse`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) protocol: Protocol,
    pub(super) kind: ResourceKind,
    pub(super) version: Arc<str>,
    pub(super) nonce: Arc<str>,
    pub(super) resources: Vec<Arc<EncodedResource>>,
    /// Names that do not exist: `removed_resources`, and under SotW `resource_errors`, which older clients
    /// ignore (CS-14).
    pub(super) removed: Vec<Arc<str>>,
}

impl Response {
    pub(super) fn encoded_len(&self) -> usize {
        let resources = self.resources.iter().map(|resource| field_len(self.resource_len(resource)));
        let removed = self.removed.iter().map(|name| field_len(self.removed_len(name)));
        field_len(self.version.len())
            + resources.sum::<usize>()
            + field_len(self.kind.type_url().len())
            + field_len(self.nonce.len())
            + removed.sum::<usize>()
    }

    fn any_len(&self, resource: &EncodedResource) -> usize {
        field_len(self.kind.type_url().len()) + field_len(resource.bytes.len())
    }

    pub(super) fn resource_len(&self, resource: &EncodedResource) -> usize {
        let any = self.any_len(resource);
        match self.protocol {
            Protocol::Sotw => any,
            Protocol::Delta => {
                field_len(resource.version.len()) + field_len(any) + field_len(resource.name.len())
            }
        }
    }

    /// The `Any`, under delta in an `envoy.service.discovery.v3.Resource`, up to its bytes, which come last.
    pub(super) fn put_resource(
        &self,
        resource: &EncodedResource,
        buf: &mut impl BufMut,
    ) -> Result<(), prost::EncodeError> {
        put_header(2, self.resource_len(resource), buf)?;
        if self.protocol == Protocol::Delta {
            put_field(1, resource.version.as_bytes(), buf)?;
            put_field(3, resource.name.as_bytes(), buf)?;
            put_header(2, self.any_len(resource), buf)?;
        }
        put_field(1, self.kind.type_url().as_bytes(), buf)?;
        put_header(2, resource.bytes.len(), buf)
    }

    pub(super) fn removed_len(&self, name: &str) -> usize {
        match self.protocol {
            Protocol::Sotw => field_len(field_len(name.len())) + field_len(NOT_FOUND.len()),
            Protocol::Delta => name.len(),
        }
    }

    /// A name, under SotW in an `envoy.service.discovery.v3.ResourceError`.
    pub(super) fn put_removed(&self, name: &str, buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
        match self.protocol {
            Protocol::Sotw => {
                put_header(7, self.removed_len(name), buf)?;
                put_header(1, field_len(name.len()), buf)?;
                put_field(1, name.as_bytes(), buf)?;
                put_field(2, NOT_FOUND, buf)
            }
            Protocol::Delta => put_field(6, name.as_bytes(), buf),
        }
    }
}

/// A `google.rpc.Status`: code 5 and a message.
const NOT_FOUND: &[u8] = b"\x08\x05\x12\x20the resource does not exist here";

/// Length of a length-delimited field whose number is below 16.
pub(super) fn field_len(content: usize) -> usize {
    1 + length_delimiter_len(content) + content
}

fn put_header(number: u8, length: usize, buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
    const LENGTH_DELIMITED: u8 = 2;
    buf.put_u8(number << 3 | LENGTH_DELIMITED);
    encode_length_delimiter(length, buf)
}

pub(super) fn put_field(number: u8, content: &[u8], buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
    put_header(number, content.len(), buf)?;
    buf.put_slice(content);
    Ok(())
}

/// Reads requests of one variant. A request beyond a limit is not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestDecoder(pub(super) Protocol, pub(super) Limits);

impl Decoder for RequestDecoder {
    type Item = Request;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Request>, Status> {
        // A message is in one piece.
        if let Some(refusal) = excess(self.0, &self.1, buf.chunk()) {
            buf.advance(buf.remaining());
            return Ok(Some(Request::refused(refusal)));
        }
        let decoded = match self.0 {
            Protocol::Sotw => <DiscoveryRequest as prost::Message>::decode(buf).map(Request::from),
            Protocol::Delta => <DeltaDiscoveryRequest as prost::Message>::decode(buf).map(Request::from),
        };
        decoded
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("not a discovery request: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use prost::Message;
    use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

    use super::*;
    use crate::discovery::pieces::{PIECE, Pieces, SHARED};

    fn encoded(protocol: Protocol, lengths: &[usize], removed: &[&str]) -> Vec<u8> {
        let resource = |(index, length): (usize, &usize)| {
            Arc::new(EncodedResource {
                name: format!("name-{index}").into(),
                version: "v".into(),
                bytes: Bytes::from(vec![7; *length]),
                made_by: Arc::default(),
                rules: None,
            })
        };
        let response = Response {
            protocol,
            kind: ResourceKind::Listener,
            version: "0123456789abcdef".into(),
            nonce: "1".into(),
            resources: lengths.iter().enumerate().map(resource).collect(),
            removed: removed.iter().map(|name| Arc::from(*name)).collect(),
        };
        let (expected, resources) = (response.encoded_len(), response.resources.clone());
        let (mut pieces, mut bytes) = (Pieces::new(response), Vec::new());
        while pieces.left() > 0 {
            let (room, mut piece) = (pieces.room(), BytesMut::new());
            let shared = pieces.put(&mut piece).unwrap();
            assert_eq!(piece.len(), room);
            assert!(piece.len() < PIECE + SHARED + 1_000, "{}", piece.len());
            bytes.extend_from_slice(&piece);
            if let Some(shared) = shared {
                assert!(resources.iter().any(|one| one.bytes.as_ptr() == shared.as_ptr()), "copied");
                bytes.extend_from_slice(&shared);
            }
            assert_eq!(bytes.len() + pieces.left(), expected);
        }
        bytes
    }

    const LENGTHS: [&[usize]; 6] =
        [&[], &[0], &[1, 127, 128], &[70_000, 3], &[3, SHARED, SHARED - 1, SHARED], &[SHARED - 1; 100]];
    const REMOVED: [&[&str]; 6] = [&["gone", "x"], &[], &[""], &[], &["gone"; 5_000], &["x"]];

    #[test]
    fn hand_written_bytes_decode_as_the_message() {
        for (lengths, removed) in LENGTHS.into_iter().zip(REMOVED) {
            let decoded = DiscoveryResponse::decode(&encoded(Protocol::Sotw, lengths, removed)[..]).unwrap();
            assert_eq!(decoded.version_info, "0123456789abcdef");
            assert_eq!(decoded.nonce, "1");
            assert_eq!(decoded.type_url, ResourceKind::Listener.type_url());
            let found: Vec<usize> = decoded.resources.iter().map(|any| any.value.len()).collect();
            assert_eq!(found, lengths);
            assert!(decoded.resources.iter().all(|any| any.type_url == decoded.type_url));
            let errors = decoded.resource_errors.into_iter();
            let names: Vec<_> = errors
                .map(|error| {
                    let status = error.error_detail.unwrap();
                    assert_eq!((status.code, &*status.message), (5, "the resource does not exist here"));
                    error.resource_name.unwrap().name
                })
                .collect();
            assert_eq!(names, removed);
        }
    }

    #[test]
    fn hand_written_bytes_decode_as_the_delta_message() {
        for (lengths, removed) in LENGTHS.into_iter().zip(REMOVED) {
            let bytes = encoded(Protocol::Delta, lengths, removed);
            let decoded = DeltaDiscoveryResponse::decode(&bytes[..]).unwrap();
            assert_eq!(decoded.system_version_info, "0123456789abcdef");
            assert_eq!(decoded.nonce, "1");
            assert_eq!(decoded.type_url, ResourceKind::Listener.type_url());
            assert_eq!(decoded.removed_resources, removed);
            assert!(decoded.resource_errors.is_empty());
            for (index, (resource, length)) in decoded.resources.iter().zip(lengths).enumerate() {
                assert_eq!((&*resource.name, &*resource.version), (&*format!("name-{index}"), "v"));
                let any = resource.resource.as_ref().unwrap();
                assert_eq!((any.value.len(), &any.type_url), (*length, &decoded.type_url));
            }
            assert_eq!(decoded.resources.len(), lengths.len());
        }
    }
}
