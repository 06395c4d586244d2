//! A gRPC service behind an entrance.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use super::body::HeldBody;
use super::entrance::Entrance;

/// `S`, of which every method opens a stream.
#[derive(Debug, Clone)]
pub(in crate::server) struct Admitted<S> {
    inner: S,
    entrance: Entrance,
}

impl<S> Admitted<S> {
    pub(in crate::server) fn new(inner: S, entrance: Entrance) -> Self {
        Self { inner, entrance }
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
        let entrance = self.entrance.clone();
        Box::pin(async move {
            let permit = match entrance.enter().await {
                Ok(permit) => permit,
                Err(status) => return Ok(status.into_http()),
            };
            let response = inner.call(request).await?;
            Ok(response.map(|body| Body::new(HeldBody::new(body, permit))))
        })
    }
}
