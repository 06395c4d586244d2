//! Streams within the process, for tests: the test acts as the servers.
//!
//! ```
//! use xds_client::transport::memory;
//!
//! let (transport, mut server) = memory::pair();
//! // Give `transport` to `xds_client::start_with`, then:
//! // let mut stream = server.accept().await;
//! // let request = stream.request().await;
//! // stream.respond(response);
//! # drop((transport, server));
//! ```

mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use super::{AdsRequest, AdsResponse, AdsTransport, TransportError, Variant};
use crate::bootstrap::ServerConfig;

pub use stream::{MemoryLoadStream, MemoryReceiver, MemorySender, MemoryStream};

/// A transport, and the server that its streams go to.
pub fn pair() -> (MemoryTransport, MemoryServer) {
    let (opened, streams) = mpsc::unbounded_channel();
    let (opened_reports, load_streams) = mpsc::unbounded_channel();
    let refusals = Arc::new(Mutex::new(Refusals::default()));
    let transport = MemoryTransport { opened, opened_reports, refusals: refusals.clone() };
    (transport, MemoryServer { streams, load_streams, refusals })
}

/// Why streams are refused, for all servers and for single ones.
#[derive(Debug, Default)]
struct Refusals {
    all: Option<String>,
    by_server: BTreeMap<String, String>,
}

/// The client's side. All servers are the one in the process; a stream has the URI of the server that the client
#[derive(Debug, Clone)]
pub struct MemoryTransport {
    opened: mpsc::UnboundedSender<MemoryStream>,
    opened_reports: mpsc::UnboundedSender<MemoryLoadStream>,
    refusals: Arc<Mutex<Refusals>>,
}

impl MemoryTransport {
    fn admitted(&self, server: &ServerConfig) -> Result<(), TransportError> {
        let refusals = lock(&self.refusals);
        match refusals.by_server.get(server.uri()).or(refusals.all.as_ref()) {
            Some(reason) => Err(TransportError::failed(reason)),
            None => Ok(()),
        }
    }
}

/// The server's end of the transport: accepts the streams to all servers.
#[derive(Debug)]
pub struct MemoryServer {
    streams: mpsc::UnboundedReceiver<MemoryStream>,
    load_streams: mpsc::UnboundedReceiver<MemoryLoadStream>,
    refusals: Arc<Mutex<Refusals>>,
}

impl MemoryServer {
    /// The next ADS stream that a client opens; `None` when there is no transport any more.
    pub async fn accept(&mut self) -> Option<MemoryStream> {
        self.streams.recv().await
    }

    /// An ADS stream that a client has opened by now.
    pub fn try_accept(&mut self) -> Option<MemoryStream> {
        self.streams.try_recv().ok()
    }

    /// The next stream of load reports that a client opens; `None` when there is no transport any more.
    pub async fn accept_load_report(&mut self) -> Option<MemoryLoadStream> {
        self.load_streams.recv().await
    }

    /// A stream of load reports that a client has opened by now.
    pub fn try_accept_load_report(&mut self) -> Option<MemoryLoadStream> {
        self.load_streams.try_recv().ok()
    }

    /// From now on, opening any stream fails with this reason.
    pub fn refuse(&self, reason: &str) {
        lock(&self.refusals).all = Some(reason.to_owned());
    }

    /// From now on, streams are accepted again, except those of servers that are refused by URI.
    pub fn admit(&self) {
        lock(&self.refusals).all = None;
    }

    /// From now on, opening a stream to the server of this URI fails with this reason.
    pub fn refuse_server(&self, uri: &str, reason: &str) {
        lock(&self.refusals).by_server.insert(uri.to_owned(), reason.to_owned());
    }

    /// From now on, streams to the server of this URI are treated like those of all others.
    pub fn admit_server(&self, uri: &str) {
        lock(&self.refusals).by_server.remove(uri);
    }
}

impl AdsTransport for MemoryTransport {
    type Sender = MemorySender<AdsRequest>;
    type Receiver = MemoryReceiver<AdsResponse>;
    type LoadSender = MemorySender<LoadStatsRequest>;
    type LoadReceiver = MemoryReceiver<LoadStatsResponse>;

    async fn open(
        &self,
        server: &ServerConfig,
        variant: Variant,
    ) -> Result<(Self::Sender, Self::Receiver), TransportError> {
        self.admitted(server)?;
        let (stream, sender, receiver) = MemoryStream::open(server, variant);
        self.opened.send(stream).map_err(|_| gone())?;
        Ok((sender, receiver))
    }

    async fn open_load_report(
        &self,
        server: &ServerConfig,
    ) -> Result<(Self::LoadSender, Self::LoadReceiver), TransportError> {
        self.admitted(server)?;
        let (stream, sender, receiver) = MemoryLoadStream::open(server);
        self.opened_reports.send(stream).map_err(|_| gone())?;
        Ok((sender, receiver))
    }
}

fn gone() -> TransportError {
    TransportError::failed("the server is gone")
}

fn lock(refusals: &Mutex<Refusals>) -> MutexGuard<'_, Refusals> {
    refusals.lock().unwrap_or_else(PoisonError::into_inner)
}
