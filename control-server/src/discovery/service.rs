//! The gRPC service `envoy.service.discovery.v3.AggregatedDiscoveryService`.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::HeaderValue;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::metrics::Metrics;

use super::body::ResponseBody;
use super::cache::ResourceCache;
use super::drain::Drain;
use super::driver::Driver;
use super::registry::{Registry, now};
use super::stream::{Limits, Pacing, Protocol, Stream};
use super::wire::RequestDecoder;

/// Aggregated discovery over one stream, in both variants: state of the world and incremental.
#[derive(Debug, Clone)]
pub struct AggregatedDiscovery {
    cache: ResourceCache,
    registry: Registry,
    drain: Drain,
    metrics: Metrics,
}

impl AggregatedDiscovery {
    /// A service that serves from `cache` and keeps `registry` current.
    pub fn new(cache: ResourceCache, registry: Registry, drain: Drain, metrics: Metrics) -> Self {
        Self { cache, registry, drain, metrics }
    }
}

impl NamedService for AggregatedDiscovery {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl Service<http::Request<Body>> for AggregatedDiscovery {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if let Some(encoding) = request.headers().get(ENCODING).filter(|encoding| *encoding != IDENTITY) {
                let text =
                    format!("requests in the encoding {encoding:?} are not read here; send them as they are");
                let mut response = Status::unimplemented(text).into_http();
                response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
                return Ok(response);
            }
            let protocol = match request.uri().path() {
                STREAM_METHOD => Protocol::Sotw,
                DELTA_METHOD => Protocol::Delta,
                path => return Ok(Status::unimplemented(format!("{path} is not served here")).into_http()),
            };
            Ok(service.stream(protocol, request))
        })
    }
}

impl AggregatedDiscovery {
    /// Accepts a stream: a task reads its requests and writes the response's body.
    fn stream(&self, protocol: Protocol, request: http::Request<Body>) -> http::Response<Body> {
        let request = tonic::Request::from_http(request);
        let connection = Connection::of(&request);
        let peer = connection.peer;
        let limits = Limits::default();
        let stream = Stream::new(now(), protocol, Pacing::default(), limits);
        let registration = self.registry.register(connection, self.cache.clone(), stream);
        let driver = Driver {
            subscription: self.cache.subscribe(registration.client.id),
            registration,
            drain: self.drain.clone(),
            metrics: self.metrics.clone(),
        };
        tracing::info!(peer = peer.map(tracing::field::display), "client connected");
        let limit = Some(MAX_REQUEST_BYTES);
        let inbound =
            Streaming::new_request(RequestDecoder(protocol, limits), request.into_inner(), None, limit);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(driver.run(inbound, sender));
        ResponseBody::new(receiver).into_http()
    }
}

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const IDENTITY: &str = "identity";
const STREAM_METHOD: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const DELTA_METHOD: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// Holds some hundred thousand resource names.
pub(super) const MAX_REQUEST_BYTES: usize = 16 << 20;
