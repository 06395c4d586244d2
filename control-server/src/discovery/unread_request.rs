//! Counts the content of a request in its bytes.
//!
//! Decoding allocates for every name, and for every entry of the node: megabytes of the smallest entries become gigabytes. So a
//! request beyond a limit is refused without being decoded.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::stream::{Limits, Protocol, Refusal};

/// The limit that a request exceeds. Bytes that are no message end the count: decoding refuses them.
pub(super) fn excess(protocol: Protocol, limits: &Limits, bytes: &[u8]) -> Option<Refusal> {
    let (mut seen, mut rest) = (Seen::default(), bytes);
    while let Some((number, length)) = next_field(&mut rest) {
        seen.add(Field::of(protocol, number), length);
    }
    seen.excess(limits)
}

/// The number of the next field and the length of its content; `None` at the end, and where there is no field.
fn next_field(rest: &mut &[u8]) -> Option<(u32, usize)> {
    let (number, wire_type) = decode_key(rest).ok()?;
    let length = match wire_type {
        WireType::LengthDelimited => usize::try_from(decode_varint(rest).ok()?).ok()?,
        WireType::Varint => decode_varint(rest).ok().map(|_| 0)?,
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        // No field of a request is a group.
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    *rest = rest.get(length..)?;
    Some((number, length))
}

/// A field whose content is bounded.
#[derive(Clone, Copy)]
enum Field {
    Node,
    Subscribed,
    Unsubscribed,
    Held,
    Reason,
    Other,
}

impl Field {
    fn of(protocol: Protocol, number: u32) -> Self {
        match (protocol, number) {
            (Protocol::Sotw, 2) | (Protocol::Delta, 1) => Self::Node,
            (Protocol::Sotw | Protocol::Delta, 3) => Self::Subscribed,
            (Protocol::Delta, 4) => Self::Unsubscribed,
            (Protocol::Delta, 5) => Self::Held,
            (Protocol::Sotw, 6) | (Protocol::Delta, 7) => Self::Reason,
            _ => Self::Other,
        }
    }
}

/// The content of a request so far.
#[derive(Default)]
struct Seen {
    node_bytes: usize,
    subscribed: usize,
    unsubscribed: usize,
    held: usize,
    reason_bytes: usize,
}

impl Seen {
    fn add(&mut self, field: Field, length: usize) {
        match field {
            Field::Node => self.node_bytes = self.node_bytes.saturating_add(length),
            Field::Subscribed => self.subscribed += 1,
            Field::Unsubscribed => self.unsubscribed += 1,
            Field::Held => self.held += 1,
            Field::Reason => self.reason_bytes = self.reason_bytes.saturating_add(length),
            Field::Other => {}
        }
    }

    fn excess(&self, limits: &Limits) -> Option<Refusal> {
        let names =
            [(self.subscribed, limits.names), (self.unsubscribed, limits.names), (self.held, limits.held)];
        if let Some((found, limit)) = names.into_iter().find(|(found, limit)| found > limit) {
            return Some(Refusal::RequestNames { found, limit });
        }
        let (found, limit) = (self.node_bytes, limits.node_bytes);
        if found > limit {
            return Some(Refusal::Node { found, limit });
        }
        let (found, limit) = (self.reason_bytes, limits.reason_bytes);
        (found > limit).then_some(Refusal::Reason { found, limit })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use xds_proto::envoy::config::core::v3::Node;
    use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
    use xds_proto::google::rpc::Status;

    use super::*;

    fn sotw(request: &DiscoveryRequest) -> Option<Refusal> {
        excess(Protocol::Sotw, &Limits::default(), &request.encode_to_vec())
    }

    fn delta(request: &DeltaDiscoveryRequest) -> Option<Refusal> {
        excess(Protocol::Delta, &Limits::default(), &request.encode_to_vec())
    }

    fn names(count: usize) -> Vec<String> {
        vec![String::new(); count]
    }

    #[test]
    fn names_beyond_the_limit_are_found_in_both_variants() {
        let Limits { names: limit, held, .. } = Limits::default();
        let too_many = Some(Refusal::RequestNames { found: limit + 1, limit });
        for (count, expected) in [(limit, None), (limit + 1, too_many)] {
            let type_url = "type.googleapis.com/a".to_owned();
            let request = DiscoveryRequest { type_url, resource_names: names(count), ..Default::default() };
            assert_eq!(sotw(&request), expected, "{count}");
            let request =
                DeltaDiscoveryRequest { resource_names_subscribe: names(count), ..Default::default() };
            assert_eq!(delta(&request), expected, "{count}");
            let request =
                DeltaDiscoveryRequest { resource_names_unsubscribe: names(count), ..Default::default() };
            assert_eq!(delta(&request), expected, "{count}");
        }
        let holds = |count: usize| DeltaDiscoveryRequest {
            initial_resource_versions: (0..count).map(|one| (one.to_string(), "1".to_owned())).collect(),
            ..Default::default()
        };
        assert_eq!(delta(&holds(held)), None);
        assert_eq!(delta(&holds(held + 1)), Some(Refusal::RequestNames { found: held + 1, limit: held }));
    }

    #[test]
    fn node_and_reason_are_bounded_in_bytes() {
        let node = Node { client_features: names(40_000), ..Node::default() };
        let request = DiscoveryRequest { node: Some(node), ..Default::default() };
        assert!(matches!(sotw(&request), Some(Refusal::Node { found: 80_000, .. })), "{:?}", sotw(&request));
        let status = |length| Some(Status { message: "x".repeat(length), ..Status::default() });
        let request = |length| DeltaDiscoveryRequest { error_detail: status(length), ..Default::default() };
        assert_eq!(delta(&request(1000)), None);
        assert!(matches!(delta(&request(2 << 20)), Some(Refusal::Reason { .. })));
    }

    #[test]
    fn bytes_that_are_no_message_are_left_to_the_decoder() {
        for bytes in
            [&b"\xff"[..], b"\x1a\x7f", b"\x1b", b"\x0d\x00", b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"]
        {
            assert_eq!(excess(Protocol::Sotw, &Limits::default(), bytes), None, "{bytes:?}");
        }
    }
}
