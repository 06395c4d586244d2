//! A server without descriptors for new connections. The limit is the whole process's, so this test has one of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::service::GreeterService;
use mesh_tonic::{MeshChannel, MeshServer, ServerChain, ServerConfig, ServerRoutes};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tonic::service::Routes;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Counts the lines that say that accepting has failed.
struct Failures(Arc<AtomicUsize>);

struct Text<'a>(&'a AtomicUsize);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" && format!("{value:?}").contains("cannot accept connections") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Failures {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Text(&self.0));
    }
}

/// H4: calls on open connections go on, one line is written for each spell, and accepting goes on when there are descriptors.
///
/// Proves: SV-21.
#[tokio::test]
async fn server_without_descriptors_serves_open_connections_and_accepts_again() {
    let lines = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Failures(lines.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all())).unwrap();
    let server = MeshServer::fixed(config, "127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let task = tokio::spawn(server.serve(Routes::new(GreeterService::new("a", "v1").into_server())));
    let client = |name| GreeterClient::new(MeshChannel::to_endpoints(name, [address]).unwrap());
    let mut before = client("before");
    before.say_hello(HelloRequest::default()).await.unwrap();

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(64), hard).unwrap();
    for spell in 1..=2 {
        let mut idle = Vec::new();
        // Client and server share the limit: the last connection is one that the server cannot accept.
        while let Ok(stream) = TcpStream::connect(address).await {
            idle.push(stream);
        }
        while lines.load(Ordering::Relaxed) < spell {
            before.say_hello(HelloRequest::default()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..50 {
            before.say_hello(HelloRequest::default()).await.unwrap();
        }
        assert_eq!(lines.load(Ordering::Relaxed), spell, "one line for each spell");
        drop(idle);
        let accepted = handle.accepted_connections();
        let mut after = client("after");
        while after.say_hello(HelloRequest::default()).await.is_err() {}
        assert!(handle.accepted_connections() > accepted);
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    task.abort();
}
