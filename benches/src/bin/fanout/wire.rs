//! As much of the xDS messages as a simulated client needs, by hand: decoding thousands of responses in full would
//! measure the clients.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The types that a client subscribes to, in the order of [`names`](super::folder::names).
pub(crate) const TYPES: [&str; 5] = [
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint",
];
/// The first type that is told of a changed endpoint, among [`TYPES`].
pub(crate) const ENDPOINTS: usize = 3;
/// Endpoints each on its own, among [`TYPES`]: only for clients that know collections.
pub(crate) const LB_ENDPOINT: usize = 4;

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}

/// A request of either variant.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    /// Of the node; empty: left out.
    pub(crate) node_id: &'a str,
    /// The namespace that the node says it is of; empty: none.
    pub(crate) namespace: &'a str,
    /// Of the node.
    pub(crate) features: &'a [&'a str],
    pub(crate) type_url: &'a str,
    /// SotW: the whole subscription; delta: what is added.
    pub(crate) names: &'a [String],
    /// SotW only.
    pub(crate) version: &'a str,
    pub(crate) nonce: &'a str,
}

impl Request<'_> {
    /// As a `DiscoveryRequest` or a `DeltaDiscoveryRequest`.
    pub(crate) fn encode(&self, delta: bool) -> Bytes {
        let mut buf = BytesMut::new();
        let (node, type_url, nonce) = if delta { (1, 2, 6) } else { (2, 4, 5) };
        if !self.node_id.is_empty() {
            let mut message = BytesMut::new();
            put(&mut message, 1, self.node_id.as_bytes());
            put(&mut message, 3, &metadata("NAMESPACE", self.namespace));
            self.features.iter().for_each(|feature| put(&mut message, 10, feature.as_bytes()));
            put(&mut buf, node, &message);
        }
        if !delta {
            put(&mut buf, 1, self.version.as_bytes());
        }
        put(&mut buf, type_url, self.type_url.as_bytes());
        self.names.iter().for_each(|name| put(&mut buf, 3, name.as_bytes()));
        put(&mut buf, nonce, self.nonce.as_bytes());
        buf.freeze()
    }
}

/// What a client looks at in a response.
#[derive(Debug, Default)]
pub(crate) struct Response {
    /// Among [`TYPES`].
    pub(crate) kind: usize,
    pub(crate) version: String,
    pub(crate) nonce: String,
    /// Names of its resources: of all under delta, of endpoints under SotW.
    pub(crate) names: Vec<String>,
}

impl Response {
    /// Reads a `DiscoveryResponse` or a `DeltaDiscoveryResponse`; `None` if it is none.
    pub(crate) fn decode(message: &[u8], delta: bool) -> Option<Self> {
        let mut response = Self::default();
        for field in fields(message) {
            let (number, content) = field?;
            match number {
                1 => response.version = text(content)?,
                2 if delta => response.names.push(text(first(content, 3)?)?),
                // The first field of endpoints is the cluster's name.
                2 => response.names.extend(first(first(content, 2)?, 1).and_then(text)),
                4 => response.kind = TYPES.iter().position(|known| known.as_bytes() == content)?,
                5 => response.nonce = text(content)?,
                _ => {}
            }
        }
        Some(response)
    }
}

fn text(content: &[u8]) -> Option<String> {
    String::from_utf8(content.to_vec()).ok()
}

fn first(message: &[u8], number: u64) -> Option<&[u8]> {
    fields(message).flatten().find(|(found, _)| *found == number).map(|(_, content)| content)
}

/// The length-delimited fields of a message; `None` where it cannot be read any further.
fn fields(mut message: &[u8]) -> impl Iterator<Item = Option<(u64, &[u8])>> {
    std::iter::from_fn(move || {
        while !message.is_empty() {
            let Some((key, value)) = varint(&mut message).zip(varint(&mut message)) else {
                message = &[];
                return Some(None);
            };
            match key & 7 {
                0 => {}
                2 => {
                    let found =
                        usize::try_from(value).ok().and_then(|length| message.split_at_checked(length));
                    message = found.map_or(&[], |(_, rest)| rest);
                    return Some(found.map(|(content, _)| (key >> 3, content)));
                }
                _ => {
                    message = &[];
                    return Some(None);
                }
            }
        }
        None
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A `Struct` with one text; nothing if that is empty.
fn metadata(key: &str, text: &str) -> BytesMut {
    let (mut value, mut entry, mut all) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    if !text.is_empty() {
        put(&mut value, 3, text.as_bytes());
        put(&mut entry, 1, key.as_bytes());
        put(&mut entry, 2, &value);
        put(&mut all, 1, &entry);
    }
    all
}

/// A length-delimited field; nothing if it is empty.
fn put(buf: &mut BytesMut, number: u8, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    buf.put_u8(number << 3 | 2);
    let mut length = content.len();
    while length >= 0x80 {
        buf.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    buf.put_u8(length as u8);
    buf.put_slice(content);
}
