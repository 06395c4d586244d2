//! An agent of the Workload API, for tests.

use std::convert::Infallible;
use std::path::Path;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::certificate::{X509SvidRequest, X509SvidResponse};

/// Tells every caller the latest message.
#[derive(Debug, Clone)]
struct Agent(watch::Receiver<X509SvidResponse>);

impl NamedService for Agent {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl ServerStreamingService<X509SvidRequest> for Agent {
    type Response = X509SvidResponse;
    type ResponseStream = BoxStream<'static, Result<X509SvidResponse, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<X509SvidRequest>) -> Self::Future {
        let told = unfold((self.0.clone(), true), async |(mut told, is_first)| {
            if !is_first {
                told.changed().await.ok()?;
            }
            let latest = told.borrow_and_update().clone();
            Some((Ok(latest), (told, false)))
        });
        let is_workload = request.metadata().get("workload.spiffe.io").is_some_and(|value| value == "true");
        Box::pin(async move {
            match is_workload {
                true => Ok(Response::new(told.boxed())),
                false => Err(Status::invalid_argument("the header workload.spiffe.io is missing")),
            }
        })
    }
}

impl tower_service::Service<http::Request<Body>> for Agent {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchX509SVID");
        let agent = self.clone();
        let codec = ProstCodec::<X509SvidResponse, X509SvidRequest>::default();
        Box::pin(async move { Ok(Grpc::new(codec).server_streaming(agent, request).await) })
    }
}

/// Starts an agent at this socket.
pub(crate) fn start_workload_agent(socket: &Path, told: watch::Receiver<X509SvidResponse>) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    let server = tonic::transport::Server::builder().add_service(Agent(told));
    tokio::spawn(async move {
        _ = server.serve_with_incoming(UnixListenerStream::new(listener)).await;
    })
}
