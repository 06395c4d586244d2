//! Steps 1 to 5 of a request's way, with an endpoint that answers at once and touches no socket.

use std::collections::HashMap;
use std::future::{Future, Ready, pending, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, combinators::MapErr};
use mesh_core::config::{
    AppendAction, DomainPattern, FilterInstance, Forward, HeaderMutation, HeaderMutations, MeshConfig,
    MutationOrder, Name, Route, RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::filter::{
    Abort, AbortSource, BuildError, Delay, DelaySource, FaultPolicy, FilterConfig, FilterContext,
    HeaderMutationConfig, HttpFilter, LocalReply, Overrides, Percentage,
};
use mesh_core::policy::matcher::{HeaderView, PathMatcher};
use mesh_core::policy::outlier::FailureKind;
use mesh_core::runtime::connect::{
    BodyError, Connect, ConnectError, ConnectTarget, Connection, Established, Reserve, SendBody, SendFailure,
};
use mesh_core::runtime::{
    CallOptions, CallStatus, Channel, ChannelSettings, FixedSource, Mesh, MeshBuilder, MeshError, Protocol,
    ReplayRoom, Stamp, Target,
};

use crate::reporting::{ReportingSource, with_settings};

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

    fn local_reply(_: LocalReply) -> Response<()> {
        Response::new(())
    }

    fn stamp(_: &mut HeaderMap, _: Stamp) {}
}

/// Connects at once, to nothing.
#[derive(Debug, Clone, Default)]
pub struct Nowhere(Arc<AtomicUsize>);

