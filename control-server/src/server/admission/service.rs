//! A gRPC service with admission.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use crate::connection::Connection;
use crate::server::connections::Machine;

use super::admitter::{Admitter, Origin};
use super::body::HeldBody;
use super::pace::ConnectionPace;

/// The service `S`; each of its methods opens a stream.
#[derive(Debug, Clone)]
pub(in crate::server) struct Admitted<S> {
    inner: S,
    admitter: Admitter,
}

impl<S> Admitted<S> {
    pub(in crate::server) fn new(inner: S, admitter: Admitter) -> Self {
        Self { inner, admitter }
    }
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Admitted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        // The one that was ready.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let admitter = self.admitter.clone();
        let origin = origin(&request);
        Box::pin(async move {
            let permit = match admitter.enter(origin).await {
                Ok(permit) => permit,
                Err(status) => return Ok(status.into_http()),
            };
            let response = inner.call(request).await?;
            Ok(response.map(|body| Body::new(HeldBody::new(body, permit))))
        })
    }
}

fn origin(request: &http::Request<Body>) -> Origin {
    let connection = request.extensions().get::<Connection>();
    let peer = connection.and_then(|connection| connection.peer);
    Origin {
        machine: peer.map(|peer| Machine::of(peer.ip())),
        pace: request.extensions().get::<ConnectionPace>().cloned(),
    }
}
