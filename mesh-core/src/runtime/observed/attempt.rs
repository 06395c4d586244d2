//! An attempt that observers measure, from the moment at which it is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use tokio::time::Instant;

use crate::config::{LocalityId, Name};
use crate::observe::{AttemptRecord, AttemptTrace, CallPlace, MessageSizes, ObservedMessage};
use crate::runtime::attempt::Outcome;
use crate::runtime::{MeshError, MeshErrorKind, Protocol};

use super::{CANCELLED, DEADLINE_EXCEEDED, ObservedCall, UNAVAILABLE, status_of_response};

/// The messages that an attempt has sent.
#[derive(Debug)]
pub(crate) struct SentMessages {
    bytes: AtomicU64,
    pub(super) traces: Vec<Arc<dyn AttemptTrace>>,
}

impl SentMessages {
    pub(super) fn new(traces: Vec<Arc<dyn AttemptTrace>>) -> Self {
        Self { bytes: AtomicU64::new(0), traces }
    }

    /// The body goes on with this data.
    pub(crate) fn on_data(&self, sizes: &mut MessageSizes, data: &[u8]) {
        let tell = |message: ObservedMessage| {
            self.traces.iter().for_each(|trace| trace.message_sent(message));
        };
        self.bytes.fetch_add(sizes.count(data, tell), Ordering::Relaxed);
    }
}

/// An attempt that observers measure, from the moment at which it is sent.
#[derive(Debug)]
pub(crate) struct ObservedAttempt {
    call: Arc<ObservedCall>,
    began: Instant,
    sent: Arc<SentMessages>,
    /// The bytes of the messages that it has received.
    received: u64,
    sizes: MessageSizes,
    /// The status of the error with which it failed.
    failed: Option<u32>,
    /// Set at its end.
    status: Option<u32>,
    /// Its response is the call's.
    is_calls_own: bool,
    protocol: ProtocolCodes,
}

#[derive(Debug, Clone, Copy)]
struct ProtocolCodes {
    of_response: fn(StatusCode, &HeaderMap) -> u32,
    of_error: fn(&MeshError) -> u32,
}

impl ObservedAttempt {
    pub(super) fn new<P: Protocol>(
        call: &Arc<ObservedCall>,
        began: Instant,
        sent: Arc<SentMessages>,
    ) -> Self {
        Self {
            call: call.clone(),
            began,
            sent,
            received: 0,
            sizes: MessageSizes::default(),
            failed: None,
            status: None,
            is_calls_own: false,
            protocol: ProtocolCodes { of_response: status_of_response::<P>, of_error: P::code },
        }
    }

    /// A frame of the response.
    pub(crate) fn on_frame(&mut self, frame: &Frame<Bytes>) {
        let Some(data) = frame.data_ref() else { return };
        let traces = &self.sent.traces;
        let tell = |message: ObservedMessage| {
            traces.iter().for_each(|trace| trace.message_received(message));
        };
        self.received += self.sizes.count(data, tell);
    }

    /// It fails with this error; its end follows.
    pub(crate) fn on_error(&mut self, kind: MeshErrorKind, h2_code: Option<u32>) {
        let error = MeshError::new(kind, "").caused_by(h2_code, "");
        self.failed = Some((self.protocol.of_error)(&error));
    }

    /// The caller gets its response: the call ends as the attempt does.
    pub(crate) fn on_head(&mut self) {
        self.is_calls_own = true;
        if let Some(status) = self.status {
            self.call.end(status);
        }
    }

    /// It has ended at this endpoint of this cluster and locality.
    pub(crate) fn finish(
        &mut self,
        outcome: &Outcome<'_>,
        (cluster, endpoint): (&Name, SocketAddr),
        locality: &LocalityId,
    ) {
        let status = match outcome {
            Outcome::Response { status, last } => (self.protocol.of_response)(*status, last),
            Outcome::NotSent | Outcome::Failed => self.failed.unwrap_or(UNAVAILABLE),
            Outcome::Overdue => DEADLINE_EXCEEDED,
            Outcome::Cancelled => self.failed.unwrap_or(CANCELLED),
        };
        self.status = Some(status);
        let now = Instant::now();
        {
            let mut history = self.call.history();
            history.end(now);
            history.place = Some(CallPlace::new(cluster, endpoint));
        }
        let attempt = AttemptRecord {
            method: self.call.method(),
            locality: Some(locality),
            cluster: Some(cluster),
            endpoint: Some(endpoint),
            status,
            duration: now - self.began,
            sent: self.sent.bytes.load(Ordering::Relaxed),
            received: self.received,
        };
        self.call.channel.observers.iter().for_each(|observer| observer.attempt_ended(&attempt));
        self.sent.traces.iter().for_each(|trace| trace.ended(&attempt));
        if self.is_calls_own {
            self.call.end(status);
        }
    }
}
