//! `MeshClient` over real sockets: hyper's servers as endpoints.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod endpoint;
mod fields;
mod names;
mod replies;
mod retries;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DomainPattern, Endpoint as ConfigEndpoint, EndpointSet, Forward,
    Locality, MeshConfig, Name, Priority, RetryBackoff, RetryConditions, RetryPolicy, RetryableCodes, Route,
    RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::runtime::FixedSource;
use mesh_hyper::{Mesh, MeshClient, ResponseBody};
use tokio::time::timeout;

/// A client of a mesh with the one target `orders.shop`.
fn client_of(config: MeshConfig) -> MeshClient {
    MeshClient::new(&mesh_of(config))
}

fn mesh_of(config: MeshConfig) -> Mesh {
    Mesh::new(FixedSource::only(config.for_target("orders.shop")))
}

/// All requests go to these endpoints.
fn client_to(endpoints: impl IntoIterator<Item = SocketAddr>) -> MeshClient {
    client_of(MeshConfig::to_endpoints("orders.shop", endpoints))
}

/// Every request goes on by `forward`, to the cluster `orders` with these endpoints.
fn config(forward: Forward, settings: ClusterSettings, endpoints: &[SocketAddr]) -> MeshConfig {
    let action = RouteAction::Forward(forward);
    routes(vec![Route::new(RouteMatch::any(), action)], settings, endpoints)
}

fn routes(routes: Vec<Route>, settings: ClusterSettings, endpoints: &[SocketAddr]) -> MeshConfig {
    let routes = routes.into_iter().map(Arc::new).collect();
    let host = VirtualHost::new("orders", vec![DomainPattern::Any], routes);
    let endpoints = endpoints.iter().copied().map(ConfigEndpoint::new).collect();
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints))])]);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    let clusters = [(Name::from("orders"), Ok(cluster))].into_iter().collect();
    MeshConfig::new(vec![Arc::new(host)], clusters, None).unwrap()
}

/// Retries by these conditions, after a millisecond.
fn retrying(conditions: RetryConditions, attempts: u32) -> RetryPolicy {
    let backoff = RetryBackoff { initial: Duration::from_millis(1), max: Duration::from_millis(2) };
    let attempts = NonZeroU32::new(attempts).unwrap();
    RetryPolicy::new(RetryableCodes::default(), attempts).with_backoff(backoff).with_conditions(conditions)
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://orders.shop{path}")).body(Empty::new()).unwrap()
}

fn post(path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://orders.shop{path}")).body(Full::from(body.to_owned())).unwrap()
}

/// The response, within the limit that no test reaches.
async fn send<B>(client: &MeshClient, request: Request<B>) -> Response<ResponseBody>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    timeout(LIMIT, client.send(request)).await.unwrap().unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    let body = timeout(LIMIT, response.into_body().collect()).await.unwrap().unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// No test waits for longer.
const LIMIT: Duration = Duration::from_secs(60);
