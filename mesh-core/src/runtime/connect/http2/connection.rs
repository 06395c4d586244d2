//! A connection as calls see it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use http::header::TE;
use http::request::Parts;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime::connect::{Connection, Reserve, SendBody, SendErrorKind, SendFailure};

use super::driver::Shared;
use super::upload::Upload;
use super::{Http2Body, Http2Call};

/// An HTTP/2 connection.
#[derive(Clone)]
pub struct Http2Connection(Arc<Inner>);

struct Inner {
    sender: SendRequest<Bytes>,
    shared: Arc<Shared>,
    runtime: Handle,
    /// Tells the connection's task, by being dropped, that nobody can send calls any more.
    _released: oneshot::Sender<()>,
}

impl Http2Connection {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        shared: Arc<Shared>,
        released: oneshot::Sender<()>,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Inner { sender, shared, runtime, _released: released }))
    }

    /// How many calls the endpoint takes at once; further ones wait inside the connection.
    pub fn max_concurrent_streams(&self) -> usize {
        self.0.sender.current_max_send_streams()
    }

    /// How many calls are in flight.
    pub fn calls(&self) -> usize {
        self.0.shared.calls.load(Ordering::Relaxed)
    }

    pub(super) fn on_response(&self) {
        self.0.shared.serve();
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

/// A call's place on a connection, from before it is sent until its end; keeps the connection.
#[derive(Debug)]
pub struct Http2Place(Http2Connection);

impl Http2Place {
    fn new(connection: Http2Connection) -> Self {
        connection.0.shared.calls.fetch_add(1, Ordering::Relaxed);
        Self(connection)
    }

    pub(super) fn connection(&self) -> &Http2Connection {
        &self.0
    }

    fn start<B: SendBody>(self, request: Request<B>) -> Result<Http2Call<B>, SendFailure<B>> {
        let (head, body) = request.into_parts();
        // h2 does not give back what it cannot send, and must not be asked once the connection has closed.
        let sending = self.0.0.shared.sending();
        if sending.is_none() {
            return Err(SendFailure::not_sent(body, "the connection is closed"));
        }
        let is_malformed = is_malformed(&head);
        let mut sender = self.0.0.sender.clone();
        let sent = sender.send_request(Request::from_parts(head, ()), body.is_end_stream());
        drop(sending);
        match sent {
            Ok((response, stream)) => Ok(Http2Call::new(response, Upload::new(body, stream), self)),
            // Another connection would refuse it as well.
            Err(error) if is_malformed => Err(SendFailure::new(SendErrorKind::Malformed, error)),
            Err(error) => Err(SendFailure::not_sent(body, error)),
        }
    }
}

impl Drop for Http2Place {
    fn drop(&mut self) {
        self.0.0.shared.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether HTTP/2 has no form for the request (RFC 9113 section 8.2.2, 8.3.1).
fn is_malformed(head: &Parts) -> bool {
    let hop_by_hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    hop_by_hop.iter().any(|name| head.headers.contains_key(*name))
        || head.headers.get(TE).is_some_and(|te| te != "trailers")
        || head.uri.scheme().is_none()
        || head.uri.authority().is_none()
}

impl Connection for Http2Connection {
    type Place = Http2Place;
    type ResponseBody = Http2Body;
    type Call<B: SendBody> = Http2Call<B>;

    fn reserve(&self) -> Reserve<Http2Place> {
        if !self.is_open() {
            return Reserve::Closed;
        }
        Reserve::Place(Http2Place::new(self.clone()))
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<Http2Place>> + Send + 'static {
        let place = self.is_open().then(|| Http2Place::new(self.clone()));
        std::future::ready(place)
    }

    /// The head is on its way when this returns; the body follows as the future is polled.
    fn send<B: SendBody>(place: Http2Place, request: Request<B>) -> Http2Call<B> {
        place.start(request).unwrap_or_else(Http2Call::failed)
    }

    fn is_open(&self) -> bool {
        self.0.shared.is_open()
    }

    fn has_served(&self) -> bool {
        self.0.shared.has_served()
    }
}

#[cfg(test)]
impl Http2Connection {
    /// Reserves and sends in one step.
    pub(crate) fn send<B: SendBody>(&self, request: Request<B>) -> Http2Call<B> {
        match self.reserve() {
            Reserve::Place(place) => <Self as Connection>::send(place, request),
            Reserve::Full | Reserve::Closed => {
                Http2Call::failed(SendFailure::not_sent(request.into_body(), "no place"))
            }
        }
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection").field("shared", &self.0.shared).finish_non_exhaustive()
    }
}
