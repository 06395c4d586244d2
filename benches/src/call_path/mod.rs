//! Steps 1 to 5 of a request's way, with an endpoint that answers at once and touches no socket.

mod config;
mod connection;
mod refusal;

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use mesh_core::runtime::{
    CallOptions, Channel, ChannelSettings, FixedSource, Mesh, MeshBuilder, MeshErrorKind, Target,
};

use crate::reporting::{ReportingSource, with_settings};
use config::{config, three_filters};

pub use config::Routes;
pub use connection::{Answering, Body, Nowhere, Plain};
pub use refusal::Refusal;

/// A channel whose endpoints are all connected, and the request that takes its last route.
#[derive(Debug)]
pub struct Path {
    channel: Channel<Plain, Nowhere>,
    uri: Uri,
    endpoints: usize,
}

impl Path {
    /// Builds the mesh on the current runtime, and waits until every endpoint is connected.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let source = FixedSource::any(config(kind, routes, endpoints));
        Self::through(Mesh::builder(source), kind, routes, endpoints).await
    }

    /// As [`build`](Self::build), with a cluster whose load is reported.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build_reporting(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let config = with_settings(&config(kind, routes, endpoints), |settings| {
            settings.load_reporting = Some("control".into());
        });
        let source = ReportingSource::any(config);
        Self::through(Mesh::builder(source), kind, routes, endpoints).await
    }

    /// As [`build`](Self::build), with three filters that do not wait: faults that no call asks for, changed headers, and one
    /// that wants to see whole calls.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build_filtered(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let config = config(kind, routes, endpoints).with_filters(three_filters());
        Self::through(Mesh::builder(FixedSource::any(config)), kind, routes, endpoints).await
    }

    /// A path on which every call is refused, and a request that is.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build_refusing(refusal: Refusal) -> Self {
        let mesh = Mesh::builder(FixedSource::any(refusal.config()));
        let mut path = Self::through(mesh, Routes::Exact, 1, refusal.endpoints()).await;
        if refusal == Refusal::NoRoute {
            path.uri = Uri::from_static("http://host.example/service/unknown");
        }
        path
    }

    /// A path on which every call waits, because no endpoint can be connected.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub fn build_waiting() -> Self {
        let mesh = Mesh::builder(FixedSource::any(config(Routes::Exact, 1, 10)));
        Self::over(&Nowhere::silent(), mesh, Routes::Exact, 1)
    }

    async fn through(mesh: MeshBuilder, kind: Routes, routes: usize, endpoints: usize) -> Self {
        let connector = Nowhere::default();
        let path = Self { endpoints, ..Self::over(&connector, mesh, kind, routes) };
        while connector.connected() < endpoints || path.poll(path.request()).is_pending() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The last endpoint's connection is published a moment after it has been counted.
        tokio::time::sleep(Duration::from_millis(20)).await;
        path
    }

    fn over(connector: &Nowhere, mesh: MeshBuilder, kind: Routes, routes: usize) -> Self {
        let last = routes - 1;
        let host = match kind {
            Routes::VirtualHosts => format!("host-{last}.example"),
            Routes::Exact | Routes::Prefix => "host.example".to_owned(),
        };
        let target = Target::new(host);
        let mesh = mesh.seed(1).connector(connector.clone()).build();
        let channel = Channel::new(&mesh, &target, ChannelSettings::default());
        let channel = channel.expect("a channel");
        let uri = match kind {
            Routes::Exact => format!("http://host.example/service/method-{last}"),
            Routes::Prefix => format!("http://host.example/service-{last}/method"),
            Routes::VirtualHosts => "http://host.example/service/method".to_owned(),
        };
        Self { channel, uri: uri.parse().expect("a URI"), endpoints: 0 }
    }

    /// The same channel, with a URI that shares nothing: for another thread.
    #[must_use]
    pub fn with_own_uri(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            uri: self.uri.to_string().parse().expect("a URI"),
            endpoints: self.endpoints,
        }
    }

    /// A request like one of a generated gRPC client.
    pub fn request(&self) -> Request<Body> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        request
    }

    /// Takes a request all the way, and reads the answer to its end.
    ///
    /// # Panics
    /// When the call fails, or when no endpoint is connected.
    pub fn call(&self, request: Request<Body>) {
        assert_eq!(self.poll(request), Poll::Ready(Ok(StatusCode::OK)));
    }

    /// Takes a request as far as the step that refuses it.
    ///
    /// # Panics
    /// When the call is not refused, or for another reason.
    pub fn refused(&self, request: Request<Body>, refusal: Refusal) {
        assert_eq!(self.poll(request), Poll::Ready(refusal.result()));
    }

    /// Takes a request as far as its wait for an endpoint, and cancels the call.
    ///
    /// # Panics
    /// When the call does not wait.
    pub fn wait(&self, request: Request<Body>) {
        assert_eq!(self.poll(request), Poll::Pending);
    }

    /// Polls a call once: it is pending only while no endpoint is connected.
    fn poll(&self, request: Request<Body>) -> Poll<Result<StatusCode, MeshErrorKind>> {
        let cx = &mut Context::from_waker(Waker::noop());
        let call = pin!(self.channel.call(request, CallOptions::default()));
        call.poll(cx).map(|answer| match answer {
            Ok(response) => {
                let status = response.status();
                drop(response.into_body());
                Ok(status)
            }
            Err(error) => Err(error.kind()),
        })
    }
}

/// Allocations of one call beyond those of building its request, once this thread has called every endpoint: the first call of
/// a thread's shard to an endpoint allocates a reference count, see [`first_allocations_per_endpoint`]. The process must use
/// the counting allocator.
pub fn allocations_per_call(path: &Path) -> f64 {
    (0..path.endpoints).for_each(|_| path.call(path.request()));
    allocations_beyond_request(path, |request| path.call(request))
}

/// Allocations of one refused call beyond those of building its request. The process must use the counting allocator.
pub fn allocations_per_refusal(path: &Path, refusal: Refusal) -> f64 {
    allocations_beyond_request(path, |request| path.refused(request, refusal))
}

/// Allocations of one waiting call beyond those of building its request, once this thread has made a call. The process must use
/// the counting allocator.
pub fn allocations_per_wait(path: &Path) -> f64 {
    path.wait(path.request());
    allocations_beyond_request(path, |request| path.wait(request))
}

/// Allocations beyond those of building requests while this thread calls every endpoint for the first time, divided by the
/// number of endpoints. The process must use the counting allocator.
pub fn first_allocations_per_endpoint(path: &Path) -> f64 {
    let count = |work: &dyn Fn()| {
        let before = crate::allocations();
        (0..path.endpoints).for_each(|_| work());
        crate::allocations() - before
    };
    let build = count(&|| drop(std::hint::black_box(path.request())));
    let beyond = count(&|| path.call(path.request())) - build;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let each = beyond as f64 / path.endpoints as f64;
    each
}

fn allocations_beyond_request(path: &Path, call: impl Fn(Request<Body>)) -> f64 {
    const CALLS: u32 = 1000;
    let count = |work: &dyn Fn()| {
        let before = crate::allocations();
        (0..CALLS).for_each(|_| work());
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let each = (crate::allocations() - before) as f64 / f64::from(CALLS);
        each
    };
    let build = count(&|| drop(std::hint::black_box(path.request())));
    count(&|| call(path.request())) - build
}
