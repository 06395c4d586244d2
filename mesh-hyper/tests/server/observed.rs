//! What an observer of a server learns of its requests.

use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
use mesh_core::observe::{ServedCall, ServedRecord, ServerObserver};
use mesh_core::runtime::CallKind;
use mesh_hyper::{FixedServer, MeshServer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{LIMIT, Running, router};

/// Kind, path, status and size of the response of a request that has ended.
type Ended = (CallKind, String, u32, u64);

#[derive(Debug)]
struct Observer {
    started: mpsc::UnboundedSender<String>,
    ended: mpsc::UnboundedSender<Ended>,
}

impl ServerObserver for Observer {
    fn call_started(&self, call: &ServedCall<'_>) {
        _ = self.started.send(call.method.to_string());
    }

    fn call_ended(&self, ended: &ServedRecord<'_>) {
        let ServedRecord { call, status, sent, .. } = ended;
        _ = self.ended.send((call.kind, call.method.to_string(), *status, *sent));
    }
}

/// A server of this router that is observed, and what has started and ended.
async fn observed(
    router: axum::Router,
) -> (Running, mpsc::UnboundedReceiver<String>, mpsc::UnboundedReceiver<Ended>) {
    let (starts, started) = mpsc::unbounded_channel();
    let (ends, ended) = mpsc::unbounded_channel();
    let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all())).unwrap();
    let builder = MeshServer::builder().observer(Observer { started: starts, ended: ends });
    let server = builder.fixed(&FixedServer::new(config), "127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    (Running { address, handle, task: tokio::spawn(server.serve(router)) }, started, ended)
}

async fn next<T>(of: &mut mpsc::UnboundedReceiver<T>) -> T {
    timeout(LIMIT, of.recv()).await.expect("nothing came").expect("the server has ended")
}

#[tokio::test]
async fn observer_learns_of_requests_of_http_and_of_grpc() {
    let (server, mut started, mut ended) = observed(router()).await;
    let request = "POST /count?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    assert!(server.exchange(request).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(next(&mut ended).await, (CallKind::Http, "count".to_owned(), 200, 1));

    let malformed = "GET /100% HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(server.exchange(malformed).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(next(&mut ended).await, (CallKind::Http, "100%".to_owned(), 400, 0));

    let grpc = "POST /pkg.Svc/Get HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\
                Connection: close\r\n\r\n";
    server.exchange(grpc).await;
    // the router is none of gRPC's: its response has no status
    let (kind, method, status, _) = next(&mut ended).await;
    assert_eq!((kind, method.as_str(), status), (CallKind::Grpc, "pkg.Svc/Get", 2));
    for path in ["count", "100%", "pkg.Svc/Get"] {
        assert_eq!(next(&mut started).await, path);
    }
}

#[tokio::test]
async fn request_that_its_client_leaves_is_observed_as_such() {
    let stuck = axum::Router::new().fallback(std::future::pending::<()>);
    let (server, mut started, mut ended) = observed(stuck).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(next(&mut started).await, "slow");
    drop(stream);
    assert_eq!(next(&mut ended).await, (CallKind::Http, "slow".to_owned(), 499, 0));
}
