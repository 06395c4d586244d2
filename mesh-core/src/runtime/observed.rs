//! Measures calls and attempts for the observer of their mesh.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use tokio::time::Instant;

use crate::config::{LocalityId, Name};
use crate::observe::{AttemptRecord, CallObserver, CallRecord, MessageSizes, MethodKind, ObservedMethod};

use super::attempt::Outcome;
use super::{MeshError, MeshErrorKind, Protocol, RequestBody, Target};

/// The observer of a channel's calls.
#[derive(Debug)]
pub(super) struct ChannelObserver {
    observer: Arc<dyn CallObserver>,
    target: Name,
}

impl ChannelObserver {
    pub(super) fn new(observer: Arc<dyn CallObserver>, target: &Target) -> Arc<Self> {
        Arc::new(Self { observer, target: target.to_string().into() })
    }

    /// A call begins. `None`: calls of the protocol are not observed.
    pub(super) fn call<P: Protocol>(
        self: &Arc<Self>,
        request: &Request<P::Body>,
    ) -> Option<Arc<ObservedCall>> {
        let path = request.uri().path();
        let kind = P::method_kind(path, request.extensions())?;
        Some(Arc::new(ObservedCall {
            channel: self.clone(),
            method: path.strip_prefix('/').unwrap_or(path).into(),
            kind,
            started: Instant::now(),
            picking: Mutex::default(),
            attempts: AtomicU32::new(0),
            ended: AtomicBool::new(false),
        }))
    }
}

/// A call that an observer measures. It ends exactly once, by [`end`](Self::end); dropping it before counts as a cancellation.
#[derive(Debug)]
pub(super) struct ObservedCall {
    channel: Arc<ChannelObserver>,
    method: Name,
    kind: MethodKind,
    started: Instant,
    /// When the attempt began that has no endpoint yet; `None`: there is none.
    picking: Mutex<Option<Instant>>,
    attempts: AtomicU32,
    ended: AtomicBool,
}

impl ObservedCall {
    fn method(&self) -> ObservedMethod<'_> {
        ObservedMethod::new(&self.channel.target, &self.method, self.kind)
    }

    /// An attempt picks an endpoint, perhaps once more.
    pub(super) fn pick(&self) {
        let mut picking = self.picking.lock().unwrap_or_else(PoisonError::into_inner);
        if picking.is_none() {
            *picking = Some(self.begin());
        }
    }

    fn begin(&self) -> Instant {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.channel.observer.attempt_started(&self.method());
        Instant::now()
    }

    fn take_picking(&self) -> Option<Instant> {
        self.picking.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The attempt that picked an endpoint is about to be sent to it with this request, whose messages are counted from now on.
    #[inline(never)]
    pub(super) fn send<P: Protocol>(
        self: &Arc<Self>,
        request: &mut Option<Request<RequestBody<P::Body>>>,
    ) -> Box<ObservedAttempt> {
        let sent = Arc::<AtomicU64>::default();
        *request = request.take().map(|request| request.map(|body| body.counted(sent.clone())));
        Box::new(ObservedAttempt {
            started: self.take_picking().unwrap_or_else(|| self.begin()),
            call: self.clone(),
            sent,
            received: 0,
            sizes: MessageSizes::default(),
            failed: None,
            status: None,
            is_calls_own: false,
            protocol: ProtocolCodes { of_response: status_of_response::<P>, of_error: P::code },
        })
    }

    /// The attempt that picks an endpoint ends without one.
    pub(super) fn refuse(&self, status: u32) {
        if let Some(began) = self.take_picking() {
            let attempt = AttemptRecord::unplaced(self.method(), status, began.elapsed());
            self.channel.observer.attempt_ended(&attempt);
        }
    }

    /// The caller gets the status. Only the first call has an effect.
    pub(super) fn end(&self, status: u32) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        self.refuse(status);
        self.channel.observer.call_ended(&CallRecord {
            method: self.method(),
            status,
            duration: self.started.elapsed(),
            attempts: self.attempts.load(Ordering::Relaxed),
        });
    }

    /// The caller gets this reply of a filter.
    pub(super) fn end_with_reply<P: Protocol, T>(&self, reply: &Response<T>) {
        self.end(status_of_response::<P>(reply.status(), reply.headers()));
    }
}

impl Drop for ObservedCall {
    fn drop(&mut self) {
        self.end(CANCELLED);
    }
}

/// An attempt that an observer measures, from the moment at which it is sent.
#[derive(Debug)]
pub(crate) struct ObservedAttempt {
    call: Arc<ObservedCall>,
    started: Instant,
    /// The bytes of the messages that it has sent.
    sent: Arc<AtomicU64>,
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
    /// A frame of the response.
    pub(super) fn on_frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.received += self.sizes.count(data);
        }
    }

    /// It fails with this error; its end follows.
    pub(super) fn on_error(&mut self, kind: MeshErrorKind, h2_code: Option<u32>) {
        let error = MeshError::new(kind, "").caused_by(h2_code, "");
        self.failed = Some((self.protocol.of_error)(&error));
    }

    /// The caller gets its response: the call ends as the attempt does.
    pub(super) fn on_head(&mut self) {
        self.is_calls_own = true;
        if let Some(status) = self.status {
            self.call.end(status);
        }
    }

    /// It has ended at an endpoint of this cluster and locality.
    pub(super) fn finish(&mut self, outcome: &Outcome<'_>, cluster: &Name, locality: &LocalityId) {
        let status = match outcome {
            Outcome::Response { status, last } => (self.protocol.of_response)(*status, last),
            Outcome::NotSent | Outcome::Failed => self.failed.unwrap_or(UNAVAILABLE),
            Outcome::Overdue => DEADLINE_EXCEEDED,
            Outcome::Cancelled => self.failed.unwrap_or(CANCELLED),
        };
        self.status = Some(status);
        self.call.channel.observer.attempt_ended(&AttemptRecord {
            method: self.call.method(),
            locality: Some(locality),
            cluster: Some(cluster),
            status,
            duration: self.started.elapsed(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received,
        });
        if self.is_calls_own {
            self.call.end(status);
        }
    }
}

/// The status of a complete response; UNKNOWN if it has none.
fn status_of_response<P: Protocol>(status: StatusCode, last: &HeaderMap) -> u32 {
    P::classify_head(status, last).map_or(UNKNOWN, |status| status.code)
}

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const UNAVAILABLE: u32 = 14;
