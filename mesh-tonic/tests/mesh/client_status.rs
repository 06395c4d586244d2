//! CSDS over a socket. Messages are bytes here; tests/ has one with the messages' types.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use mesh_core::runtime::{ConfigSource, Target};
use mesh_tonic::ClientStatusService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::transport::memory;
use xds_client::{Options, XdsClient, start_with};

use crate::eventually;

fn xds_client(node: &str) -> (XdsClient, memory::MemoryServer) {
    let (transport, server) = memory::pair();
    let bootstrap =
        Bootstrap::builder().server(ServerConfig::insecure("control:15010")).node_id(node).build().unwrap();
    (start_with(bootstrap, transport, Options::default()).unwrap(), server)
}

/// The service on a port of its own.
struct Csds {
    grpc: Grpc<Channel>,
    server: JoinHandle<()>,
}

impl Csds {
    async fn start(service: ClientStatusService) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(service);
        let server = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        let channel = Channel::from_shared(uri).unwrap().connect().await.unwrap();
        Self { grpc: Grpc::new(channel), server }
    }

    async fn unary(&mut self, method: &str, request: &'static [u8]) -> Result<Bytes, Status> {
        self.grpc.ready().await.unwrap();
        let request = Request::new(Bytes::from_static(request));
        self.grpc.unary(request, path(method), Raw).await.map(tonic::Response::into_inner)
    }
}

impl Drop for Csds {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn path(method: &str) -> PathAndQuery {
    let service = "envoy.service.status.v3.ClientStatusDiscoveryService";
    PathAndQuery::try_from(format!("/{service}/{method}")).unwrap()
}

fn has(answer: &Bytes, text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A `ClientStatusRequest` with one empty matcher.
const MATCHER: &[u8] = b"\x0a\x00";

/// Proves: TR-57, TR-60.
#[tokio::test]
async fn incomplete_or_unknown_requests_are_refused() {
    let (client, _control) = xds_client("n1");
    let mut csds = Csds::start(ClientStatusService::new([&client])).await;
    let rows: [(&str, &[u8], Result<(), Code>); 5] = [
        ("FetchClientStatus", b"", Ok(())),
        ("FetchClientStatus", MATCHER, Err(Code::InvalidArgument)),
        ("FetchClientStatus", b"\x0a", Err(Code::Internal)),
        ("StreamClientStatus", MATCHER, Err(Code::InvalidArgument)),
        ("PushClientStatus", b"", Err(Code::Unimplemented)),
    ];
    for (method, request, expected) in rows {
        let answer = csds.unary(method, request).await;
        assert_eq!(answer.map(drop).map_err(|status| status.code()), expected, "{method} {request:?}");
    }
}

/// Proves: TR-57.
#[tokio::test]
async fn stream_answers_each_request() {
    let (client, _control) = xds_client("n1");
    let mut csds = Csds::start(ClientStatusService::new([&client])).await;
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    let requests_in = tokio_stream::wrappers::ReceiverStream::new(receiver);
    csds.grpc.ready().await.unwrap();
    let stream = csds.grpc.streaming(Request::new(requests_in), path("StreamClientStatus"), Raw);
    let mut answers = stream.await.unwrap().into_inner();
    requests.send(Bytes::new()).await.unwrap();
    assert!(!has(&answers.next().await.unwrap().unwrap(), "greeter"));
    let _watch = client.watch(&Target::new("greeter")).unwrap();
    eventually("the target is watched", || !client.status().resources.is_empty()).await;
    requests.send(Bytes::new()).await.unwrap();
    assert!(has(&answers.next().await.unwrap().unwrap(), "greeter"));
    requests.send(Bytes::from_static(MATCHER)).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::InvalidArgument);
    assert!(answers.next().await.is_none());
}

/// Proves: TR-61.
#[tokio::test]
async fn each_client_has_its_entry_and_is_not_kept_alive() {
    let ((one, _first), (two, _second)) = (xds_client("node-one"), xds_client("node-two"));
    let mut csds = Csds::start(ClientStatusService::new([&one, &two])).await;
    let answer = csds.unary("FetchClientStatus", b"").await.unwrap();
    assert!(has(&answer, "node-one") && has(&answer, "node-two"));
    drop(one);
    let answer = csds.unary("FetchClientStatus", b"").await.unwrap();
    assert!(!has(&answer, "node-one") && has(&answer, "node-two"));
    drop(two);
    assert!(csds.unary("FetchClientStatus", b"").await.unwrap().is_empty());
}

#[tokio::test]
async fn process_without_client_returns_no_configuration() {
    let mut csds = Csds::start(ClientStatusService::shared()).await;
    assert!(csds.unary("FetchClientStatus", b"").await.unwrap().is_empty());
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

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
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
