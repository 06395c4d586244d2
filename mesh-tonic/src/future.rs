//! The future of a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::protocol::{self, Grpc};
use crate::{ResponseBody, status};

pin_project! {
    /// A call: resolves to the response's head. Dropping it cancels the call.
    #[derive(Debug)]
    pub struct ResponseFuture {
        #[pin]
        response: mesh_core::runtime::ResponseFuture<Grpc>,
    }
}

impl ResponseFuture {
    pub(crate) fn new(response: mesh_core::runtime::ResponseFuture<Grpc>) -> Self {
        Self { response }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.project().response.poll(cx)).map_err(status::of)?;
        if response.status() != StatusCode::OK && protocol::code(response.headers()).is_none() {
            return Poll::Ready(Err(not_grpc(response.status())));
        }
        if let Some(info) = response.body_mut().take_call_info() {
            response.extensions_mut().insert(info);
        }
        Poll::Ready(Ok(response.map(ResponseBody::new)))
    }
}

fn not_grpc(status: StatusCode) -> Status {
    Status::new(status::of_http(status), format!("the endpoint's answer is not gRPC: HTTP status {status}"))
}
