//! The gRPC service `envoy.service.discovery.v3.AggregatedDiscoveryService`.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::metrics::Metrics;

use super::cache::ResourceCache;
use super::drain::Drain;
use super::driver::Driver;
use super::registry::{Registry, now};
use super::stream::{Limits, Pacing, Protocol, Request, Stream};
use super::wire::{DiscoveryCodec, Response};

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
            let protocol = match request.uri().path() {
                STREAM_METHOD => Protocol::Sotw,
                DELTA_METHOD => Protocol::Delta,
                path => return Ok(Status::unimplemented(format!("{path} is not served here")).into_http()),
            };
            let mut grpc = Grpc::new(DiscoveryCodec(protocol))
                .apply_max_message_size_config(Some(MAX_REQUEST_BYTES), None);
            Ok(grpc.streaming(Method { service, protocol }, request).await)
        })
    }
}

/// The method of a variant.
struct Method {
    service: AggregatedDiscovery,
    protocol: Protocol,
}

impl StreamingService<Request> for Method {
    type Response = Response;
    type ResponseStream = ReceiverStream<Result<Response, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Request>>) -> Self::Future {
        let connection = Connection::of(&request);
        let peer = connection.peer;
        let service = &self.service;
        let stream = Stream::new(now(), self.protocol, Pacing::default(), Limits::default());
        let registration = service.registry.register(connection, service.cache.clone(), stream);
        let driver = Driver {
            seat: service.cache.take_seat(registration.client.id),
            registration,
            drain: service.drain.clone(),
            metrics: service.metrics.clone(),
        };
        tracing::info!(peer = peer.map(tracing::field::display), "client connected");
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(driver.run(request.into_inner(), sender));
        std::future::ready(Ok(tonic::Response::new(ReceiverStream::new(receiver))))
    }
}

const STREAM_METHOD: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const DELTA_METHOD: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// Holds some hundred thousand resource names.
const MAX_REQUEST_BYTES: usize = 16 << 20;
