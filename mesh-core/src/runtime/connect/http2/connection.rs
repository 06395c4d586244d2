//! A connection as calls see it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use http::header::TE;
use http::request::Parts;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime::connect::{Connection, SendErrorKind, SendFailure};

use super::driver::Shared;
use super::upload::Upload;
use super::{Http2Body, Http2Call, Http2RequestBody};

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

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn start<B: Http2RequestBody>(&self, request: Request<B>) -> Result<Http2Call<B>, SendFailure<B>> {
        // h2 does not give back what it cannot send, and must not be asked once the connection has closed.
        let Some(_sending) = self.0.shared.sending() else {
            return Err(SendFailure::not_sent(request, "the connection is closed"));
        };
        let mut sender = self.0.sender.clone();
        let (mut head, body) = request.into_parts();
        // h2 keeps the head it is given, and has no use for extensions
        let extensions = std::mem::take(&mut head.extensions);
        let mut kept = head.clone();
        kept.extensions = extensions;
        match sender.send_request(Request::from_parts(head, ()), body.is_end_stream()) {
            Ok((response, stream)) => {
                let guard = CallGuard::new(self.clone());
                Ok(Http2Call::new(response, kept, Upload::new(body, stream), guard))
            }
            // Another connection would refuse it as well.
            Err(error) if is_malformed(&kept) => Err(SendFailure::new(SendErrorKind::Malformed, error)),
            Err(error) => Err(SendFailure::not_sent(Request::from_parts(kept, body), error)),
        }
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

impl<B: Http2RequestBody> Connection<B> for Http2Connection {
    type ResponseBody = Http2Body;
    type Future = Http2Call<B>;

    /// The head is on its way when this returns; the body follows as the future is polled.
    fn send(&self, request: Request<B>) -> Http2Call<B> {
        self.start(request).unwrap_or_else(Http2Call::failed)
    }

    fn is_open(&self) -> bool {
        self.0.shared.is_open()
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection").field("shared", &self.0.shared).finish_non_exhaustive()
    }
}

/// Counts a call for as long as it lives, and keeps its connection.
#[derive(Debug)]
pub(super) struct CallGuard(Http2Connection);

impl CallGuard {
    fn new(connection: Http2Connection) -> Self {
        connection.0.shared.calls.fetch_add(1, Ordering::Relaxed);
        Self(connection)
    }

    pub(super) fn connection(&self) -> &Http2Connection {
        &self.0
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.0.shared.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
