//! Stock gRPC and our own client over the control-server's port for mutual TLS, with a bootstrap's `tls`
//! credentials (A65).

use serde_json::{Value, json};
use tests::certificates::Certificates;
use tests::mesh::MeshClient;
use tests::stock::Calls;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use xds_client::Options;

use super::stage::{Language, Stock};

const CLIENT: &str = "spiffe://cluster.local/ns/shop/sa/client";

/// A control-server that asks for certificates, an endpoint, and the files.
async fn stage() -> (ControlServer, Greeter, Certificates) {
    let greeter = Greeter::start("e0", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    let certificates = Certificates::new(CLIENT);
    let control = ControlServer::start_with(config, certificates.flags()).await;
    (control, greeter, certificates)
}

fn bootstrap(control: &ControlServer, features: Value, channel_creds: Value) -> Value {
    let mut bootstrap = control.bootstrap("secured");
    let server = &mut bootstrap["xds_servers"][0];
    server["server_uri"] = control.addresses.xds_tls.map(|address| address.to_string()).into();
    server["server_features"] = features;
    server["channel_creds"] = channel_creds;
    bootstrap
}

/// The control-server tells who its only client is by its certificate.
async fn is_known(control: &ControlServer) {
    eventually("the client is known and has accepted everything", async || {
        let seen: Value = control.admin("/v1/clients").await;
        let client = &seen["clients"][0];
        let found = ["security", "identity", "state"].map(|field| client[field].as_str());
        if found == [Some("mtls"), Some(CLIENT), Some("SYNCED")] { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

async fn stock_client_is_served_and_known_by_its_certificate(language: Language) {
    let Some(stock) = Stock::find(language, "mutual TLS") else { return };
    let (control, _greeter, certificates) = stage().await;
    let bootstrap = bootstrap(&control, json!(["xds_v3"]), certificates.channel_creds());
    let mut client = stock.client(&yaml::target(), Some(&bootstrap)).await;
    let report = client.call(Calls::new(20).wait_for_ready()).await;
    assert_eq!((report.failed(), report.endpoints.get("e0")), (0, Some(&20)), "{report:?}");
    is_known(&control).await;
}

/// gRPC for Node and for Java ignores the files that its bootstrap names; it shows no certificate, and does not fall back to
/// plaintext.
async fn stock_client_without_the_bootstraps_files_is_not_served(language: Language) {
    let Some(stock) = Stock::find(language, "TLS without files") else { return };
    let (control, _greeter, certificates) = stage().await;
    let bootstrap = bootstrap(&control, json!(["xds_v3"]), certificates.channel_creds());
    let mut client = stock.client(&yaml::target(), Some(&bootstrap)).await;
    let report = client.call(Calls::new(1).timeout(5).wait_for_ready()).await;
    assert_eq!(report.failed(), 1, "{report:?}");
    let seen: Value = control.admin("/v1/clients").await;
    assert_eq!(seen["clients"], json!([]));
}

#[tokio::test]
async fn our_client_is_served_in_both_variants_and_known_by_its_certificate() {
    for features in [json!(["xds_v3"]), json!(["xds_v3", "incremental_xds"])] {
        let (control, _greeter, certificates) = stage().await;
        let bootstrap = bootstrap(&control, features, certificates.channel_creds());
        let client = MeshClient::with(&bootstrap, Options::default());
        assert_eq!(
            client.hello().await.map(|reply| reply.endpoint).map_err(|error| error.to_string()),
            Ok("e0".into())
        );
        is_known(&control).await;
    }
}

#[tokio::test]
async fn client_without_certificate_is_refused_with_reason() {
    let (control, _greeter, certificates) = stage().await;
    let bootstrap = bootstrap(&control, json!(["xds_v3"]), certificates.anonymous_creds());
    let client = MeshClient::with(&bootstrap, Options::default());
    let refused = client.hello().await.map(|reply| reply.endpoint).unwrap_err();
    assert!(refused.message().to_lowercase().contains("certificate"), "{refused}");
    let seen: Value = control.admin("/v1/clients").await;
    assert_eq!(seen["clients"], json!([]));
}

for_each! { python: super::Language::Python, go: super::Language::Go => [
    stock_client_is_served_and_known_by_its_certificate,
] }

for_each! { node: super::Language::Node, java: super::Language::Java => [
    stock_client_without_the_bootstraps_files_is_not_served,
] }
