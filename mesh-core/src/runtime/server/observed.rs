//! Measures the calls of a server for its observer.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, response};
use http_body::Frame;
use tokio::time::Instant;

use crate::config::Name;
use crate::filter::LocalStatus;
use crate::observe::{
    Entered, MessageSizes, ObservedMessage, ReceivedMessages, ServedCall, ServedRecord, ServerObserver,
    Traces,
};
use crate::peer::Peer;
use crate::runtime::CallKind;

/// The observers of a server.
pub(super) type Observers = Arc<[Arc<dyn ServerObserver>]>;

/// A call of a server that an observer measures. It ends when it is dropped: with its response's body, or before it has one.
#[derive(Debug)]
pub(super) struct ObservedServing {
    observers: Observers,
    traces: Traces,
    peer: Arc<Peer>,
    kind: CallKind,
    method: Name,
    started: Instant,
    sent: u64,
    sizes: MessageSizes,
    received: ReceivedMessages,
    /// `None` as long as the response has told none.
    status: Option<u32>,
}

impl ObservedServing {
    /// A call has come.
    pub(super) fn begin<A>(
        observers: &Observers,
        peer: &Arc<Peer>,
        kind: CallKind,
        request: &mut Request<A>,
    ) -> Box<Self> {
        let path = request.uri().path();
        let method = path.strip_prefix('/').unwrap_or(path).into();
        let call = ServedCall::new(kind, &method, peer);
        let traces = observers.iter().filter_map(|observer| observer.trace(&call, request.headers()));
        let traces: Traces = traces.collect();
        let received = ReceivedMessages::of(traces.clone());
        if kind == CallKind::Grpc {
            request.extensions_mut().insert(received.clone());
        }
        observers.iter().for_each(|observer| observer.call_started(&call));
        Box::new(Self {
            observers: observers.clone(),
            traces,
            peer: peer.clone(),
            kind,
            method,
            started: Instant::now(),
            sent: 0,
            sizes: MessageSizes::default(),
            received,
            status: None,
        })
    }

    /// The application works on the call until what this returns is dropped.
    pub(super) fn enter(&self) -> Vec<Entered> {
        self.traces.iter().map(|trace| trace.enter()).collect()
    }

    /// The client gets this head.
    pub(super) fn on_head(&mut self, head: &response::Parts) {
        self.status = match self.kind {
            CallKind::Http => Some(head.status.as_u16().into()),
            CallKind::Grpc if !head.status.is_success() => Some(LocalStatus::Http(head.status).grpc_code()),
            CallKind::Grpc => None,
        };
        self.on_status(&head.headers);
    }

    /// The client gets this frame of the body.
    pub(super) fn on_frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            let traces = &self.traces;
            let tell = |message: ObservedMessage| {
                traces.iter().for_each(|trace| trace.message_sent(message));
            };
            self.sent += match self.kind {
                CallKind::Grpc => self.sizes.count(data, tell),
                CallKind::Http => data.len() as u64,
            };
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.on_status(trailers);
        }
    }

    /// The application has failed, or the response has ended: it counts as failed if it has told no status.
    pub(super) fn on_failure(&mut self) {
        self.status.get_or_insert(match self.kind {
            CallKind::Grpc => UNKNOWN,
            CallKind::Http => 500,
        });
    }

    fn on_status(&mut self, headers: &HeaderMap) {
        if self.kind == CallKind::Http {
            return;
        }
        if let Some(status) = headers.get("grpc-status") {
            let code = status.to_str().ok().and_then(|status| status.parse().ok());
            self.status = Some(code.unwrap_or(UNKNOWN));
        }
    }
}

impl Drop for ObservedServing {
    fn drop(&mut self) {
        let cancelled = match self.kind {
            CallKind::Grpc => CANCELLED,
            CallKind::Http => CLIENT_CLOSED_REQUEST,
        };
        let call = ServedCall::new(self.kind, &self.method, &self.peer);
        let bytes = (self.sent, self.received.bytes());
        let status = self.status.unwrap_or(cancelled);
        let ended = ServedRecord::new(call, status, self.started.elapsed(), bytes);
        self.observers.iter().for_each(|observer| observer.call_ended(&ended));
        self.traces.iter().for_each(|trace| trace.ended(&ended));
    }
}

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;

/// nginx's status of a request whose client did not wait.
const CLIENT_CLOSED_REQUEST: u32 = 499;
