//! The layer that sends the load with each response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Load, LoadReportBody};
use super::{CallLoad, LoadReporter};

/// Sends the load with each response, in the trailer `endpoint-load-metrics-bin` (gRFC A51). A response without anything to tell stays
/// as it is.
#[derive(Debug, Clone, Default)]
pub struct LoadReportLayer(Option<LoadReporter>);

impl LoadReportLayer {
    /// Sends only what handlers say of their calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the server's load, and what handlers say of their calls.
    pub fn of(server: &LoadReporter) -> Self {
        Self(Some(server.clone()))
    }
}

impl<S> Layer<S> for LoadReportLayer {
    type Service = LoadReported<S>;

    fn layer(&self, service: S) -> LoadReported<S> {
        LoadReported { service, server: self.0.clone() }
    }
}

/// A service whose responses tell the load; made by [`LoadReportLayer`].
#[derive(Debug, Clone)]
pub struct LoadReported<S> {
    service: S,
    server: Option<LoadReporter>,
}

impl<S, B, R> Service<Request<B>> for LoadReported<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<LoadReportBody<R>>;
    type Error = S::Error;
    type Future = LoadReportFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = CallLoad::default();
        request.extensions_mut().insert(call.clone());
        let load = Some(Load { server: self.server.clone(), call });
        LoadReportFuture { response: self.service.call(request), load }
    }
}

pin_project! {
    /// Resolves to a response that tells the load.
    #[derive(Debug)]
    pub struct LoadReportFuture<F> {
        #[pin]
        response: F,
        load: Option<Load>,
    }
}

impl<F, R, E> Future for LoadReportFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<LoadReportBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        let (mut head, body) = response.into_parts();
        // A response that ends with its head has its trailers there.
        let load = match this.load.take() {
            Some(load) if head.headers.contains_key("grpc-status") => {
                load.add_to(&mut head.headers);
                None
            }
            load => load,
        };
        Poll::Ready(Ok(Response::from_parts(head, LoadReportBody::new(body, load))))
    }
}
