//! The handle of a connection, by which calls are sent.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::SendStream;
use h2::client::SendRequest;
use http::Request;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime::ReplayRoom;
use crate::runtime::connect::{Connection, Reserve, SendBody};

use super::gate::{Gate, Refusal};
use super::settings::Http2Settings;
use super::shared::Shared;
use super::{Http2Body, Http2Call};

/// An HTTP/2 connection.
#[derive(Clone)]
pub struct Http2Connection(Arc<ConnectionInner>);

struct ConnectionInner {
    /// Locked for each call: a clone of its own would cost a call more.
    sender: Mutex<SendRequest<Bytes>>,
    shared: Arc<Shared>,
    settings: Http2Settings,
    runtime: Handle,
    /// Dropping it ends the connection's task once its running calls have ended: no handle is left to send calls.
    _released: oneshot::Sender<()>,
}

impl Http2Connection {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        shared: Arc<Shared>,
        settings: Http2Settings,
        released: oneshot::Sender<()>,
    ) -> Self {
        let sender = Mutex::new(sender);
        Self(Arc::new(ConnectionInner {
            sender,
            shared,
            settings,
            runtime: Handle::current(),
            _released: released,
        }))
    }

    /// How many calls the endpoint allows at once.
    pub fn max_concurrent_streams(&self) -> usize {
        self.0.shared.places.limit() as usize
    }

    /// How many calls are in flight, as the endpoint counts them: until both ends have ended a call.
    pub fn calls(&self) -> usize {
        self.0.shared.places.holders() as usize
    }

    /// Hands a request to h2.
    pub(super) fn open_stream(
        &self,
        request: Request<()>,
        end_of_stream: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender = self.0.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let places = &self.0.shared.places;
        if places.holders() >= places.limit() / 2 {
            // A sender refuses a request while the one before it waits for the limit of streams; a new clone does not.
            // The places keep the limit.
            *sender = sender.clone();
        }
        sender.send_request(request, end_of_stream)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn settings(&self) -> &Http2Settings {
        &self.0.settings
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

/// A call's place on a connection, within the endpoint's limit of concurrent streams; keeps the connection.
#[derive(Debug)]
pub struct Http2Place {
    connection: Http2Connection,
    holds: Holds,
}

/// The holder of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The call.
    Call,
    /// The call's stream, which releases it at its end.
    Stream,
    /// Nothing: both ends have ended the stream, and its response has been read.
    Ended,
}

impl Http2Place {
    pub(super) fn connection(&self) -> &Http2Connection {
        &self.connection
    }

    pub(super) fn set_holds(&mut self, holds: Holds) {
        self.holds = holds;
    }
}

impl Drop for Http2Place {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        match self.holds {
            Holds::Call => shared.places.leave(1),
            // The reset of a stream that was dropped just before.
            Holds::Stream => shared.wakes.wake_if_pending(),
            Holds::Ended => {}
        }
    }
}

impl Connection for Http2Connection {
    type Place = Http2Place;
    type ResponseBody = Http2Body;
    type Call<B: SendBody> = Http2Call<B>;

    fn reserve(&self) -> Reserve<Http2Place> {
        match self.0.shared.places.try_enter() {
            Ok(()) => Reserve::Place(Http2Place { connection: self.clone(), holds: Holds::Call }),
            Err(Refusal::Full) => Reserve::Full,
            Err(Refusal::Closed) => Reserve::Closed,
        }
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<Http2Place>> + Send + 'static {
        let connection = self.clone();
        async move {
            let is_admitted = Gate::enter(CallGate::Places(connection.clone())).await;
            is_admitted.then(|| Http2Place { connection, holds: Holds::Call })
        }
    }

    /// The head is handed to h2 before this returns, unless many heads are unwritten; the body follows as the future is polled.
    fn send<B: SendBody>(place: Http2Place, request: Request<B>, room: ReplayRoom) -> Http2Call<B> {
        Http2Call::start(place, request, room)
    }

    fn is_open(&self) -> bool {
        self.0.shared.is_open()
    }

    fn has_served(&self) -> bool {
        self.0.shared.has_served()
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection").field("shared", &self.0.shared).finish_non_exhaustive()
    }
}

/// One of the two gates that a call passes.
pub(super) enum CallGate {
    /// The endpoint's limit of concurrent streams.
    Places(Http2Connection),
    /// The limit of unwritten heads.
    Outbox(Http2Connection),
}

impl AsRef<Gate> for CallGate {
    fn as_ref(&self) -> &Gate {
        match self {
            Self::Places(connection) => &connection.shared().places,
            Self::Outbox(connection) => &connection.shared().outbox,
        }
    }
}

#[cfg(test)]
impl Http2Connection {
    /// Reserves and sends in one step, after it has waited for a place if there is none.
    pub(crate) fn send<B: SendBody>(
        &self,
        request: Request<B>,
    ) -> futures_util::future::BoxFuture<'static, <Http2Call<B> as Future>::Output> {
        let room = ReplayRoom::of(crate::runtime::ReplayLimit::default());
        let waiting = match self.reserve() {
            Reserve::Place(place) => return Box::pin(<Self as Connection>::send(place, request, room)),
            Reserve::Full | Reserve::Closed => self.wait_for_place(),
        };
        Box::pin(async move {
            match waiting.await {
                Some(place) => <Self as Connection>::send(place, request, room).await,
                None => Http2Call::closed(request).await,
            }
        })
    }
}
