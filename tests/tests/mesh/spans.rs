//! The spans of calls, as OpenTelemetry collects them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::Mesh;
use mesh_core::observe::{CallObserver, CallSpans, ObservedMethod};
use mesh_core::runtime::FixedSource;
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshChannel, WaitForReady};
use opentelemetry::trace::{
    Event, FutureExt, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use tests::eventually;
use tonic::Request;
use tonic::body::Body;
use tonic::codegen::{Service, http};

use crate::call_metrics::{asking, channel, config, hello};
use crate::embedded::endpoint;
use crate::server_metrics::{serve, serve_service};

/// Keeps the spans that have ended.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Ended {
    /// What makes spans that end here.
    fn spans(&self) -> CallSpans {
        let provider = SdkTracerProvider::builder().with_span_processor(self.clone()).build();
        CallSpans::new(provider.tracer("test"))
    }

    /// So many spans, once they have ended.
    async fn all(&self, count: usize) -> Vec<SpanData> {
        eventually("the spans have ended", async || match self.0.lock().unwrap().len() {
            ended if ended == count => Ok(()),
            ended => Err(format!("{ended} of {count}")),
        })
        .await;
        self.0.lock().unwrap().clone()
    }
}

/// The attribute of a span or an event.
fn attribute<'a>(of: &'a [KeyValue], key: &str) -> &'a Value {
    let found = of.iter().find(|attribute| attribute.key.as_str() == key);
    &found.unwrap_or_else(|| panic!("no {key} in {of:?}")).value
}

/// The messages of a span: direction, sequence number and size.
fn messages(span: &SpanData) -> Vec<(&str, Value, Value)> {
    let messages = span.events.iter().filter(|event| event.name.ends_with(" message"));
    let number = |event: &'_ Event, key| attribute(&event.attributes, key).clone();
    messages
        .map(|event| (&*event.name, number(event, "sequence-number"), number(event, "message-size")))
        .collect()
}

fn named<'s>(spans: &'s [SpanData], name: &str) -> Vec<&'s SpanData> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Proves: OB-17.
#[tokio::test]
async fn call_has_a_span_for_itself_for_each_attempt_and_on_the_server() {
    let ended = Ended::default();
    let address = serve(ended.spans()).await;
    let mut client = GreeterClient::new(channel(ended.spans(), address, 4));
    let reply = client.say_hello(asking("error-code-14,succeed-on-retry-attempt-1")).await.unwrap();
    let size = |bytes: usize| Value::I64(i64::try_from(bytes).unwrap());
    let (request, reply) = (size(hello().encoded_len()), size(reply.into_inner().encoded_len()));
    let first = Value::I64(0);

    let spans = ended.all(5).await;
    let sent = named(&spans, "Sent.mesh.examples.v1.Greeter.SayHello");
    let attempts = named(&spans, "Attempt.mesh.examples.v1.Greeter.SayHello");
    let received = named(&spans, "Recv.mesh.examples.v1.Greeter.SayHello");
    assert_eq!((sent.len(), attempts.len(), received.len()), (1, 2, 2), "{spans:#?}");
    assert_eq!((&sent[0].status, &sent[0].parent_span_id), (&Status::Ok, &SpanId::INVALID));
    let kinds = [sent[0], attempts[0], received[0]].map(|span| span.span_kind.clone());
    assert_eq!(kinds, [SpanKind::Internal, SpanKind::Client, SpanKind::Server]);
    for (number, attempt) in (0..).zip(&attempts) {
        assert_eq!(attempt.parent_span_id, sent[0].span_context.span_id());
        assert_eq!(*attribute(&attempt.attributes, "previous-rpc-attempts"), Value::I64(number));
        assert_eq!(*attribute(&attempt.attributes, "transparent-retry"), Value::Bool(false));
        let below = received.iter().find(|span| span.parent_span_id == attempt.span_context.span_id());
        let below = below.expect("a span on the server below each attempt");
        assert!(below.parent_span_is_remote);
        let failed = number == 0;
        let status = if failed { Status::error("UNAVAILABLE") } else { Status::Ok };
        assert_eq!((&attempt.status, &below.status), (&status, &status));
        let mut expected = vec![("Outbound message", first.clone(), request.clone())];
        let mut expected_below = vec![("Inbound message", first.clone(), request.clone())];
        if !failed {
            expected.push(("Inbound message", first.clone(), reply.clone()));
            expected_below.push(("Outbound message", first.clone(), reply.clone()));
        }
        assert_eq!((messages(attempt), messages(below)), (expected, expected_below));
    }
    let traces: Vec<_> = spans.iter().map(|span| span.span_context.trace_id()).collect();
    assert!(traces.iter().all(|trace| *trace == traces[0]), "{traces:?}");
}

