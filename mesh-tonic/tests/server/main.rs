//! `MeshServer` over real sockets: generated services, and clients that speak gRPC or nothing.
#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
mod drains;
mod filters;
mod handshakes;
mod health;
mod load;
mod logs;
mod raw;
mod restarts;
mod states;
mod tokens;

use std::net::SocketAddr;
use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::greeter_server::GreeterServer;
use examples::greeter::{HelloReply, HelloRequest};
use examples::service::GreeterService;
use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
use mesh_core::testing::reserved_address;
use mesh_tonic::{FixedServer, MeshChannel, MeshServer, ServerHandle, ServerSettings};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};

type Client = GreeterClient<MeshChannel>;

/// A server with a greeter. Dropping it ends it.
struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl Running {
    /// A greeter of this name on a free port.
    async fn start(name: &str, config: &FixedServer, settings: ServerSettings) -> Self {
        Self::start_at(reserved_address(), name, config, settings).await
    }

    async fn start_at(
        address: SocketAddr,
        name: &str,
        config: &FixedServer,
        settings: ServerSettings,
    ) -> Self {
        let server = MeshServer::builder().settings(settings).fixed(config, address).await.unwrap();
        Self::serve(server, name)
    }

    fn serve(server: MeshServer, name: &str) -> Self {
        let (address, handle) = (server.local_addr(), server.handle());
        let greeter = Routes::new(GreeterServer::new(GreeterService::new(name, "v1")));
        Self { address, handle, task: tokio::spawn(server.serve(greeter)) }
    }

    fn client(&self) -> Client {
        client([self.address])
    }

    /// How many connections there are.
    fn connections(&self) -> usize {
        self.handle.connections()
    }

    /// How many connections there have been.
    fn accepted(&self) -> u64 {
        self.handle.accepted_connections()
    }

    /// Keeps it until its last call.
    async fn until_ended(mut self) {
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client with one connection to each endpoint.
fn client(endpoints: impl IntoIterator<Item = SocketAddr>) -> Client {
    GreeterClient::new(MeshChannel::to_endpoints("greeter", endpoints).unwrap())
}

/// Every connection and every call, in plaintext.
fn open_to_all() -> ServerConfig {
    ServerConfig::of_chain(ServerChain::new(ServerRoutes::all())).unwrap()
}

fn asking(behavior: &'static str) -> Request<HelloRequest> {
    let mut request = Request::new(HelloRequest::default());
    request.metadata_mut().insert("rpc-behavior", behavior.parse().unwrap());
    request
}

/// One call; which endpoint answered.
async fn call(client: &mut Client) -> Result<String, Status> {
    client.say_hello(HelloRequest::default()).await.map(|reply| reply.into_inner().endpoint)
}

/// Calls until a call fails.
async fn until_refused(client: &mut Client) -> Status {
    for _ in 0..1000 {
        match call(client).await {
            Err(status) => return status,
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("no call was refused");
}

/// A stream that stays open: its head and first reply have come, and `send` makes the next one come.
struct OpenStream {
    send: tokio::sync::mpsc::Sender<HelloRequest>,
    replies: Streaming<HelloReply>,
}

impl OpenStream {
    async fn begin(client: &mut Client) -> Self {
        let (send, requests) = tokio::sync::mpsc::channel(1);
        send.send(HelloRequest::default()).await.unwrap();
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        let mut replies = client.chat(requests).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();
        Self { send, replies }
    }

    /// Sends one more request and gets its reply.
    async fn exchange(&mut self) -> Result<(), Status> {
        let _ = self.send.send(HelloRequest::default()).await;
        self.replies.message().await.map(|reply| assert!(reply.is_some(), "the stream has ended"))
    }

    /// Ends the requests; the server ends its replies then.
    async fn end(mut self) -> Result<(), Status> {
        drop(self.send);
        while self.replies.message().await?.is_some() {}
        Ok(())
    }
}

/// Waits for something that is to become true soon.
async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if is_true().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came true that {what}");
}
