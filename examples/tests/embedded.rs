//! A mesh from YAML in the process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use control_server::embedded::Embedded;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::service::{GreeterService, serve};
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;

#[test]
fn example_calls_the_version_that_yaml_names() {
    let output = Command::new(env!("CARGO_BIN_EXE_embedded")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello you from v2\n".repeat(10));
}

/// Starts a greeter; returns its port.
async fn endpoint(version: &str) -> u16 {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(GreeterService::new(version, version), listener, std::future::pending()));
    port
}

fn service(port: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: greeter, namespace: shop}}\nspec: {{hosts: \
         [greeter.shop], resolution: STATIC, ports: [{{number: 80, name: grpc}}], endpoints: [{{address: 127.0.0.1, ports: {{grpc: \
         {port}}}}}]}}\n"
    )
}

async fn version(client: &mut GreeterClient<MeshChannel>) -> String {
    client.say_hello(HelloRequest::default()).await.unwrap().into_inner().version
}

fn client(embedded: Embedded) -> GreeterClient<MeshChannel> {
    let mesh = embedded.mesh().unwrap();
    GreeterClient::new(MeshChannel::builder("xds:///greeter.shop").mesh(&mesh).build().unwrap())
}

#[tokio::test]
async fn file_and_folder_are_followed() {
    let (v1, v2) = (endpoint("v1").await, endpoint("v2").await);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("greeter.yaml");
    for path in [&file, folder.path()] {
        std::fs::write(&file, service(v1)).unwrap();
        let mut client = client(Embedded::from_path(path));
        assert_eq!(version(&mut client).await, "v1");
        std::fs::write(&file, service(v2)).unwrap();
        let changed = async {
            while version(&mut client).await != "v2" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), changed).await.unwrap();
    }
}

#[tokio::test]
async fn errors_in_yaml_are_errors_of_the_start() {
    let text = service(1).replace("number: 80", "number: eighty") + "---\nkind: VirtualService\n";
    let error = Embedded::from_yaml(text).mesh().unwrap_err();
    assert_eq!(error.diagnostics().len(), 2, "{error}");
    assert!(
        error.to_string().contains("<text>:4:") && error.to_string().contains("spec.ports[0].number"),
        "{error}"
    );
    let error = Embedded::from_path("no such file").mesh().unwrap_err();
    assert!(format!("{error:?}").contains("no such file"), "{error}");
}

#[test]
fn embedded_mesh_needs_a_runtime() {
    let error = Embedded::from_yaml(service(1)).mesh().unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
