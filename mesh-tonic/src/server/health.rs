//! `grpc.health.v1.Health` for a server of the mesh.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use mesh_core::runtime::server::{ServerHandle, ServingState};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{BoxFuture, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tower_service::Service;

use super::wire::{self, Value};
use crate::codec::BytesCodec;

/// Serves `grpc.health.v1.Health` for a [`MeshServer`](crate::MeshServer): whether it serves, as its state says.
///
/// ```
/// # use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
/// use mesh_tonic::{HealthService, MeshServer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all()))?;
/// let server = MeshServer::fixed(config, "127.0.0.1:0").await?;
/// let health = HealthService::of(&server.handle(), ["pkg.Greeter"]);
/// // server.serve(Routes::new(greeter).add_service(health)).await;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HealthService(Arc<Health>);

#[derive(Debug)]
struct Health {
    server: ServerHandle,
    /// The services that it answers for, besides the empty name, which stands for the server.
    services: Box<[String]>,
}

impl HealthService {
    /// For this server, which has services of these names.
    pub fn of(server: &ServerHandle, services: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let services = services.into_iter().map(Into::into).collect();
        Self(Arc::new(Health { server: server.clone(), services }))
    }
}

impl NamedService for HealthService {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl<B> Service<Request<B>> for HealthService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let health = self.0.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "Check" => Grpc::new(BytesCodec).unary(Check(health), request).await,
                "Watch" => Grpc::new(BytesCodec).server_streaming(Watch(health), request).await,
                _ => Status::unimplemented(format!("no method {method:?} in {}", Self::NAME)).into_http(),
            })
        })
    }
}

impl Health {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }
}

/// A message `HealthCheckResponse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl Answer {
    fn of(state: &ServingState) -> Self {
        match state {
            ServingState::Serving => Self::Serving,
            _ => Self::NotServing,
        }
    }

    /// The field `status`, number 1.
    fn encode(self) -> Bytes {
        Bytes::copy_from_slice(&[0x08, self as u8])
    }
}

/// Answers once.
struct Check(Arc<Health>);

impl UnaryService<Bytes> for Check {
    type Response = Bytes;
    type Future = Ready<Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let answer = service(&request.into_inner()).and_then(|service| match self.0.knows(&service) {
            true => Ok(tonic::Response::new(Answer::of(&self.0.server.state()).encode())),
            false => Err(Status::not_found(format!("no service {service:?}"))),
        });
        ready(answer)
    }
}

/// Answers now, and with every change.
struct Watch(Arc<Health>);

impl ServerStreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = Ready<Result<tonic::Response<Answers>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let answers = service(&request.into_inner()).map(|service| match self.0.knows(&service) {
            true => Answers::of_server(self.0.server.clone()),
            false => Answers::unknown(),
        });
        ready(answers.map(tonic::Response::new))
    }
}

type Change = Pin<Box<dyn Future<Output = ServingState> + Send>>;

/// The next state that is another answer than the last, or the end.
fn change(server: ServerHandle, last: Option<Answer>) -> Change {
    let is_other =
        move |state: &ServingState| *state == ServingState::Stopped || Some(Answer::of(state)) != last;
    Box::pin(async move { server.wait_for(is_other).await })
}

struct Answers {
    last: Option<Answer>,
    /// `None`: the server has stopped, and the stream ends, which would hold up its connection's end.
    next: Option<Change>,
    /// `None`: there is no such service, and no change.
    server: Option<ServerHandle>,
}

impl Answers {
    fn of_server(server: ServerHandle) -> Self {
        Self { last: None, next: Some(change(server.clone(), None)), server: Some(server) }
    }

    fn unknown() -> Self {
        Self { last: None, next: Some(Box::pin(std::future::pending())), server: None }
    }
}

impl Stream for Answers {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.server.is_none() && self.last.is_none() {
            self.last = Some(Answer::ServiceUnknown);
            return Poll::Ready(Some(Ok(Answer::ServiceUnknown.encode())));
        }
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let state = ready!(next.as_mut().poll(cx));
        let (answer, last) = (Answer::of(&state), self.last);
        self.last = Some(answer);
        self.next = match (&self.server, state) {
            (None, _) | (_, ServingState::Stopped) => None,
            (Some(server), _) => Some(change(server.clone(), self.last)),
        };
        // the end may come without another answer
        Poll::Ready((last != Some(answer)).then(|| Ok(answer.encode())))
    }
}

/// The field `service`, number 1, of a message `HealthCheckRequest`; other fields are skipped.
fn service(message: &[u8]) -> Result<String, Status> {
    let malformed = || Status::internal("the request is no HealthCheckRequest");
    let mut service: &[u8] = &[];
    let read = wire::read(message, |number, value| {
        if let (1, Value::Bytes(value)) = (number, value) {
            service = value;
        }
    });
    read.ok_or_else(malformed)?;
    String::from_utf8(service.to_vec()).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_of_a_request_is_its_first_field() {
        let rows: [(&[u8], Option<&str>); 9] = [
            (b"", Some("")),
            (b"\x0a\x01a", Some("a")),
            (b"\x0a\x01a\x0a\x02bc", Some("bc")),
            (b"\x10\x96\x01\x0a\x01a\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0", Some("a")),
            (b"\x0a\x02a", None),
            (b"\x0a", None),
            (b"\x0b", None),
            (b"\x0a\x01\xff", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (message, expected) in rows {
            assert_eq!(service(message).ok().as_deref(), expected, "{message:?}");
        }
    }
}