/// Learns that an attempt has begun.
#[derive(Debug, Clone, Default)]
struct Started(Arc<AtomicBool>);

impl CallObserver for Started {
    fn attempt_started(&self, _: &ObservedMethod<'_>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Proves: OB-17.
#[tokio::test]
async fn waits_for_configuration_and_endpoint_are_events() {
    let ended = Ended::default();
    let source = FixedSource::new();
    // a target without a configuration yet
    source.set_ambient("greeter", None);
    let started = Started::default();
    let mesh = Mesh::builder(source.clone()).observer(ended.spans()).observer(started.clone()).build();
    let channel = MeshChannel::builder("greeter").mesh(&mesh).build().unwrap();
    let mut client = GreeterClient::new(channel);
    let mut request = Request::new(hello());
    request.extensions_mut().insert(WaitForReady(true));
    let mut call = Box::pin(client.say_hello(request));
    assert!(std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_pending());
    source.set("greeter", config(reserved_address(), 1));
    eventually("the call looks for an endpoint", async || {
        let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        if started.0.load(Ordering::SeqCst) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let good = endpoint("a", "v1").await;
    source.set("greeter", config(good, 1));
    call.await.unwrap();
    let spans = ended.all(2).await;
    let events = |name: &str| {
        let span = named(&spans, name)[0];
        span.events.iter().map(|event| event.name.to_string()).collect::<Vec<_>>()
    };
    let sent = events("Sent.mesh.examples.v1.Greeter.SayHello");
    assert_eq!(sent, ["Delayed name resolution complete"]);
    assert_eq!(events("Attempt.mesh.examples.v1.Greeter.SayHello")[0], "Delayed LB pick complete");
}

/// Records the context that is current when its calls are worked on.
#[derive(Debug, Clone)]
struct Recording<S>(S, Arc<Mutex<Vec<SpanContext>>>);

impl<S> Service<http::Request<Body>> for Recording<S>
where
    S: Service<http::Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let record = |seen: &Mutex<Vec<SpanContext>>| {
            seen.lock().unwrap().push(Context::current().span().span_context().clone());
        };
        record(&self.1);
        let (seen, answered) = (self.1.clone(), self.0.call(request));
        Box::pin(async move {
            tokio::task::yield_now().await;
            record(&seen);
            answered.await
        })
    }
}

/// Proves: OB-17.
#[tokio::test]
async fn call_belongs_to_the_context_in_which_it_is_made() {
    let (ended, seen) = (Ended::default(), Arc::default());
    let service = GreeterServer::new(GreeterService::new("a", "v1"));
    let address = serve_service(ended.spans(), Recording(service, Arc::clone(&seen))).await;
    let mut client = GreeterClient::new(channel(ended.spans(), address, 1));
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    let (trace, span) = (TraceId::from(7), SpanId::from(8));
    let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state);
    let context = Context::new().with_remote_span_context(parent);
    client.say_hello(hello()).with_context(context).await.unwrap();

    let spans = ended.all(3).await;
    let sent = named(&spans, "Sent.mesh.examples.v1.Greeter.SayHello");
    assert_eq!((sent[0].parent_span_id, sent[0].span_context.trace_id()), (span, trace));
    let received = &named(&spans, "Recv.mesh.examples.v1.Greeter.SayHello")[0].span_context;
    assert_eq!((received.trace_id(), received.trace_state().header()), (trace, "vendor=1".to_owned()));
    // when the service was called, and later
    let worked: Vec<_> = seen.lock().unwrap().iter().map(SpanContext::span_id).collect();
    assert_eq!(worked, [received.span_id(); 2]);
}
