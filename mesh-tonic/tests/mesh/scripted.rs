//! Endpoints in memory that answer by hand, on virtual time: a wait takes no time, and the order of events is always the same.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::FixedSource;
use mesh_core::runtime::connect::{ConnectTarget, Dial};
use tokio::io::DuplexStream;
use tokio::time::Instant;

type Answer = Arc<dyn Fn(Arrival) + Send + Sync>;

/// Endpoints in memory, by their addresses.
#[derive(Clone, Default)]
pub(crate) struct Fleet {
    endpoints: Arc<Mutex<HashMap<SocketAddr, Answer>>>,
    arrivals: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
}

/// A request at an endpoint.
pub(crate) struct Arrival {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    /// The number of the request at this endpoint, from 0.
    pub(crate) number: usize,
}

impl Fleet {
    /// An endpoint that answers with `answer`; returns where.
    pub(crate) fn endpoint(&self, answer: impl Fn(Arrival) + Send + Sync + 'static) -> SocketAddr {
        let mut endpoints = self.endpoints.lock().unwrap();
        let port = u16::try_from(endpoints.len() + 1).unwrap();
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        endpoints.insert(address, Arc::new(answer));
        address
    }

    /// A mesh over these endpoints, with the same random numbers every time.
    pub(crate) fn mesh(&self, config: MeshConfig) -> Mesh {
        Mesh::builder(FixedSource::any(config)).dialer(self.clone()).seed(7).build()
    }

    /// How long after `start` requests came to this endpoint.
    pub(crate) fn arrivals(&self, address: SocketAddr, start: Instant) -> Vec<Duration> {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals.iter().filter(|(at, _)| *at == address).map(|(_, time)| *time - start).collect()
    }

    /// How many requests came to this endpoint.
    pub(crate) fn count(&self, address: SocketAddr) -> usize {
        self.arrivals.lock().unwrap().iter().filter(|(at, _)| *at == address).count()
    }

    fn arrived(&self, address: SocketAddr) -> usize {
        let number = self.count(address);
        self.arrivals.lock().unwrap().push((address, Instant::now()));
        number
    }
}

impl Dial for Fleet {
    type Io = DuplexStream;

    async fn dial(&self, target: &ConnectTarget) -> io::Result<DuplexStream> {
        let address = target.address;
        let Some(answer) = self.endpoints.lock().unwrap().get(&address).cloned() else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let fleet = self.clone();
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(theirs).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let number = fleet.arrived(address);
                answer(Arrival { request, respond, number });
            }
        });
        Ok(ours)
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fleet")
    }
}

impl Arrival {
    /// Never answers; the request's stream stays open until the client resets it.
    pub(crate) fn hang(self) {
        tokio::spawn(async move {
            let Self { mut respond, .. } = self;
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
        });
    }

    /// Answers with this status and no message.
    pub(crate) fn fail(self, code: u32) {
        self.fail_with(code, &[]);
    }

    /// Answers with this status, no message and these headers.
    pub(crate) fn fail_with(mut self, code: u32, headers: &[(&str, &str)]) {
        let mut head = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", code.to_string());
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        self.respond.send_response(head.body(()).unwrap(), true).unwrap();
    }

    /// Answers with an HTTP status, as something in front of the endpoint does.
    pub(crate) fn http(mut self, status: u16) {
        let head = http::Response::builder().status(status).body(()).unwrap();
        self.respond.send_response(head, true).unwrap();
    }

    /// Answers with an empty message and OK after a while.
    pub(crate) fn succeed_after(self, wait: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // the client may have gone
            let _ = crate::raw::try_succeed(self.respond);
        });
    }

    /// Reads the request to its end, gives it to `see`, and answers with an empty message and OK.
    pub(crate) fn read(self, see: impl FnOnce(http::request::Parts, Vec<u8>) + Send + 'static) {
        tokio::spawn(async move {
            let (head, mut body) = self.request.into_parts();
            let mut bytes = Vec::new();
            while let Some(data) = body.data().await {
                // the client has cancelled it
                let Ok(data) = data else { return };
                body.flow_control().release_capacity(data.len()).unwrap();
                bytes.extend_from_slice(&data);
            }
            see(head, bytes);
            let _ = crate::raw::try_succeed(self.respond);
        });
    }

    /// Answers with an empty message and OK.
    pub(crate) fn succeed(self) {
        crate::raw::succeed(self.respond);
    }
}
