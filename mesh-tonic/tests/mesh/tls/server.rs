//! A greeter behind the mesh's acceptor.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::config::ServerTls;
use mesh_core::runtime::tls::{Acceptor, AcceptorSettings, HandshakeError, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// A client's SPIFFE id, or why it was refused.
type Outcome = Result<Option<String>, HandshakeError>;

/// A greeter that speaks TLS.
pub(super) struct TlsServer {
    pub(super) address: SocketAddr,
    /// The SPIFFE ids of accepted clients, and refusals.
    seen: Arc<Mutex<Vec<Outcome>>>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    pub(super) async fn start(tls: ServerTls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (accepted, incoming) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let (acceptor, tls, log) = (Acceptor::new(AcceptorSettings::default()), Arc::new(tls), seen.clone());
        tasks.spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let (acceptor, tls, log, accepted) =
                    (acceptor.clone(), tls.clone(), log.clone(), accepted.clone());
                tokio::spawn(async move {
                    let result = acceptor.accept(io, &tls).await;
                    let peer = result.as_ref().map(|accepted| {
                        accepted
                            .peer
                            .identity
                            .as_ref()
                            .and_then(|peer| peer.spiffe_id.as_deref().map(str::to_owned))
                    });
                    log.lock().unwrap().push(peer.map_err(Clone::clone));
                    if let Ok(secured) = result {
                        _ = accepted.send(Ok::<_, io::Error>(Stream(secured.stream)));
                    }
                });
            }
        });
        let service = GreeterServer::new(GreeterService::new("secure", "v1"));
        tasks.spawn(async move {
            let incoming = UnboundedReceiverStream::new(incoming);
            _ = Server::builder().add_service(service).serve_with_incoming(incoming).await;
        });
        Self { address, seen, _tasks: tasks }
    }

    /// What has come of the handshakes so far.
    pub(super) fn seen(&self) -> Vec<Outcome> {
        self.seen.lock().unwrap().clone()
    }
}

struct Stream(TlsStream<TcpStream>);

impl Connected for Stream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
