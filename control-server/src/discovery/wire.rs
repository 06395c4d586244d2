//! A response and how it is written: pre-encoded resources go straight into the connection's buffer.
//!
//! The generated `DiscoveryResponse` owns its bytes, so that every client would get its own copy of every resource.
//! Writing the few fields by hand leaves one copy per client, the one into the buffer.

use std::sync::Arc;

use bytes::BufMut;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use prost::{encode_length_delimiter, length_delimiter_len};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::resources::{EncodedResource, ResourceKind};

/// An `envoy.service.discovery.v3.DiscoveryResponse`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) kind: ResourceKind,
    pub(super) version: Arc<str>,
    pub(super) nonce: Arc<str>,
    pub(super) resources: Vec<Arc<EncodedResource>>,
}

impl Response {
    fn encoded_len(&self) -> usize {
        let type_url = self.kind.type_url().len();
        let resources = self.resources.iter().map(|resource| field_len(any_len(type_url, resource)));
        field_len(self.version.len())
            + resources.sum::<usize>()
            + field_len(type_url)
            + field_len(self.nonce.len())
    }

    fn encode(&self, buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
        let type_url = self.kind.type_url().as_bytes();
        put_field(1, self.version.as_bytes(), buf)?;
        for resource in &self.resources {
            put_header(2, any_len(type_url.len(), resource), buf)?;
            put_field(1, type_url, buf)?;
            put_field(2, &resource.bytes, buf)?;
        }
        put_field(4, type_url, buf)?;
        put_field(5, self.nonce.as_bytes(), buf)
    }
}

/// Length of a `google.protobuf.Any` around a resource.
fn any_len(type_url: usize, resource: &EncodedResource) -> usize {
    field_len(type_url) + field_len(resource.bytes.len())
}

/// Length of a length-delimited field whose number is below 16.
fn field_len(content: usize) -> usize {
    1 + length_delimiter_len(content) + content
}

fn put_header(number: u8, length: usize, buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
    const LENGTH_DELIMITED: u8 = 2;
    buf.put_u8(number << 3 | LENGTH_DELIMITED);
    encode_length_delimiter(length, buf)
}

fn put_field(number: u8, content: &[u8], buf: &mut impl BufMut) -> Result<(), prost::EncodeError> {
    put_header(number, content.len(), buf)?;
    buf.put_slice(content);
    Ok(())
}

/// Reads requests and writes [`Response`]s.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DiscoveryCodec;

impl Codec for DiscoveryCodec {
    type Encode = Response;
    type Decode = DiscoveryRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for DiscoveryCodec {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, response: Response, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(response.encoded_len());
        response.encode(buf).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DiscoveryCodec {
    type Item = DiscoveryRequest;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<DiscoveryRequest>, Status> {
        prost::Message::decode(buf)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("not a DiscoveryRequest: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
    use prost::Message;

    use super::*;

    #[test]
    fn hand_written_bytes_decode_as_the_message() {
        let resource = |name: &str, length| {
            Arc::new(EncodedResource {
                name: name.into(),
                version: "v".into(),
                bytes: Bytes::from(vec![7; length]),
            })
        };
        for lengths in [vec![], vec![0], vec![1, 127, 128], vec![70_000, 3]] {
            let response = Response {
                kind: ResourceKind::Listener,
                version: "0123456789abcdef".into(),
                nonce: "1".into(),
                resources: lengths.iter().map(|length| resource("a", *length)).collect(),
            };
            let mut bytes = Vec::new();
            response.encode(&mut bytes).unwrap();
            assert_eq!(bytes.len(), response.encoded_len());
            let decoded = DiscoveryResponse::decode(&bytes[..]).unwrap();
            assert_eq!(decoded.version_info, "0123456789abcdef");
            assert_eq!(decoded.nonce, "1");
            assert_eq!(decoded.type_url, ResourceKind::Listener.type_url());
            let found: Vec<usize> = decoded.resources.iter().map(|any| any.value.len()).collect();
            assert_eq!(found, lengths);
            assert!(decoded.resources.iter().all(|any| any.type_url == decoded.type_url));
        }
    }
}
