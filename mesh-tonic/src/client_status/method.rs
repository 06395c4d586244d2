//! The two methods of CSDS.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tonic::codegen::tokio_stream::Stream;
use tonic::server::{StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use xds_client::status::{Refused, answer};

use super::Clients;

/// Answers one request.
#[derive(Debug)]
pub(super) struct Fetch(pub(super) Clients);

impl UnaryService<Bytes> for Fetch {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(answer_of(&self.0, &request.into_inner()).map(Response::new))
    }
}

/// Answers each request of a stream, until the first that is refused.
#[derive(Debug)]
pub(super) struct Watch(pub(super) Clients);

impl StreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(Answers { clients: self.0.clone(), requests: request.into_inner() })))
    }
}

#[derive(Debug)]
pub(super) struct Answers {
    clients: Clients,
    requests: Streaming<Bytes>,
}

impl Stream for Answers {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let request = Pin::new(&mut self.requests).poll_next(context);
        request.map(|request| Some(request?.and_then(|request| answer_of(&self.clients, &request))))
    }
}

fn answer_of(clients: &Clients, request: &[u8]) -> Result<Bytes, Status> {
    answer(&clients.alive(), request).map_err(|refused| match refused {
        // TR-60
        Refused::NodeMatchers => Status::invalid_argument(refused.to_string()),
        _ => Status::internal(refused.to_string()),
    })
}
