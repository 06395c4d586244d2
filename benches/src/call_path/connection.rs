//! A protocol and connections that cost nothing: the answer is there at once, and no socket is touched.

use std::future::{Future, Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, combinators::MapErr};
use mesh_core::filter::LocalReply;
use mesh_core::policy::matcher::HeaderView;
use mesh_core::policy::outlier::FailureKind;
use mesh_core::runtime::connect::{
    BodyError, Connect, ConnectError, ConnectTarget, Connection, Established, Reserve, SendBody, SendFailure,
};
use mesh_core::runtime::{CallStatus, MeshError, Protocol, ReplayRoom, Stamp};

/// The body of requests: none.
pub type Body = Empty<Bytes>;

/// A protocol that takes every response for a success.
#[derive(Debug)]
pub struct Plain;

impl Protocol for Plain {
    type Body = Body;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        HeaderView::Grpc(headers)
    }

    fn classify_head(_: StatusCode, _: &HeaderMap) -> Option<CallStatus> {
        None
    }

    fn failure(_: StatusCode, _: &HeaderMap) -> Option<FailureKind> {
        None
    }

    fn code(_: &MeshError) -> u32 {
        14
    }

    fn local_reply(reply: LocalReply) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = reply.status.http_status();
        *response.headers_mut() = reply.headers;
        response
    }

    fn stamp(_: &mut HeaderMap, _: Stamp) {}
}

/// Connects at once, to nothing.
#[derive(Debug, Clone, Default)]
pub struct Nowhere {
    connected: Arc<AtomicUsize>,
    is_silent: bool,
}

impl Nowhere {
    /// Never connects, and never fails.
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    /// How many connections it and its clones have made.
    pub fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }
}

/// A connection that answers at once.
#[derive(Debug, Clone)]
pub struct Answering;

impl Connect for Nowhere {
    type Connection = Answering;

    async fn connect(&self, _: &ConnectTarget) -> Result<Established<Answering>, ConnectError> {
        if self.is_silent {
            return pending().await;
        }
        self.connected.fetch_add(1, Ordering::Relaxed);
        Ok(Established::new(Answering, pending()))
    }
}

impl Connection for Answering {
    type Place = ();
    type ResponseBody = MapErr<Body, fn(std::convert::Infallible) -> BodyError>;
    type Call<B: SendBody> = Ready<Result<Response<Self::ResponseBody>, SendFailure<B>>>;

    fn reserve(&self) -> Reserve<()> {
        Reserve::Place(())
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<()>> + Send + 'static {
        ready(Some(()))
    }

    fn send<B: SendBody>((): (), _: Request<B>, _: ReplayRoom) -> Self::Call<B> {
        ready(Ok(Response::new(Empty::new().map_err(|never| match never {}))))
    }

    fn is_open(&self) -> bool {
        true
    }

    fn has_served(&self) -> bool {
        true
    }
}
