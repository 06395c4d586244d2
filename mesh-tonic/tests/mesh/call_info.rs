//! What callers learn of a call: in its response, in its error, and in the log at debug.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::{MeshConfig, RouteMatch};
use mesh_core::policy::matcher::PathMatcher;
use mesh_core::runtime::{FixedSource, SourceError};
use mesh_tonic::{CallInfo, MeshError};
use tonic::{Code, Request, Status};
use tracing::field::{Empty, Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Instrument, Metadata, Subscriber, span};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Config, with_retries};
use crate::endpoint::Endpoint;
use crate::{asking, client, hello};

fn info<T>(response: &tonic::Response<T>) -> CallInfo {
    response.extensions().get::<CallInfo>().unwrap().clone()
}

#[tokio::test]
async fn response_tells_route_cluster_endpoint_and_attempts() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mut client = client(&mesh);
    let told = info(&client.say_hello(hello("you")).await.unwrap());
    assert_eq!((told.route(), told.cluster()), ("*", "greeter"));
    assert_eq!((told.endpoint(), told.attempts()), (endpoint.address, 1));
    let told = info(&client.say_hellos(hello("you")).await.unwrap());
    assert_eq!((told.endpoint(), told.attempts()), (endpoint.address, 1), "of a stream too");
}

#[tokio::test]
async fn retried_call_tells_the_last_endpoint_and_all_attempts() {
    let endpoint = Endpoint::start("a").await;
    let path = PathMatcher::Prefix { prefix: "/mesh.examples.v1.Greeter/".to_owned(), ignore_case: false };
    let matches = RouteMatch::new(path);
    let config = Config::default().cluster("one", &[endpoint.address]).route(matches, with_retries("one", 4));
    let mut client = client(&Mesh::fixed(config.build()));
    let told = info(&client.say_hello(asking("error-code-14,succeed-on-retry-attempt-2")).await.unwrap());
    assert_eq!((told.route(), told.cluster()), ("/mesh.examples.v1.Greeter/*", "one"));
    assert_eq!((told.endpoint(), told.attempts()), (endpoint.address, 3));
}

/// How often `part` is in the status's text.
fn count(status: &Status, part: &str) -> usize {
    status.message().matches(part).count()
}

#[tokio::test]
async fn deadline_error_names_the_endpoint_and_the_lost_control_server_once() {
    let endpoint = Endpoint::start("a").await;
    let source = FixedSource::new();
    source.set("greeter", MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let lost = SourceError::new("connection refused; node n1, control server 10.0.0.9:15010 unreachable");
    source.set_ambient("greeter", Some(lost));
    let mut client = client(&Mesh::new(source.clone()));
    let mut request = asking("sleep-60");
    request.set_timeout(Duration::from_millis(100));
    let status = client.say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(count(&status, &endpoint.address.to_string()), 1, "{status}");
    assert_eq!(count(&status, "10.0.0.9:15010"), 1, "{status}");
    let error = std::error::Error::source(&status).unwrap().downcast_ref::<MeshError>().unwrap();
    assert_eq!(error.endpoint(), Some(endpoint.address), "as the text says");
}

#[tokio::test]
async fn deadline_error_without_a_configuration_says_why_there_is_none_once() {
    let source = FixedSource::new();
    let lost =
        "xDS listener \"greeter\": connection refused; node n1, control server 10.0.0.9:15010 unreachable";
    source.fail("greeter", SourceError::lasting(lost, std::time::Instant::now()));
    let mut client = client(&Mesh::new(source));
    let mut request = Request::new(hello("you"));
    request.set_timeout(Duration::from_millis(100));
    request.extensions_mut().insert(mesh_tonic::WaitForReady(true));
    let late = client.say_hello(request).await.unwrap_err();
    let at_once = client.say_hello(hello("you")).await.unwrap_err();
    assert_eq!((late.code(), at_once.code()), (Code::DeadlineExceeded, Code::Unavailable));
    for status in [late, at_once] {
        assert_eq!(count(&status, "10.0.0.9:15010"), 1, "{status}");
    }
}

/// The events of this thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mesh_core::runtime::call")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(format!("{}", event.metadata().level()));
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        _ = write!(self.0, " {field}={value:?}");
    }
}

/// Logs of this thread go to `log`, until what is returned is dropped.
///
/// With only one subscriber, tracing asks the thread that first reaches an event whether its subscriber wants it: that may be
/// the thread of another test, whose subscriber does not. So there are two.
fn subscribe(log: &Log) -> (DefaultGuard, Dispatch) {
    let second = Dispatch::new(log.clone());
    (tracing::subscriber::set_default(log.clone()), second)
}

#[tokio::test]
async fn debug_log_has_the_fields_of_call_info() {
    let log = Log::default();
    let _subscribed = subscribe(&log);
    let endpoint = Endpoint::start("a").await;
    let address = endpoint.address;
    let mut client = client(&Mesh::fixed(MeshConfig::to_endpoints("greeter", [address])));
    client.say_hello(hello("you")).await.unwrap();
    let mut request = asking("sleep-60");
    request.set_timeout(Duration::from_millis(50));
    client.say_hello(request).await.unwrap_err();
    let lines = log.0.lock().unwrap().clone();
    let response =
        format!("DEBUG message=response route=* cluster=greeter endpoint={address} attempts=1 status=200 OK");
    assert_eq!(lines[0], response);
    assert!(
        lines[1].starts_with("DEBUG message=call failed route=* attempts=1 error=xds:///greeter"),
        "{lines:?}"
    );
}

/// Keeps what a subscriber writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// P12: what a caller's span has fields for.
#[tokio::test]
async fn span_of_the_caller_gets_the_fields_that_it_has() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let endpoint = Endpoint::start("a").await;
    let address = endpoint.address;
    let mut client = client(&Mesh::fixed(MeshConfig::to_endpoints("greeter", [address])));
    let span = tracing::info_span!(
        "all",
        mesh.route = Empty,
        mesh.cluster = Empty,
        mesh.endpoint = Empty,
        mesh.attempts = Empty
    );
    client.say_hello(hello("you")).instrument(span).await.unwrap();
    let mut request = asking("sleep-60");
    request.set_timeout(Duration::from_millis(50));
    let span = tracing::info_span!("failed", mesh.endpoint = Empty, mesh.cluster = Empty);
    client.say_hello(request).instrument(span).await.unwrap_err();
    client.say_hello(hello("you")).instrument(tracing::info_span!("none", order = 7)).await.unwrap();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let spans = ["all{", "failed{", "none{"].map(|name| {
        let line = text.lines().find(|line| line.contains(name) && line.contains("close"));
        let fields = line.and_then(|line| line.split_once(name)?.1.split_once('}')).unwrap().0;
        let mut fields: Vec<_> = fields.split(' ').collect();
        fields.sort_unstable();
        fields.join(" ")
    });
    let endpoint = format!("mesh.endpoint={address}");
    let [all, failed] = [
        format!("mesh.attempts=1 mesh.cluster=\"greeter\" {endpoint} mesh.route=\"*\""),
        format!("mesh.cluster=\"greeter\" {endpoint}"),
    ];
    assert_eq!(spans, [all, failed, "order=7".to_owned()]);
}
