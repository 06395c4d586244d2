//! What is known of a server's calls.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::config::Name;
use crate::peer::Peer;
use crate::runtime::CallKind;

use super::{MessageSizes, ObservedMessage, ServedTrace};

/// Learns of the calls of a server ([`ServerBuilder::observer`](crate::runtime::server::ServerBuilder::observer)). Its functions run on
/// the tasks of the calls, and must not block.
pub trait ServerObserver: Debug + Send + Sync + 'static {
    /// A call has come; routes and filters are next.
    fn call_started(&self, _call: &ServedCall<'_>) {}

    /// A call has ended: its response has been read to the end, or nothing reads it any more.
    fn call_ended(&self, _call: &ServedRecord<'_>) {}

    /// A call has come with these headers: what is to follow it. `None`, the default: nothing does.
    fn trace(&self, _call: &ServedCall<'_>, _headers: &HeaderMap) -> Option<Box<dyn ServedTrace>> {
        None
    }
}

/// A call as a server gets it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServedCall<'a> {
    /// Whether it is a call of gRPC or another request of HTTP.
    pub kind: CallKind,
    /// The path without its leading slash and without a query, as the client has sent it: of gRPC the full name of the method. The
    /// client may send anything.
    pub method: &'a Name,
    /// The client.
    pub peer: &'a Arc<Peer>,
}

/// A server's call that has ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServedRecord<'a> {
    /// The call.
    pub call: ServedCall<'a>,
    /// Of gRPC the code, CANCELLED if the client did not wait for it; of HTTP the status, 499 if the client did not wait for it.
    pub status: u32,
    /// From the head of the request to the end.
    pub duration: Duration,
    /// The bytes of the messages that were sent, compressed as they were, without headers and prefixes; of HTTP the bytes of the body.
    pub sent: u64,
    /// The bytes of the messages that were received, counted in the same way; `None`: the server does not count them.
    pub received: Option<u64>,
}

impl<'a> ServedCall<'a> {
    pub(crate) fn new(kind: CallKind, method: &'a Name, peer: &'a Arc<Peer>) -> Self {
        Self { kind, method, peer }
    }
}

impl<'a> ServedRecord<'a> {
    pub(crate) fn new(
        call: ServedCall<'a>,
        status: u32,
        duration: Duration,
        (sent, received): (u64, Option<u64>),
    ) -> Self {
        Self { call, status, duration, sent, received }
    }
}

/// Counts the messages of a call's request. A server that is observed puts it among the extensions of the request; the service that
/// reads the body may count with it.
#[derive(Debug, Clone, Default)]
pub struct ReceivedMessages(Arc<Received>);

#[derive(Debug, Default)]
struct Received {
    is_counted: AtomicBool,
    bytes: AtomicU64,
    traces: Traces,
}

/// What follows a call on a server.
pub(crate) type Traces = Arc<[Box<dyn ServedTrace>]>;

impl ReceivedMessages {
    /// The body, whose messages are counted while they are read.
    pub fn count<B>(self, body: B) -> CountedMessages<B> {
        self.0.is_counted.store(true, Ordering::Relaxed);
        CountedMessages { body, sizes: MessageSizes::default(), received: self.0 }
    }

    pub(crate) fn of(traces: Traces) -> Self {
        Self(Arc::new(Received { traces, ..Received::default() }))
    }

    /// `None`: they are not counted.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let is_counted = self.0.is_counted.load(Ordering::Relaxed);
        is_counted.then(|| self.0.bytes.load(Ordering::Relaxed))
    }
}

/// The body of a request, whose messages are counted while they are read.
#[derive(Debug)]
pub struct CountedMessages<B> {
    body: B,
    sizes: MessageSizes,
    received: Arc<Received>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedMessages<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let me = &mut *self;
        let frame = ready!(Pin::new(&mut me.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let Received { bytes, traces, .. } = &*me.received;
            let tell = |message: ObservedMessage| {
                traces.iter().for_each(|trace| trace.message_received(message));
            };
            bytes.fetch_add(me.sizes.count(data, tell), Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
