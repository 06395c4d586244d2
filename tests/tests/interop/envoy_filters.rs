//! Header changes of our routes, made by a real Envoy.

use examples::greeter::greeter_client::GreeterClient;
use tests::envoy::Envoy;
use tests::headers::{HeaderCase, HeaderEndpoint};
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, eventually};
use xds_client::transport::Variant;

async fn headers_are_changed(variant: Variant) {
    let Some(program) = Envoy::find("headers in Envoy") else { return };
    let endpoint = HeaderEndpoint::start("v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(endpoint.address, "v1")]));
    let control = ControlServer::start(config).await;
    let envoy = Envoy::start(program, &control, variant).await;
    let client = eventually("Envoy takes a connection", async || {
        GreeterClient::connect(format!("http://{}", envoy.address)).await.map_err(|error| error.to_string())
    })
    .await;
    for case in HeaderCase::all() {
        control.config.write("routes.yaml", &case.routes);
        case.check(&endpoint, async |request| client.clone().say_hello(request).await).await;
    }
    assert_eq!(envoy.refusals().await, [""; 0]);
}

// The same behaviour, whichever way Envoy asks for its configuration.
for_each! { sotw: super::Variant::Sotw, delta: super::Variant::Delta => [
    headers_are_changed,
] }
