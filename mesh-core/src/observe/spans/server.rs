//! The span of a call on a server.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt};

use crate::observe::{Entered, ObservedMessage, ServedRecord, ServedTrace};

use super::{ActiveSpan, Spans, w3c};

/// The span of a call on a server.
#[derive(Debug)]
pub(super) struct ServedSpan(ActiveSpan);

impl ServedSpan {
    /// Below the span that these headers name.
    pub(super) fn begin(spans: &Spans, method: &str, headers: &HeaderMap) -> Self {
        let root = Context::new();
        let parent = match w3c::extract(headers) {
            Some(remote) => root.with_remote_span_context(remote),
            None => root,
        };
        Self(spans.start("Recv", method, SpanKind::Server, &parent))
    }
}

impl ServedTrace for ServedSpan {
    fn enter(&self) -> Entered {
        Entered::new(self.0.0.clone().attach())
    }

    fn message_sent(&self, message: ObservedMessage) {
        self.0.message("Outbound message", message);
    }

    fn message_received(&self, message: ObservedMessage) {
        self.0.message("Inbound message", message);
    }

    fn ended(&self, call: &ServedRecord<'_>) {
        self.0.end(call.status);
    }
}
