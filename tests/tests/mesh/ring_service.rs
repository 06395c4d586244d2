//! An application with one cryptography of rustls keeps it when the mesh comes.

use std::process::Command;

use tests::certificates::Certificates;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Process, binary_built_alone};

/// What `ring-service` says, built with these features, when its control-server speaks TLS.
async fn run(features: &[&str]) -> Vec<String> {
    let binary = binary_built_alone("ring-service", features);
    let greeter = Greeter::start("e0", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    let certificates = Certificates::new("spiffe://cluster.local/ns/shop/sa/client");
    let control = ControlServer::start_with(config, certificates.flags()).await;
    let mut bootstrap = control.bootstrap("ring-service");
    let server = &mut bootstrap["xds_servers"][0];
    server["server_uri"] = control.addresses.xds_tls.unwrap().to_string().into();
    server["channel_creds"] = certificates.channel_creds();

    let mut command = Command::new(binary);
    command.arg(yaml::target());
    command.args(["server.crt", "server.key", "ca.crt"].map(|file| certificates.path(file)));
    command.env_remove("GRPC_XDS_BOOTSTRAP").env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap.to_string());
    let mut process = Process::start("ring-service", command);
    assert!(process.wait().await.success(), "{}", process.output());
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(process.line().await);
    }
    said
}

#[tokio::test]
async fn tls_to_the_control_server_takes_the_features_cryptography_and_installs_none() {
    let said = run(&["mesh-ring"]).await;
    assert_eq!(said, ["mesh: answered", "installed: false", "own TLS: hello"]);
}

#[tokio::test]
async fn without_a_feature_the_applications_own_tls_works_and_the_call_says_which_to_enable() {
    let said = run(&[]).await;
    assert_eq!(said[1..], ["installed: false", "own TLS: hello"]);
    let parts = ["cryptography for TLS", "feature \"ring\" or \"aws-lc\" of mesh-tonic"];
    assert!(parts.iter().all(|part| said[0].contains(part)), "{}", said[0]);
}
