//! Measures calls and attempts for the observers of their mesh.

mod attempt;
mod history;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::config::Name;
use crate::observe::{
    AttemptRecord, AttemptStart, CallLabel, CallObserver, CallRecord, CallTrace, MethodKind, ObservedMethod,
};

use super::{Protocol, RequestBody, Target};

pub(crate) use attempt::{ObservedAttempt, SentMessages};

use history::{AttemptKind, History, Picking};

/// The observers of a channel's calls.
#[derive(Debug)]
pub(super) struct ChannelObserver {
    observers: Arc<[Arc<dyn CallObserver>]>,
    target: Name,
}

impl ChannelObserver {
    /// `None`: there are none.
    pub(super) fn new(observers: &Arc<[Arc<dyn CallObserver>]>, target: &Target) -> Option<Arc<Self>> {
        let new = || Arc::new(Self { observers: observers.clone(), target: target.to_string().into() });
        (!observers.is_empty()).then(new)
    }

    /// A call begins. `None`: calls of the protocol are not observed.
    #[inline(never)]
    pub(super) fn call<P: Protocol>(
        self: &Arc<Self>,
        request: &Request<P::Body>,
    ) -> Option<Arc<ObservedCall>> {
        let path = request.uri().path();
        let kind = P::method_kind(path, request.extensions())?;
        let mut call = ObservedCall {
            channel: self.clone(),
            method: path.strip_prefix('/').unwrap_or(path).into(),
            kind,
            label: request.extensions().get().cloned(),
            traces: Vec::new(),
            started: Instant::now(),
            history: Mutex::default(),
            ended: AtomicBool::new(false),
        };
        call.traces = self.observers.iter().filter_map(|observer| observer.trace(&call.method())).collect();
        Some(Arc::new(call))
    }
}

/// A call that observers measure. It ends exactly once, by [`end`](Self::end); dropping it before counts as a cancellation.
#[derive(Debug)]
pub(super) struct ObservedCall {
    channel: Arc<ChannelObserver>,
    method: Name,
    kind: MethodKind,
    label: Option<CallLabel>,
    traces: Vec<Box<dyn CallTrace>>,
    started: Instant,
    history: Mutex<History>,
    ended: AtomicBool,
}

impl ObservedCall {
    fn method(&self) -> ObservedMethod<'_> {
        let label = self.label.as_ref().map_or("", |label| &label.0);
        ObservedMethod::new(&self.channel.target, &self.method, self.kind, label)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call has waited for its target's first configuration.
    pub(super) fn configuration_delayed(&self) {
        self.traces.iter().for_each(|trace| trace.configuration_delayed());
    }

    /// An attempt picks an endpoint, perhaps once more.
    pub(super) fn pick(&self, is_hedged: bool) {
        if !self.history().pick_again() {
            let picking = self.begin(is_hedged);
            self.history().picking = Some(picking);
        }
    }

    fn begin(&self, is_hedged: bool) -> Picking {
        let now = Instant::now();
        let (kind, previous_attempts) = self.history().begin(now, is_hedged);
        for observer in &*self.channel.observers {
            observer.attempt_started(&self.method());
        }
        let start = AttemptStart::new(previous_attempts, kind == AttemptKind::Transparent);
        let traces = self.traces.iter().filter_map(|trace| trace.attempt_started(start));
        Picking { began: now, picks: 1, traces: traces.collect() }
    }

    /// The next attempt repeats one that was not processed.
    pub(super) fn repeat_transparently(&self) {
        self.history().next_is_transparent = true;
    }

    /// The attempt that picked an endpoint is about to be sent to it with this request, whose messages are counted from now on.
    pub(super) fn send<P: Protocol>(
        self: &Arc<Self>,
        request: &mut Option<Request<RequestBody<P::Body>>>,
        is_hedged: bool,
    ) -> Box<ObservedAttempt> {
        let picking = self.history().picking.take();
        let Picking { began, picks, traces } = picking.unwrap_or_else(|| self.begin(is_hedged));
        if picks > 1 {
            traces.iter().for_each(|trace| trace.pick_delayed());
        }
        let sent = Arc::new(SentMessages::new(traces));
        *request = request.take().map(|mut request| {
            sent.traces.iter().for_each(|trace| trace.sending(request.headers_mut()));
            request.map(|body| body.counted(sent.clone()))
        });
        Box::new(ObservedAttempt::new::<P>(self, began, sent))
    }

    /// The attempt that picks an endpoint ends without one.
    pub(super) fn refuse(&self, status: u32) {
        let now = Instant::now();
        let picking = {
            let mut history = self.history();
            let picking = history.picking.take();
            if picking.is_some() {
                history.end(now);
            }
            picking
        };
        if let Some(Picking { began, traces, .. }) = picking {
            let attempt = AttemptRecord::unplaced(self.method(), status, now - began);
            self.channel.observers.iter().for_each(|observer| observer.attempt_ended(&attempt));
            traces.iter().for_each(|trace| trace.ended(&attempt));
        }
    }

    /// The caller gets the status. Only the first call has an effect.
    pub(super) fn end(&self, status: u32) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        self.refuse(status);
        let attempts = {
            let mut history = self.history();
            (history.counts, history.place.take())
        };
        let call = CallRecord::new(self.method(), status, self.started.elapsed(), attempts);
        self.channel.observers.iter().for_each(|observer| observer.call_ended(&call));
        self.traces.iter().for_each(|trace| trace.ended(&call));
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

/// The status of a complete response; UNKNOWN if it has none.
fn status_of_response<P: Protocol>(status: StatusCode, last: &HeaderMap) -> u32 {
    P::classify_head(status, last).map_or(UNKNOWN, |status| status.code)
}

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const UNAVAILABLE: u32 = 14;
