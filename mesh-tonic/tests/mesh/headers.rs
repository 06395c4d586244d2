//! Changes of headers, as endpoints and callers see them.

use http::{HeaderName, HeaderValue};
use mesh_core::Mesh;
use mesh_core::config::{
    AppendAction, FilterInstance, FilterOverride, FilterOverrides, HeaderMutation, HeaderMutations,
    MeshConfig, MutationOrder, VirtualHost,
};
use mesh_core::filter::{HeaderMutationConfig, HeaderMutationOverride};
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::endpoint::Endpoint;
use crate::{client, hello};

fn add(name: &'static str, value: &'static str) -> HeaderMutation {
    let value = HeaderValue::from_static(value);
    HeaderMutation::set(HeaderName::from_static(name), value, AppendAction::AppendIfExistsOrAdd).unwrap()
}

fn remove(name: &'static str) -> HeaderMutation {
    HeaderMutation::remove(HeaderName::from_static(name)).unwrap()
}

fn values(metadata: &MetadataMap, name: &str) -> Vec<String> {
    metadata.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// A filter's mutations, one virtual host's addition to them, and the route configuration's headers.
fn config(endpoint: &Endpoint) -> MeshConfig {
    let plain = MeshConfig::to_endpoints("greeter", [endpoint.address]);
    let of_filter = HeaderMutations::new()
        .request(remove("x-secret"))
        .request(add("x-order", "filter"))
        .response(add("x-order", "filter"))
        .trailers(add("x-last", "filter"));
    let of_host = HeaderMutations::new().request(add("x-order", "override"));
    let of_routes =
        HeaderMutations::new().request(add("x-order", "routes")).response(add("x-order", "routes"));
    let filters =
        FilterOverrides::new().with("mutation", FilterOverride::config(HeaderMutationOverride(of_host)));
    let mut host = VirtualHost::clone(&plain.virtual_hosts()[0]);
    host.filters = filters;
    let filter = HeaderMutationConfig::new(of_filter, MutationOrder::default());
    MeshConfig::new(vec![host.into()], plain.clusters().clone(), None)
        .unwrap()
        .with_filters([FilterInstance::new("mutation", filter)])
        .with_headers(of_routes, MutationOrder::default())
}

#[tokio::test]
async fn requests_and_responses_have_the_configured_headers() {
    let endpoint = Endpoint::start("a").await;
    let mut client = client(&Mesh::fixed(config(&endpoint)));
    let mut request = Request::new(hello("you"));
    request.metadata_mut().insert("x-secret", "s".parse().unwrap());
    request.metadata_mut().insert("x-order", "caller".parse().unwrap());
    let response = client.say_hello(request).await.unwrap();
    let seen = endpoint.take_seen();
    assert_eq!(values(&seen[0], "x-order"), ["caller", "filter", "override", "routes"]);
    assert_eq!(values(&seen[0], "x-secret"), [""; 0]);
    // tonic puts a unary call's trailers among its headers
    assert_eq!(values(response.metadata(), "x-order"), ["routes", "filter"]);
    assert_eq!(values(response.metadata(), "x-last"), ["filter"]);
}

#[tokio::test]
async fn trailers_of_streams_have_the_configured_headers() {
    let endpoint = Endpoint::start("a").await;
    let mut client = client(&Mesh::fixed(config(&endpoint)));
    let mut replies = client.say_hellos(hello("you")).await.unwrap().into_inner();
    assert!(replies.message().await.unwrap().is_some());
    assert!(replies.message().await.unwrap().is_none());
    let trailers = replies.trailers().await.unwrap().unwrap();
    assert_eq!(values(&trailers, "x-last"), ["filter"]);
}
