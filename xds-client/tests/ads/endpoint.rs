//! Endpoints without a network, for calls whose only purpose is to be counted.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use mesh_core::Mesh;
use mesh_core::filter::LocalReply;
use mesh_core::policy::matcher::HeaderView;
use mesh_core::policy::outlier::FailureKind;
use mesh_core::runtime::connect::{
    BodyError, Connect, ConnectError, ConnectTarget, Connection, Established, Reserve, SendBody, SendFailure,
};
use mesh_core::runtime::{
    CallOptions, CallStatus, Channel, ChannelSettings, ConfigSource, MeshError, Protocol, ReplayRoom, Stamp,
    Target,
};

/// HTTP in which every response ends with its head, and 200 is a success.
#[derive(Debug)]
struct Plain;

impl Protocol for Plain {
    type Body = Nothing<Infallible>;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        HeaderView::Grpc(headers)
    }

    fn classify_head(_: StatusCode, _: &HeaderMap) -> Option<CallStatus> {
        None
    }

    fn failure(status: StatusCode, _: &HeaderMap) -> Option<FailureKind> {
        (status != StatusCode::OK).then_some(FailureKind::Server)
    }

    fn code(_: &MeshError) -> u32 {
        14
    }

    fn local_reply(_: LocalReply) -> Response<()> {
        Response::new(())
    }

    fn stamp(_: &mut HeaderMap, _: Stamp) {}
}

/// An empty body.
#[derive(Debug)]
pub(crate) struct Nothing<E>(std::marker::PhantomData<fn() -> E>);

impl<E> Body for Nothing<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

/// Connects to an endpoint that answers with the status in the call's query, or never.
#[derive(Debug)]
pub(crate) struct Here;

#[derive(Debug, Clone)]
pub(crate) struct Answering;

type Answer<B> = Result<Response<Nothing<BodyError>>, SendFailure<B>>;

impl Connect for Here {
    type Connection = Answering;

    async fn connect(&self, _: &ConnectTarget) -> Result<Established<Answering>, ConnectError> {
        Ok(Established::new(Answering, std::future::pending()))
    }
}

impl Connection for Answering {
    type Place = ();
    type ResponseBody = Nothing<BodyError>;
    type Call<B: SendBody> = Pin<Box<dyn Future<Output = Answer<B>> + Send>>;

    fn reserve(&self) -> Reserve<()> {
        Reserve::Place(())
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<()>> + Send + 'static {
        std::future::ready(Some(()))
    }

    fn send<B: SendBody>((): (), request: Request<B>, _: ReplayRoom) -> Self::Call<B> {
        match request.uri().query().and_then(|status| status.parse().ok()) {
            Some(status) => {
                let mut response = Response::new(Nothing(std::marker::PhantomData));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Box::pin(std::future::ready(Ok(response)))
            }
            None => Box::pin(std::future::pending()),
        }
    }

    fn is_open(&self) -> bool {
        true
    }

    fn has_served(&self) -> bool {
        true
    }
}

/// A mesh of such endpoints.
pub(crate) fn mesh(source: impl ConfigSource) -> Mesh<Here> {
    Mesh::builder(source).connector(Here).build()
}

/// What calls through a mesh.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Channel<Plain, Here>);

impl Caller {
    pub(crate) fn new(mesh: &Mesh<Here>, target: &str) -> Self {
        Self(Channel::new(mesh, &Target::new(target), ChannelSettings::default()).unwrap())
    }

    /// A call to `/cluster` that ends with this status.
    pub(crate) async fn call(&self, cluster: &str, status: u16) {
        let request = Self::request(&format!("http://test/{cluster}?{status}"));
        let response = self.0.call(request, CallOptions::default()).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }

    /// A call that never ends; it is in progress until what is returned is dropped.
    pub(crate) async fn begin(&self, cluster: &str) -> impl Future + use<> {
        let request = Self::request(&format!("http://test/{cluster}"));
        let mut call = Box::pin(self.0.call(request, CallOptions::default()));
        // a ready endpoint has the call as soon as it is polled
        std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        call
    }

    fn request(uri: &str) -> Request<Nothing<Infallible>> {
        let mut request = Request::new(Nothing(std::marker::PhantomData));
        *request.uri_mut() = uri.parse().unwrap();
        request
    }
}
