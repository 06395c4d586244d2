//! Header changes of routes, made by our client. `interop` has the same cases for Envoy.

use tests::headers::{HeaderCase, HeaderEndpoint};
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer};

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_destinations_change_headers_in_both_directions() {
    let endpoint = HeaderEndpoint::start("v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(endpoint.address, "v1")]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    for case in HeaderCase::all() {
        control.config.write("route.yaml", &case.routes);
        case.check(&endpoint, async |request| client.greeter().say_hello(request).await).await;
    }
}
