//! The future of a request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::protocol::Http;
use super::{ClientError, ResponseBody, reply};

pin_project! {
    /// A request: resolves to the response's head. Dropping it cancels the request.
    #[derive(Debug)]
    pub struct ResponseFuture {
        #[pin]
        state: State,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State {
        Call {
            #[pin]
            response: mesh_core::runtime::ResponseFuture<Http>,
        },
        Failed {
            // `None`: it has resolved
            error: Option<ClientError>,
        },
    }
}

impl ResponseFuture {
    pub(super) fn of_call(response: mesh_core::runtime::ResponseFuture<Http>) -> Self {
        Self { state: State::Call { response } }
    }

    pub(super) fn failed(error: ClientError) -> Self {
        Self { state: State::Failed { error: Some(error) } }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project().state.project() {
            StateProjection::Call { response } => ready!(response.poll(cx)),
            StateProjection::Failed { error } => {
                return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
            }
        };
        let mut response = match response {
            Ok(response) => response,
            Err(error) => return Poll::Ready(reply::of(error)),
        };
        if let Some(info) = response.body_mut().take_call_info() {
            response.extensions_mut().insert(info);
        }
        Poll::Ready(Ok(response.map(ResponseBody::new)))
    }
}
