//! Connections inside the process.

use std::io;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use super::{ConnectTarget, Dial};

/// A dialer whose connections are pipes in memory, for tests: connections to every address go to the server that accepts
/// them from the [`Incoming`].
///
/// ```
/// use mesh_core::config::MeshConfig;
/// use mesh_core::runtime::connect::InMemory;
/// use mesh_core::runtime::{FixedSource, Mesh};
///
/// let (dialer, incoming) = InMemory::new();
/// let config = MeshConfig::to_endpoints("greeter", ["127.0.0.1:1".parse()?]);
/// let mesh = Mesh::builder(FixedSource::only(config)).dialer(dialer).build();
/// # drop((mesh, incoming));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct InMemory {
    accepting: mpsc::UnboundedSender<DuplexStream>,
}

/// The server's ends of the connections that an [`InMemory`] makes. When it is dropped, further attempts are refused.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::UnboundedReceiver<DuplexStream>,
}

impl InMemory {
    /// A dialer, and the [`Incoming`] from which its server accepts connections.
    pub fn new() -> (Self, Incoming) {
        let (accepting, connections) = mpsc::unbounded_channel();
        (Self { accepting }, Incoming { connections })
    }
}

impl Incoming {
    /// The next connection; `None`: all dialers were dropped.
    pub async fn accept(&mut self) -> Option<DuplexStream> {
        self.connections.recv().await
    }

    /// As [`accept`](Self::accept), for streams of connections.
    pub fn poll_accept(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<DuplexStream>> {
        self.connections.poll_recv(cx)
    }
}

impl Dial for InMemory {
    type Io = DuplexStream;

    async fn dial(&self, _: &ConnectTarget) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(BUFFER);
        match self.accepting.send(theirs) {
            Ok(()) => Ok(ours),
            Err(_) => {
                let text = "the server in memory takes no connections any more";
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, text))
            }
        }
    }
}

/// How many bytes each direction buffers, as a socket does.
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn connections_reach_the_server_until_it_is_dropped() {
        let (dialer, mut incoming) = InMemory::new();
        let target = ConnectTarget::new(([127, 0, 0, 1], 1).into());
        let mut client = dialer.dial(&target).await.unwrap();
        let mut server = incoming.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut word = [0; 5];
        server.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");
        drop(incoming);
        let refused = dialer.dial(&target).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
