//! Steps 1 to 5 of a request's way, with an endpoint that answers at once and touches no socket.

mod config;
mod connection;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::Empty;
use mesh_core::runtime::{CallOptions, Channel, ChannelSettings, FixedSource, Mesh, MeshBuilder, Target};

use crate::reporting::{ReportingSource, with_settings};
use config::{config, three_filters};

pub use config::Routes;
pub use connection::{Answering, Body, Nowhere, Plain};

/// A channel whose endpoints are all connected, and the request that takes its last route.
#[derive(Debug)]
pub struct Path {
    channel: Channel<Plain, Nowhere>,
    uri: Uri,
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

    async fn through(mesh: MeshBuilder, kind: Routes, routes: usize, endpoints: usize) -> Self {
        let connector = Nowhere::default();
        let last = routes - 1;
        let host = match kind {
            Routes::VirtualHosts => format!("host-{last}.example"),
            Routes::Exact | Routes::Prefix => "host.example".to_owned(),
        };
        let target = Target::new(host);
        let mesh = mesh.connector(connector.clone()).build();
        let channel = Channel::new(&mesh, &target, ChannelSettings::default());
        let channel = channel.expect("a channel");
        let uri = match kind {
            Routes::Exact => format!("http://host.example/service/method-{last}"),
            Routes::Prefix => format!("http://host.example/service-{last}/method"),
            Routes::VirtualHosts => "http://host.example/service/method".to_owned(),
        };
        let path = Self { channel, uri: uri.parse().expect("a URI") };
        while connector.connected() < endpoints || path.call(path.request()).is_pending() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The last endpoint's connection is published a moment after it has been counted.
        tokio::time::sleep(Duration::from_millis(20)).await;
        path
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

    /// Takes a request all the way, and reads the answer to its end. Ready at once unless no endpoint is connected.
    ///
    /// # Panics
    /// When the call fails.
    pub fn call(&self, request: Request<Body>) -> Poll<()> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut call = pin!(self.channel.call(request, CallOptions::default()));
        match call.as_mut().poll(cx) {
            Poll::Ready(response) => {
                let _body = response.expect("an answer").into_body();
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Allocations of one call beyond those of building its request. The process must use the counting allocator.
pub fn allocations_per_call(path: &Path) -> f64 {
    const CALLS: u32 = 1000;
    let count = |work: &dyn Fn()| {
        let before = crate::allocations();
        (0..CALLS).for_each(|_| work());
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let each = (crate::allocations() - before) as f64 / f64::from(CALLS);
        each
    };
    let build = count(&|| drop(std::hint::black_box(path.request())));
    count(&|| assert!(path.call(path.request()).is_ready(), "an endpoint is connected")) - build
}
