//! Greeters on free ports.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, mem};

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::testing::reserved_address;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

/// A greeter on a port of its own.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Cloned into every connection.
    open: Arc<()>,
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_at(name, reserved_address()).await
    }

    pub(crate) async fn start_at(name: &str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, seen) = (Arc::new(()), Arc::new(Mutex::new(Vec::new())));
        let (stop, stopped) = oneshot::channel::<()>();
        let record = {
            let seen = seen.clone();
            move |request: Request<()>| -> Result<Request<()>, Status> {
                seen.lock().unwrap().push(request.metadata().clone());
                Ok(request)
            }
        };
        let service = GreeterServer::with_interceptor(GreeterService::new(name, "v1"), record);
        let counter = open.clone();
        let incoming = TcpListenerStream::new(listener).map(move |io| {
            let io = io?;
            io.set_nodelay(true)?;
            Ok::<_, io::Error>(Counted { io, _open: counter.clone() })
        });
        let server = Server::builder().add_service(service);
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        Self { address, open, seen, stop, task }
    }

    /// How many calls have come.
    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The metadata of the calls since the last time.
    pub(crate) fn take_seen(&self) -> Vec<MetadataMap> {
        mem::take(&mut self.seen.lock().unwrap())
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        // this one and the acceptor's
        Arc::strong_count(&self.open) - 2
    }

    /// Ends like a process that has got SIGTERM: GOAWAY, running calls end, the port is free.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

struct Counted {
    io: TcpStream,
    _open: Arc<()>,
}

impl Connected for Counted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
