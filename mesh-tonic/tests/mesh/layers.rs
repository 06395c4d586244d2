//! `MeshChannel` goes wherever tonic's own channel goes: under interceptors and layers, into generics, trait objects and tasks.

use std::sync::Arc;
use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_tonic::{MeshChannel, ResponseBody};
use tonic::body::Body;
use tonic::codegen::{Bytes, StdError};
use tonic::metadata::MetadataValue;
use tonic::service::{Interceptor, InterceptorLayer};
use tonic::{Code, Request, Status};
use tower::ServiceBuilder;
use tower::util::{BoxCloneService, BoxCloneSyncService, BoxService};

use crate::endpoint::Endpoint;
use crate::hello;

async fn channel() -> (MeshChannel, Endpoint) {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    (MeshChannel::builder("greeter").mesh(&mesh).build().unwrap(), endpoint)
}

/// Any client's bounds, as code over a generic channel repeats them.
async fn greet<T>(channel: T) -> Result<String, Status>
where
    T: tonic::client::GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<StdError> + Send,
{
    Ok(GreeterClient::new(channel).say_hello(hello("you")).await?.into_inner().endpoint)
}

#[derive(Clone)]
struct Token(&'static str);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", MetadataValue::from_static(self.0));
        Ok(request)
    }
}

#[tokio::test]
async fn interceptors_add_metadata_and_refuse_calls() {
    let (channel, endpoint) = channel().await;
    let mut client = GreeterClient::with_interceptor(channel.clone(), Token("bearer t"));
    client.say_hello(hello("you")).await.unwrap();
    assert_eq!(endpoint.take_seen()[0].get("authorization").unwrap(), "bearer t");

    let refuse = |_: Request<()>| -> Result<Request<()>, Status> { Err(Status::unauthenticated("no token")) };
    let status = GreeterClient::with_interceptor(channel, refuse).say_hello(hello("you")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "no token"));
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn layers_of_tower_and_tonic_stack_on_it() {
    let (channel, endpoint) = channel().await;
    let stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(30))
        .concurrency_limit(4)
        .layer(InterceptorLayer::new(Token("bearer t")))
        .map_request(|mut request: http::Request<Body>| {
            request.headers_mut().insert("x-by", http::HeaderValue::from_static("tower"));
            request
        })
        .service(channel);
    assert_eq!(greet(stack).await.unwrap(), "a");
    let seen = endpoint.take_seen().remove(0);
    assert_eq!(seen.get("authorization").unwrap(), "bearer t");
    assert_eq!(seen.get("x-by").unwrap(), "tower");
}

#[tokio::test]
async fn boxed_and_buffered_services_hold_it() {
    let (channel, _endpoint) = channel().await;
    type Boxed = BoxCloneService<http::Request<Body>, http::Response<ResponseBody>, Status>;
    type BoxedSync = BoxCloneSyncService<http::Request<Body>, http::Response<ResponseBody>, Status>;
    let boxed: Boxed = BoxCloneService::new(channel.clone());
    assert_eq!(greet(boxed.clone()).await.unwrap(), "a");
    let boxed: BoxedSync = BoxCloneSyncService::new(channel.clone());
    assert_eq!(greet(boxed).await.unwrap(), "a");
    assert_eq!(greet(BoxService::new(channel.clone())).await.unwrap(), "a");
    let buffered = ServiceBuilder::new().buffer::<http::Request<Body>>(8).service(channel);
    assert_eq!(greet(buffered).await.unwrap(), "a");
}

/// A service's own port to the greeter, as in a program with dependencies that tests replace.
#[tonic::async_trait]
trait Greeting: Send + Sync {
    async fn greet(&self) -> Result<String, Status>;
}

struct OverMesh<T>(GreeterClient<T>);

#[tonic::async_trait]
impl Greeting for OverMesh<MeshChannel> {
    async fn greet(&self) -> Result<String, Status> {
        Ok(self.0.clone().say_hello(hello("you")).await?.into_inner().endpoint)
    }
}

#[tokio::test]
async fn client_over_it_is_shared_as_a_trait_object_and_moved_to_tasks() {
    let (channel, endpoint) = channel().await;
    let greeting: Arc<dyn Greeting> = Arc::new(OverMesh(GreeterClient::new(channel.clone())));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (greeting, mut client) = (greeting.clone(), GreeterClient::new(channel.clone()));
            tokio::spawn(async move {
                let direct = client.say_hello(hello("you")).await?.into_inner().endpoint;
                Ok::<_, Status>((greeting.greet().await?, direct))
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), ("a".to_owned(), "a".to_owned()));
    }
    assert_eq!(endpoint.calls(), 16);
}

#[test]
fn types_of_a_call_are_send_sync_and_static() {
    fn holds<T: Send + Sync + 'static>() {}
    holds::<MeshChannel>();
    holds::<GreeterClient<MeshChannel>>();
    fn moves<T: Send + 'static>() {}
    moves::<mesh_tonic::ResponseFuture>();
    moves::<ResponseBody>();
}
