//! The spans of calls (gRFC A72), with the context of W3C's Trace Context.

mod client;
mod server;
mod w3c;

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::{SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::policy::grpc_code;
use crate::runtime::CallKind;

use super::{
    CallObserver, CallTrace, ObservedMessage, ObservedMethod, ServedCall, ServedTrace, ServerObserver,
};

use client::CallSpan;
use server::ServedSpan;

/// The spans of a mesh's calls and of a server's calls of gRPC, for [`MeshBuilder::observer`](crate::runtime::MeshBuilder::observer) and
/// [`ServerBuilder::observer`](crate::runtime::server::ServerBuilder::observer): spans of the given tracer, with gRPC's names, events and
/// attributes (gRFC A72).
///
/// A call has the span `Sent.<service>.<method>`, a child of the context that is current when the call is made, and each of its attempts has
/// `Attempt.<service>.<method>` below it. An attempt's context goes to the server in the headers `traceparent` and `tracestate`. There the
/// call has the span `Recv.<service>.<method>`, whose context is current while the application works on the call.
// OB-17
#[derive(Debug, Clone)]
pub struct CallSpans(Spans);

/// The spans of a tracer, whatever its type is.
#[derive(Clone)]
struct Spans(Arc<StartSpan>);

/// Starts a span below a context, and returns the context of the span.
type StartSpan = dyn Fn(SpanBuilder, &Context) -> Context + Send + Sync;

impl CallSpans {
    /// Spans of this tracer.
    pub fn new<T>(tracer: T) -> Self
    where
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        Self(Spans(Arc::new(move |span, parent| parent.with_span(tracer.build_with_context(span, parent)))))
    }
}

impl CallObserver for CallSpans {
    fn trace(&self, call: &ObservedMethod<'_>) -> Option<Box<dyn CallTrace>> {
        Some(Box::new(CallSpan::begin(&self.0, call.method)))
    }
}

impl ServerObserver for CallSpans {
    fn trace(&self, call: &ServedCall<'_>, headers: &HeaderMap) -> Option<Box<dyn ServedTrace>> {
        (call.kind == CallKind::Grpc).then(|| Box::new(ServedSpan::begin(&self.0, call.method, headers)) as _)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

impl Spans {
    fn start(&self, role: &str, method: &str, kind: SpanKind, parent: &Context) -> ActiveSpan {
        let name = format!("{role}.{}", method.replace('/', "."));
        ActiveSpan(self.0(SpanBuilder::from_name(name).with_kind(kind), parent))
    }
}

/// The context of a span, which ends with a status.
struct ActiveSpan(Context);

impl ActiveSpan {
    fn span(&self) -> SpanRef<'_> {
        self.0.span()
    }

    fn event(&self, name: &'static str) {
        self.span().add_event(name, Vec::new());
    }

    fn message(&self, name: &'static str, message: ObservedMessage) {
        let ObservedMessage { sequence, length, is_compressed } = message;
        let size = if is_compressed { "message-size-compressed" } else { "message-size" };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let attributes = vec![
            KeyValue::new("sequence-number", number(sequence)),
            KeyValue::new(size, number(length.into())),
        ];
        self.span().add_event(name, attributes);
    }

    fn end(&self, code: u32) {
        let span = self.span();
        span.set_status(if code == 0 { Status::Ok } else { Status::error(grpc_code::name(code)) });
        span.end();
    }
}

impl fmt::Debug for ActiveSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActiveSpan").field(self.span().span_context()).finish()
    }
}