impl Nowhere {
    /// How many connections it and its clones have made.
    pub fn connected(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that answers at once.
#[derive(Debug, Clone)]
pub struct Answering;

impl Connect for Nowhere {
    type Connection = Answering;

    async fn connect(&self, _: &ConnectTarget) -> Result<Established<Answering>, ConnectError> {
        self.0.fetch_add(1, Ordering::Relaxed);
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

/// What the 10,000 are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routes {
    /// Routes that match one path each.
    Exact,
    /// Routes that match a prefix each.
    Prefix,
    /// Virtual hosts of one domain and one route each.
    VirtualHosts,
}

impl Routes {
    /// All of them, with a name for reports.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Exact, "exact"), (Self::Prefix, "prefix"), (Self::VirtualHosts, "virtual_hosts")];
}

/// A channel whose endpoints are all connected, and the request that takes its last route.
#[derive(Debug)]
pub struct Path {
    channel: Channel<Plain, Nowhere>,
    uri: Uri,
}

impl Path {
    /// Builds the mesh on the current runtime, and waits until every endpoint is connected.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let source = FixedSource::any(config(kind, routes, endpoints));
        Self::through(Mesh::builder(source), kind, routes, endpoints).await
    }

    /// As [`build`](Self::build), with a cluster whose load is reported.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build_reporting(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let config = with_settings(&config(kind, routes, endpoints), |settings| {
            settings.load_reporting = Some("control".into());
        });
        let source = ReportingSource::any(config);
        Self::through(Mesh::builder(source), kind, routes, endpoints).await
    }

    /// As [`build`](Self::build), with three filters that do not wait: faults that no call asks for, changed headers, and one
    /// that wants to see whole calls.
    ///
    /// # Panics
    /// When the configuration is not accepted.
    pub async fn build_filtered(kind: Routes, routes: usize, endpoints: usize) -> Self {
        let config = config(kind, routes, endpoints).with_filters(three_filters());
        Self::through(Mesh::builder(FixedSource::any(config)), kind, routes, endpoints).await
    }

    async fn through(mesh: MeshBuilder, kind: Routes, routes: usize, endpoints: usize) -> Self {
        let connector = Nowhere::default();
        let last = routes - 1;
        let host = match kind {
            Routes::VirtualHosts => format!("host-{last}.example"),
            Routes::Exact | Routes::Prefix => "host.example".to_owned(),
        };
        let target = Target::new(host);
        let mesh = mesh.connector(connector.clone()).build();
        let channel = Channel::new(&mesh, &target, ChannelSettings::default());
        let channel = channel.expect("a channel");
        let uri = match kind {
            Routes::Exact => format!("http://host.example/service/method-{last}"),
            Routes::Prefix => format!("http://host.example/service-{last}/method"),
            Routes::VirtualHosts => "http://host.example/service/method".to_owned(),
        };
        let path = Self { channel, uri: uri.parse().expect("a URI") };
        while connector.connected() < endpoints || path.call(path.request()).is_pending() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The last endpoint's connection is published a moment after it has been counted.
        tokio::time::sleep(Duration::from_millis(20)).await;
        path
    }

    /// A request like one of a generated gRPC client.
    pub fn request(&self) -> Request<Body> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        request
    }

    /// Takes a request all the way, and reads the answer to its end. Ready at once unless no endpoint is connected.
    ///
    /// # Panics
    /// When the call fails.
    pub fn call(&self, request: Request<Body>) -> Poll<()> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut call = pin!(self.channel.call(request, CallOptions::default()));
        match call.as_mut().poll(cx) {
            Poll::Ready(response) => {
                let _body = response.expect("an answer").into_body();
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

fn three_filters() -> [FilterInstance; 3] {
    let fault = FaultPolicy::new()
        .with_delay(Delay { source: DelaySource::Headers, percentage: Percentage::ALL })
        .with_abort(Abort { source: AbortSource::Headers, percentage: Percentage::ALL });
    let header = HeaderName::from_static("x-bench");
    let set = HeaderMutation::set(header, HeaderValue::from_static("1"), AppendAction::default());
    let mutations = HeaderMutations::new().request(set.expect("it is not a protected header"));
    let mutation = HeaderMutationConfig::new(mutations, MutationOrder::default());
    [
        FilterInstance::new("fault", fault),
        FilterInstance::new("mutation", mutation),
        FilterInstance::new("whole", Whole),
    ]
}

/// A filter that takes part in every stage, and does nothing.
#[derive(Debug, PartialEq)]
struct Whole;

#[derive(Debug)]
struct Watching;

impl FilterConfig for Whole {
    fn build(&self, _: Overrides<'_>, _: &FilterContext) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Watching)))
    }
}

impl HttpFilter for Watching {}

fn config(kind: Routes, routes: usize, endpoints: usize) -> MeshConfig {
    let addresses = (0..endpoints).map(|number| {
        let number = u32::try_from(number).expect("few endpoints");
        SocketAddr::from((Ipv4Addr::from(0x7f00_0001 + number), 50051))
    });
    let template = MeshConfig::to_endpoints("cluster", addresses);
    let hosts = match kind {
        Routes::VirtualHosts => (0..routes)
            .map(|number| {
                let domain = DomainPattern::parse(&format!("host-{number}.example")).expect("a domain");
                host(domain, vec![route(PathMatcher::Prefix { prefix: "/".to_owned(), ignore_case: false })])
            })
            .collect(),
        Routes::Exact | Routes::Prefix => {
            let matcher = |number| match kind {
                Routes::Exact => {
                    PathMatcher::Exact { path: format!("/service/method-{number}"), ignore_case: false }
                }
                _ => PathMatcher::Prefix { prefix: format!("/service-{number}/"), ignore_case: false },
            };
            vec![host(DomainPattern::Any, (0..routes).map(|number| route(matcher(number))).collect())]
        }
    };
    let clusters: HashMap<Name, _> = template.clusters().clone();
    MeshConfig::new(hosts, clusters, None).expect("every cluster is there")
}

fn host(domain: DomainPattern, routes: Vec<Arc<Route>>) -> Arc<VirtualHost> {
    Arc::new(VirtualHost::new("host", vec![domain], routes))
}

fn route(path: PathMatcher) -> Arc<Route> {
    Arc::new(Route::new(RouteMatch::new(path), RouteAction::Forward(Forward::to("cluster"))))
}

/// Allocations of one call beyond those of building its request. The process must use the counting allocator.
pub fn allocations_per_call(path: &Path) -> f64 {
    const CALLS: u32 = 1000;
    let count = |work: &dyn Fn()| {
        let before = crate::allocations();
        (0..CALLS).for_each(|_| work());
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let each = (crate::allocations() - before) as f64 / f64::from(CALLS);
        each
    };
    let build = count(&|| drop(std::hint::black_box(path.request())));
    count(&|| assert!(path.call(path.request()).is_ready(), "an endpoint is connected")) - build
}
