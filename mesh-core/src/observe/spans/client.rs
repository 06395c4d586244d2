//! The spans of a call and of its attempts.

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};

use crate::config::Name;
use crate::observe::{AttemptRecord, AttemptStart, AttemptTrace, CallRecord, CallTrace, ObservedMessage};

use super::{ActiveSpan, Spans, w3c};

/// The span of a call.
#[derive(Debug)]
pub(super) struct CallSpan {
    spans: Spans,
    method: Name,
    span: ActiveSpan,
}

impl CallSpan {
    pub(super) fn begin(spans: &Spans, method: &Name) -> Self {
        let span = spans.start("Sent", method, SpanKind::Internal, &Context::current());
        Self { spans: spans.clone(), method: method.clone(), span }
    }
}

impl CallTrace for CallSpan {
    fn configuration_delayed(&self) {
        self.span.event("Delayed name resolution complete");
    }

    fn attempt_started(&self, attempt: AttemptStart) -> Option<Arc<dyn AttemptTrace>> {
        let span = self.spans.start("Attempt", &self.method, SpanKind::Client, &self.span.0);
        span.span().set_attributes([
            KeyValue::new("previous-rpc-attempts", i64::from(attempt.previous_attempts)),
            KeyValue::new("transparent-retry", attempt.is_transparent),
        ]);
        Some(Arc::new(AttemptSpan(span)))
    }

    fn ended(&self, call: &CallRecord<'_>) {
        self.span.end(call.status);
    }
}

/// The span of an attempt.
#[derive(Debug)]
struct AttemptSpan(ActiveSpan);

impl AttemptTrace for AttemptSpan {
    fn pick_delayed(&self) {
        self.0.event("Delayed LB pick complete");
    }

    fn sending(&self, headers: &mut HeaderMap) {
        w3c::inject(self.0.span().span_context(), headers);
    }

    fn message_sent(&self, message: ObservedMessage) {
        self.0.message("Outbound message", message);
    }

    fn message_received(&self, message: ObservedMessage) {
        self.0.message("Inbound message", message);
    }

    fn ended(&self, attempt: &AttemptRecord<'_>) {
        self.0.end(attempt.status);
    }
}
