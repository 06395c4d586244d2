//! Headers that routes change, and what endpoints and callers must see of them: the same for every client.

use std::sync::{Arc, Mutex, PoisonError};

use examples::greeter::greeter_server::{Greeter, GreeterServer};
use examples::greeter::{HelloReply, HelloRequest};
use examples::service::GreeterService;
use mesh_core::testing::reserved_address;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::eventually;
use crate::yaml::{self, HOST};

/// Routes with header changes, and what they make of the headers that start as `SENT`.
#[derive(Debug, Clone)]
pub struct HeaderCase {
    /// For messages.
    pub name: &'static str,
    /// A file of routes.
    pub routes: String,
    /// The endpoint's view of the request.
    pub request: [&'static str; 3],
    /// The caller's view of the response.
    pub response: [&'static str; 3],
}

/// The names that cases change.
const NAMES: [&str; 3] = ["x-a", "x-b", "x-c"];
/// Their values in requests as the caller makes them, and in responses as the endpoint does; the last one is missing.
const SENT: [&str; 3] = ["old", "old", ""];

impl HeaderCase {
    /// Every operation in both directions, at every place.
    pub fn all() -> Vec<Self> {
        let both = |changes: &str| format!("headers: {{request: {{{changes}}}, response: {{{changes}}}}}");
        let rule = |changes: &str, own: &str| {
            let destination = format!("{{destination: {{host: {HOST}}}, {}}}", both(own));
            yaml::routes(&[&format!("{{{}, route: [{destination}]}}", both(changes))])
        };
        let modifiers = |changes: &str| {
            ["Request", "Response"].map(|side| {
                let field = format!("{}HeaderModifier", side.to_lowercase());
                format!("{{type: {side}HeaderModifier, {field}: {{{changes}}}}}")
            })
        };
        let grpc_route = |changes: &str, own: &str| {
            let (changes, own) = (modifiers(changes).join(", "), modifiers(own).join(", "));
            format!(
                "apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {{name: greeter, namespace: shop}}
spec:
  parentRefs: [{{group: '', kind: Service, name: greeter}}]
  rules: [{{filters: [{changes}], backendRefs: [{{name: greeter, filters: [{own}]}}]}}]
"
            )
        };
        let case = |name, routes, changed| Self { name, routes, request: changed, response: changed };
        vec![
            case("set", rule("set: {X-A: new, x-c: new}", ""), ["new", "old", "new"]),
            case("add", rule("add: {x-a: new, x-c: new}", ""), ["old,new", "old", "new"]),
            case("remove", rule("remove: [X-A, x-c]", ""), ["", "old", ""]),
            case("remove and add", rule("add: {x-a: new}, remove: [x-a]", ""), ["new", "old", ""]),
            case("percent signs", rule("set: {x-a: 100%%}", ""), ["100%", "old", ""]),
            case(
                "destination after rule",
                rule(
                    "set: {x-a: rule}, add: {x-b: rule, x-c: rule}",
                    "set: {x-a: own}, add: {x-b: own}, remove: [x-c]",
                ),
                ["own", "old,rule,own", ""],
            ),
            case(
                "modifiers",
                grpc_route(
                    "set: [{name: x-a, value: 100%}], add: [{name: X-B, value: rule}]",
                    "add: [{name: x-c, value: own}], remove: [x-b]",
                ),
                ["100%", "", "own"],
            ),
            Self {
                name: "directions apart",
                routes: yaml::routes(&[&format!(
                    "{{headers: {{request: {{set: {{x-a: request}}}}, response: {{remove: [x-b]}}}}, {}}}",
                    yaml::everything()
                )]),
                request: ["request", "old", ""],
                response: ["old", "", ""],
            },
        ]
    }

    /// Calls until endpoint and caller see what they must.
    ///
    /// # Panics
    /// When they do not within [`PATIENCE`](crate::PATIENCE).
    pub async fn check(
        &self,
        endpoint: &HeaderEndpoint,
        call: impl AsyncFn(Request<HelloRequest>) -> Result<Response<HelloReply>, Status>,
    ) {
        let expected = (self.request.map(str::to_owned), self.response.map(str::to_owned));
        eventually(self.name, async || {
            let mut request = Request::new(HelloRequest::default());
            *request.metadata_mut() = sent();
            let response = call(request).await.map_err(|status| status.to_string())?;
            let found = (endpoint.last_request(), values(response.metadata()));
            if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
        })
        .await;
    }
}

/// An endpoint of the greeter in this process. It keeps what it has seen, and its answers have headers to change.
#[derive(Debug)]
pub struct HeaderEndpoint {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    seen: Arc<Mutex<MetadataMap>>,
    server: JoinHandle<()>,
}

impl HeaderEndpoint {
    /// Starts one that says it is `version`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(version: &str) -> Self {
        let listener = TcpListener::bind(reserved_address()).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::default();
        let service = Recorder { greeter: GreeterService::new(version, version), seen: Arc::clone(&seen) };
        let server = Server::builder().add_service(GreeterServer::new(service));
        let server = tokio::spawn(async move {
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .expect("it serves until it is dropped");
        });
        Self { address, seen, server }
    }

    /// What the latest call had of the names that change.
    pub fn last_request(&self) -> [String; 3] {
        values(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for HeaderEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Recorder {
    greeter: GreeterService,
    seen: Arc<Mutex<MetadataMap>>,
}

impl Recorder {
    fn record<T>(&self, request: &Request<T>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = request.metadata().clone();
    }
}

fn answered<T>(mut response: Response<T>) -> Response<T> {
    *response.metadata_mut() = sent();
    response
}

#[tonic::async_trait]
impl Greeter for Recorder {
    type SayHellosStream = <GreeterService as Greeter>::SayHellosStream;
    type ChatStream = <GreeterService as Greeter>::ChatStream;

    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.record(&request);
        self.greeter.say_hello(request).await.map(answered)
    }

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::SayHellosStream>, Status> {
        self.record(&request);
        self.greeter.say_hellos(request).await.map(answered)
    }

    async fn gather_hellos(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<HelloReply>, Status> {
        self.record(&request);
        self.greeter.gather_hellos(request).await.map(answered)
    }

    async fn chat(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        self.record(&request);
        self.greeter.chat(request).await.map(answered)
    }
}

fn sent() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in NAMES.into_iter().zip(SENT).filter(|(_, value)| !value.is_empty()) {
        metadata.insert(name, value.parse().expect("a plain value"));
    }
    metadata
}

/// All values of each name, joined by commas as HTTP has it.
fn values(metadata: &MetadataMap) -> [String; 3] {
    NAMES.map(|name| {
        let values = metadata.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    })
}
