//! Streams within the process, for tests: the test plays the server.
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

use std::sync::{Arc, Mutex, PoisonError};

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tokio::sync::mpsc;

use super::{AdsTransport, RequestSender, ResponseReceiver, TransportError};
use crate::bootstrap::ServerConfig;

/// A transport, and the server that its streams go to.
pub fn pair() -> (MemoryTransport, MemoryServer) {
    let (opened, streams) = mpsc::unbounded_channel();
    let refusal = Arc::new(Mutex::new(None));
    (MemoryTransport { opened, refusal: refusal.clone() }, MemoryServer { streams, refusal })
}

/// Why streams are refused, if they are.
type Refusal = Arc<Mutex<Option<String>>>;

/// The client's side. Whatever server is asked for, it is the one in the process.
#[derive(Debug, Clone)]
pub struct MemoryTransport {
    opened: mpsc::UnboundedSender<MemoryStream>,
    refusal: Refusal,
}

/// The server's side.
#[derive(Debug)]
pub struct MemoryServer {
    streams: mpsc::UnboundedReceiver<MemoryStream>,
    refusal: Refusal,
}

impl MemoryServer {
    /// The next stream that a client opens; `None` when there is no transport any more.
    pub async fn accept(&mut self) -> Option<MemoryStream> {
        self.streams.recv().await
    }

    /// A stream that a client has opened by now.
    pub fn try_accept(&mut self) -> Option<MemoryStream> {
        self.streams.try_recv().ok()
    }

    /// From now on, opening a stream fails with this reason.
    pub fn refuse(&self, reason: &str) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    /// From now on, streams are accepted again.
    pub fn admit(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The server's side of one stream. Dropping it ends the stream without an error.
#[derive(Debug)]
pub struct MemoryStream {
    requests: mpsc::Receiver<DiscoveryRequest>,
    responses: mpsc::UnboundedSender<Result<DiscoveryResponse, TransportError>>,
}

impl MemoryStream {
    /// The client's next request; `None` when it has ended the stream.
    pub async fn request(&mut self) -> Option<DiscoveryRequest> {
        self.requests.recv().await
    }

    /// A request that has arrived by now.
    pub fn try_request(&mut self) -> Option<DiscoveryRequest> {
        self.requests.try_recv().ok()
    }

    /// Sends a response.
    pub fn respond(&self, response: DiscoveryResponse) {
        // A client that is gone does not miss it.
        _ = self.responses.send(Ok(response));
    }

    /// Ends the stream with an error.
    pub fn fail(self, error: TransportError) {
        _ = self.responses.send(Err(error));
    }
}

impl AdsTransport for MemoryTransport {
    type Sender = MemorySender;
    type Receiver = MemoryReceiver;

    async fn open(&self, _server: &ServerConfig) -> Result<(MemorySender, MemoryReceiver), TransportError> {
        if let Some(reason) = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(TransportError::Failed { reason });
        }
        let (sender, requests) = mpsc::channel(1);
        let (responses, receiver) = mpsc::unbounded_channel();
        let stream = MemoryStream { requests, responses };
        self.opened.send(stream).map_err(|_| TransportError::failed("the server is gone"))?;
        Ok((MemorySender { sender }, MemoryReceiver { receiver }))
    }
}

/// The way to the server.
#[derive(Debug)]
pub struct MemorySender {
    sender: mpsc::Sender<DiscoveryRequest>,
}

impl RequestSender for MemorySender {
    async fn ready(&mut self) -> Result<(), TransportError> {
        match self.sender.reserve().await {
            Ok(_place) => Ok(()),
            Err(_) => Err(TransportError::failed("the server has ended the stream")),
        }
    }

    fn send(&mut self, request: DiscoveryRequest) {
        // Only a stream that has ended refuses: its receiver says so.
        _ = self.sender.try_send(request);
    }
}

/// The way back.
#[derive(Debug)]
pub struct MemoryReceiver {
    receiver: mpsc::UnboundedReceiver<Result<DiscoveryResponse, TransportError>>,
}

impl ResponseReceiver for MemoryReceiver {
    async fn receive(&mut self) -> Result<Option<DiscoveryResponse>, TransportError> {
        self.receiver.recv().await.transpose()
    }
}
