//! Ends a stream at the head of a message that is too large, with an error that says of which type it is.
//!
//! tonic has a limit of its own, but knows only the size. A gRPC message begins with five bytes, the last four its
//! length; a `DiscoveryResponse` begins with its version and its first resource, and that with its type.

use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use prost::encoding::{WireType, decode_key, decode_varint};
use tower_service::Service;

use super::Failure;
use crate::transport::TransportError;

/// A connection whose response bodies are watched.
#[derive(Debug, Clone)]
pub(super) struct SizeGuard<S> {
    inner: S,
    limit: usize,
    failure: Failure,
}

impl<S> SizeGuard<S> {
    pub(super) fn new(inner: S, limit: usize, failure: Failure) -> Self {
        Self { inner, limit, failure }
    }
}

impl<S, B, R> Service<Request<B>> for SizeGuard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let scan = Scan::new(self.limit);
        GuardedFuture { inner: self.inner.call(request), watch: Some((scan, self.failure.clone())) }
    }
}

pin_project! {
    /// The response's head.
    pub(super) struct GuardedFuture<F> {
        #[pin]
        inner: F,
        watch: Option<(Scan, Failure)>,
    }
}

impl<F, R, E> Future for GuardedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<GuardedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let (scan, failure) = this.watch.take().expect("a future is not polled after it is ready");
        Poll::Ready(Ok(response.map(|inner| GuardedBody { inner, scan, failure })))
    }
}

pin_project! {
    /// A response's body.
    pub(super) struct GuardedBody<B> {
        #[pin]
        inner: B,
        scan: Scan,
        failure: Failure,
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        loop {
            let frame = ready!(this.inner.as_mut().poll_frame(cx));
            let verdict = match frame.as_ref() {
                Some(Ok(frame)) => frame.data_ref().map_or(Verdict::Fine, |data| this.scan.feed(data)),
                Some(Err(_)) => Verdict::Fine,
                None => this.scan.end(),
            };
            match verdict {
                Verdict::Fine => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
                // Held back: the decoder would make room for all of it.
                Verdict::Unclear => {}
                Verdict::TooLarge(error) => {
                    *this.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Fine,
    Unclear,
    TooLarge(TransportError),
}

/// Follows the messages of a body.
#[derive(Debug)]
struct Scan {
    limit: usize,
    head: Vec<u8>,
    /// Of the current message, still to come.
    rest: usize,
    /// The beginning of a message that is too large.
    large: Option<(usize, Vec<u8>)>,
}

impl Scan {
    fn new(limit: usize) -> Self {
        Self { limit, head: Vec::with_capacity(HEAD), rest: 0, large: None }
    }

    fn feed(&mut self, mut data: &[u8]) -> Verdict {
        while !data.is_empty() && self.large.is_none() {
            let (skipped, left) = data.split_at(self.rest.min(data.len()));
            self.rest -= skipped.len();
            let (head, left) = left.split_at((HEAD - self.head.len()).min(left.len()));
            self.head.extend_from_slice(head);
            data = left;
            if let [_compressed, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.head.clear();
                match size > self.limit {
                    true => self.large = Some((size, Vec::new())),
                    false => self.rest = size,
                }
            }
        }
        let Some((size, start)) = &mut self.large else { return Verdict::Fine };
        start.extend_from_slice(&data[..data.len().min(START - start.len())]);
        match start.len() < START.min(*size) {
            true => Verdict::Unclear,
            false => self.end(),
        }
    }

    fn end(&mut self) -> Verdict {
        let Some((size, start)) = self.large.take() else { return Verdict::Fine };
        let type_url = type_url(&start).unwrap_or_else(|| "unknown".to_owned());
        Verdict::TooLarge(TransportError::MessageTooLarge { type_url, size, limit: self.limit })
    }
}

/// The type of a `DiscoveryResponse` of which only the beginning is there.
fn type_url(mut start: &[u8]) -> Option<String> {
    const RESOURCES: u32 = 2;
    const TYPE_URL: u32 = 4;
    loop {
        let (field, wire_type) = decode_key(&mut start).ok()?;
        match (field, wire_type) {
            (RESOURCES, WireType::LengthDelimited) => {
                decode_varint(&mut start).ok()?;
                // The first field of an `Any` is its type.
                let (1, WireType::LengthDelimited) = decode_key(&mut start).ok()? else { return None };
                return text(&mut start);
            }
            (TYPE_URL, WireType::LengthDelimited) => return text(&mut start),
            (_, WireType::LengthDelimited) => _ = text(&mut start)?,
            (_, WireType::Varint) => _ = decode_varint(&mut start).ok()?,
            _ => return None,
        }
    }
}

fn text(start: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(decode_varint(start).ok()?).ok()?;
    let (text, rest) = start.split_at_checked(length)?;
    *start = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// The head of a gRPC message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// How much of a large message is looked at.
const START: usize = 1024;

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
    use envoy_types::pb::google::protobuf::Any;
    use prost::Message;

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
    fn a_large_message_is_seen_however_it_is_cut() {
        let mut stream = message(10);
        stream.extend(message(100));
        let fine = stream.len();
        stream.extend(message(5_000));
        for piece in [1, 2, 3, 5, 7, 64, 1_000, 100_000] {
            let mut scan = Scan::new(1_000);
            let mut fed = 0;
            let error = stream.chunks(piece).find_map(|chunk| {
                fed += chunk.len();
                match scan.feed(chunk) {
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
            assert!(fed <= fine + HEAD + START + piece, "not all of it is read");
        }
    }

    #[test]
    fn what_cannot_be_read_is_of_unknown_type() {
        for start in [&b""[..], b"\xff\xff", b"\x12\x05\x0a\xff", b"\x0d1234"] {
            assert_eq!(type_url(start), None);
        }
    }
}
