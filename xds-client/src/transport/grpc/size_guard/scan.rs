//! Follows the messages of a body.

use super::type_url::{Message, type_url};
use crate::transport::TransportError;

#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Fine,
    /// A message is too large, and what has come of it does not say of which type it is.
    Unclear,
    TooLarge(TransportError),
}

/// Follows the messages of a body, all of one kind.
#[derive(Debug)]
pub(super) struct Scan {
    message: Message,
    limit: usize,
    head: Vec<u8>,
    /// Of the current message, still to come.
    rest: usize,
    /// The beginning of a message that is too large.
    large: Option<(usize, Vec<u8>)>,
}

impl Scan {
    pub(super) fn new(message: Message, limit: usize) -> Self {
        Self { message, limit, head: Vec::with_capacity(HEAD), rest: 0, large: None }
    }

    /// What the data come to, and how many of them are of messages that are not too large.
    pub(super) fn feed(&mut self, mut data: &[u8]) -> (usize, Verdict) {
        let size = data.len();
        let mut fine = if self.large.is_none() { size } else { 0 };
        while !data.is_empty() && self.large.is_none() {
            let (skipped, left) = data.split_at(self.rest.min(data.len()));
            self.rest -= skipped.len();
            let begins = size - left.len();
            let (head, left) = left.split_at((HEAD - self.head.len()).min(left.len()));
            self.head.extend_from_slice(head);
            data = left;
            if let [_compressed, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.head.clear();
                match size > self.limit {
                    true => {
                        self.large = Some((size, Vec::new()));
                        fine = begins;
                    }
                    false => self.rest = size,
                }
            }
        }
        let Some((size, start)) = &mut self.large else { return (fine, Verdict::Fine) };
        start.extend_from_slice(&data[..data.len().min(START - start.len())]);
        match start.len() < START.min(*size) {
            true => (fine, Verdict::Unclear),
            false => (fine, self.end()),
        }
    }

    pub(super) fn end(&mut self) -> Verdict {
        let Some((size, start)) = self.large.take() else { return Verdict::Fine };
        let type_url = type_url(self.message, &start).unwrap_or_else(|| "unknown".to_owned());
        Verdict::TooLarge(TransportError::MessageTooLarge { type_url, size, limit: self.limit })
    }
}

/// The head of a gRPC message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// How much of a large message is looked at.
const START: usize = 1024;

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use xds_proto::envoy::service::discovery::v3::DiscoveryResponse;
    use xds_proto::google::protobuf::Any;

    use super::*;

    fn message(bytes: usize) -> Vec<u8> {
        let any = Any { type_url: "type/Cluster".to_owned(), value: vec![0; bytes] };
        let response = DiscoveryResponse {
            version_info: "v1".to_owned(),
            resources: vec![any.clone(), any],
            ..DiscoveryResponse::default()
        };
        let body = response.encode_to_vec();
        let mut message = vec![0];
        message.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn large_message_is_found_in_pieces_of_any_size() {
        let mut stream = message(10);
        stream.extend(message(100));
        let fine = stream.len();
        stream.extend(message(5_000));
        for piece in [1, 2, 3, 5, 7, 64, 1_000, 100_000] {
            let mut scan = Scan::new(Message::Sotw, 1_000);
            let (mut fed, mut passed) = (0, 0);
            let error = stream.chunks(piece).find_map(|chunk| {
                fed += chunk.len();
                let (whole, verdict) = scan.feed(chunk);
                passed += whole;
                match verdict {
                    Verdict::TooLarge(error) => Some(error),
                    Verdict::Fine => None,
                    Verdict::Unclear => {
                        assert!(fed >= fine + HEAD, "held back too early");
                        None
                    }
                }
            });
            let size = stream.len() - fine - HEAD;
            let expected =
                TransportError::MessageTooLarge { type_url: "type/Cluster".to_owned(), size, limit: 1_000 };
            assert_eq!(error, Some(expected), "pieces of {piece}");
            assert!(
                (fine..fine + HEAD).contains(&passed),
                "{passed} of {fine} are passed on, pieces of {piece}"
            );
            assert!(fed <= fine + HEAD + START + piece, "not all of it is read");
        }
    }
}
