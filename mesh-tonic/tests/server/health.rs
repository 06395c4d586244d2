//! The health service of a `MeshServer`, called as any gRPC client does.

use std::time::Duration;

use bytes::Bytes;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_tonic::{FixedServer, HealthService, MeshChannel, MeshServer, ServingState, SourceError};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::Routes;
use tonic::{Code, Request, Status, Streaming};

use crate::open_to_all;

/// Leaves messages encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(buffer, message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length)))
    }
}

type Client = tonic::client::Grpc<MeshChannel>;

fn request(service: &str) -> Request<Bytes> {
    let mut message = vec![0x0a, u8::try_from(service.len()).unwrap()];
    message.extend_from_slice(service.as_bytes());
    Request::new(message.into())
}

async fn check(client: &mut Client, service: &str) -> Result<Bytes, Code> {
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let reply = client.unary(request(service), path, Raw).await;
    reply.map(tonic::Response::into_inner).map_err(|status| status.code())
}

async fn watch(client: &mut Client, service: &str) -> Streaming<Bytes> {
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
    client.server_streaming(request(service), path, Raw).await.unwrap().into_inner()
}

const SERVING: Bytes = Bytes::from_static(&[8, 1]);
const NOT_SERVING: Bytes = Bytes::from_static(&[8, 2]);
const SERVICE_UNKNOWN: Bytes = Bytes::from_static(&[8, 3]);

#[tokio::test]
async fn health_follows_the_state_of_the_server_to_its_end() {
    let config = FixedServer::new(open_to_all());
    let server = MeshServer::builder().fixed(&config, "127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let health = HealthService::of(&handle, ["mesh.examples.v1.Greeter"]);
    let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
    let task = tokio::spawn(server.serve(Routes::new(greeter).add_service(health)));
    let mut client = Client::new(MeshChannel::to_endpoints("health", [address]).unwrap());
    for (service, expected) in
        [("", Ok(SERVING)), ("mesh.examples.v1.Greeter", Ok(SERVING)), ("other", Err(Code::NotFound))]
    {
        assert_eq!(check(&mut client, service).await, expected, "{service:?}");
    }
    let mut unknown = watch(&mut client, "other").await;
    assert_eq!(unknown.message().await.unwrap(), Some(SERVICE_UNKNOWN));
    drop(unknown);
    let mut changes = watch(&mut client, "").await;
    assert_eq!(changes.message().await.unwrap(), Some(SERVING));
    // the stream runs on, on its connection that drains
    config.fail(SourceError::new("the listener is gone"));
    assert_eq!(changes.message().await.unwrap(), Some(NOT_SERVING));
    config.set(open_to_all());
    assert_eq!(changes.message().await.unwrap(), Some(SERVING));
    handle.wait_for(|state| *state == ServingState::Serving).await;
    let stopping = tokio::spawn({
        let handle = handle.clone();
        async move { handle.shutdown(Duration::from_secs(600)).await }
    });
    assert_eq!(changes.message().await.unwrap(), Some(NOT_SERVING));
    // the watch holds up no shutdown
    assert_eq!(changes.message().await.unwrap(), None);
    stopping.await.unwrap();
    task.await.unwrap();
}
