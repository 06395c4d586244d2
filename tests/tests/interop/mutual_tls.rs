//! Mutual TLS and authorization between programs of four languages, told by our control-server: each serves, and each calls.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::Mesh;
use mesh_core::testing::reserved_address;
use mesh_tonic::MeshServer;
use serde_json::Value;
use tests::certificates::Certificates;
use tests::mesh::MeshClient;
use tests::stock::{Calls, Server};
use tests::yaml::{self, HOST, PORT};
use tests::{ConfigDir, ControlServer, eventually, workspace_binary};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use xds_client::Options;
use xds_client::bootstrap::Bootstrap;
use xds_client::transport::GrpcTransport;

use super::stage::{Language, Stock};

/// Who serves, in the order of the endpoints' names.
const SERVERS: [Option<Language>; 4] =
    [None, Some(Language::Python), Some(Language::Go), Some(Language::Java)];

/// The same endpoints by a name whose endpoints are said to have an account that they do not have.
const MISTAKEN: &str = "mistaken.shop.svc.cluster.local";

/// The whole mesh, and who may call the greeter: the account `front`.
const SECURITY: &str = "apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: mesh, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: greeter, namespace: shop}
spec:
  selector: {matchLabels: {app: greeter}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/web/sa/front]}}]
    to: [{operation: {paths: [/mesh.examples.v1.Greeter/*]}}]
";

/// A server of one language, which ends with this.
enum Serving {
    Ours(JoinHandle<()>),
    Stock(#[expect(dead_code, reason = "its process ends when it is dropped")] Box<Server>),
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Self::Ours(task) = self {
            task.abort();
        }
    }
}

struct Stage {
    control: ControlServer,
    certificates: Certificates,
    /// Of an authority that no program here trusts.
    impostors: Certificates,
    serving: Vec<Serving>,
}

impl Stage {
    /// A server for each of [`SERVERS`] whose language is installed, with mutual TLS for the whole mesh.
    async fn start(test: &str) -> Option<Self> {
        let config = ConfigDir::new();
        let addresses = SERVERS.map(|_| reserved_address());
        config.write("service.yaml", &services(&addresses));
        config.write("security.yaml", SECURITY);
        let certificates = || Certificates::new("spiffe://cluster.local/ns/unused/sa/unused");
        let control = ControlServer::start(config).await;
        let (certificates, impostors) = (certificates(), certificates());
        let mut stage = Self { control, certificates, impostors, serving: Vec::new() };
        for (index, (language, address)) in SERVERS.into_iter().zip(addresses).enumerate() {
            let name = format!("e{index}");
            let bootstrap = stage.bootstrap(&name, "shop", "greeter", "greeter");
            let serving = match language {
                None => Serving::Ours(serve(&bootstrap, address, &name).await),
                Some(language) => {
                    let stock = Stock::find(language, test)?;
                    let server = stock.told_server((&name, "v1"), Some(address), &[], Some(&bootstrap)).await;
                    Serving::Stock(Box::new(server))
                }
            };
            stage.serving.push(serving);
        }
        Some(stage)
    }

    /// What `meshctl bootstrap` writes for a program of this namespace, application and account.
    fn bootstrap(&self, node: &str, namespace: &str, app: &str, account: &str) -> Value {
        let id = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        self.bootstrap_with(node, namespace, app, &self.certificates.workload(node, &id))
    }

    /// Those who connect, but are not allowed by the policy: another account, and the right one of another trust domain.
    fn denied(&self) -> [Value; 2] {
        let stranger = self.certificates.workload("stranger", "spiffe://elsewhere.test/ns/web/sa/front");
        let another = self.bootstrap("back", "web", "back", "back");
        [another, self.bootstrap_with("stranger", "web", "front", &stranger)]
    }

    /// Those who do not even connect, and their target: what is wrong with them in words.
    fn unconnected(&self) -> [(&'static str, String, Value); 3] {
        let id = "spiffe://cluster.local/ns/web/sa/front";
        let impostor = self.impostors.workload("front", id);
        let allowed = self.bootstrap("front", "web", "front", "front");
        [
            ("no certificate", yaml::target(), self.control.bootstrap("plain")),
            ("another authority", yaml::target(), self.bootstrap_with("impostor", "web", "front", &impostor)),
            ("servers of another account", format!("xds:///{MISTAKEN}:{PORT}"), allowed),
        ]
    }

    fn bootstrap_with(&self, node: &str, namespace: &str, app: &str, certificates: &Path) -> Value {
        let mut meshctl = Command::new(workspace_binary("control-server", "meshctl"));
        meshctl.args(["bootstrap", "--lang", "go", "--xds", &self.control.addresses.xds.to_string()]);
        meshctl.args(["--node-id", node, "--namespace", namespace, "--label", &format!("app={app}")]);
        let output = meshctl.arg("--certificates").arg(certificates).output().expect("meshctl runs");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("a bootstrap is JSON")
    }
}

/// The greeter, with the account `greeter` for all endpoints, and [`MISTAKEN`].
fn services(addresses: &[SocketAddr]) -> String {
    let right = service("greeter", HOST, addresses, "greeter");
    let mistaken = service("mistaken", MISTAKEN, addresses, "other");
    let rule = yaml::destination_rule("loadBalancer: {simple: ROUND_ROBIN}");
    format!("{right}---\n{mistaken}{rule}")
}

fn service(name: &str, host: &str, addresses: &[SocketAddr], account: &str) -> String {
    let endpoints = addresses.iter().map(|address| {
        let (ip, port) = (address.ip(), address.port());
        format!("  - {{address: \"{ip}\", ports: {{grpc: {port}}}, labels: {{app: greeter, version: v1}}, serviceAccount: {account}}}\n")
    });
    let endpoints: String = endpoints.collect();
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: grpc, protocol: GRPC}}]
  endpoints:
{endpoints}"
    )
}

/// Our own server.
async fn serve(bootstrap: &Value, address: SocketAddr, name: &str) -> JoinHandle<()> {
    let bootstrap = Bootstrap::from_json(&bootstrap.to_string()).expect("a good bootstrap");
    let options = Options::default();
    let xds = xds_client::start_with(bootstrap, GrpcTransport::new(&options), options).expect("a client");
    let server = MeshServer::bind(&Mesh::new(xds), address).await.expect("the port is free");
    let greeter = Routes::new(GreeterServer::new(GreeterService::new(name, "v1")));
    tokio::spawn(server.serve(greeter))
}

async fn stock_client_calls_servers_of_all_languages(language: Language) {
    let Some(stage) = Stage::start(&format!("{language:?}, mutual TLS")).await else { return };
    let Some(stock) = Stock::find(language, "mutual TLS") else { return };
    let allowed = stage.bootstrap("front", "web", "front", "front");
    let mut client = stock.client(&yaml::target(), Some(&allowed)).await;
    eventually("all four answer", async || {
        // each may need a while until it serves
        let report = client.call(Calls::new(16).timeout(60)).await;
        if report.endpoints.len() == 4 { Ok(()) } else { Err(format!("{report:?}")) }
    })
    .await;
    let report = client.call(Calls::new(100).wait_for_ready().timeout(60)).await;
    assert_eq!((report.failed(), report.endpoints.len()), (0, 4), "{report:?}");

    for denied in stage.denied() {
        let report = client_report(&stock, &denied, 40).await;
        assert_eq!(report.code("PERMISSION_DENIED"), 40, "{report:?}");
    }
    for (what, target, unconnected) in stage.unconnected() {
        let mut client = stock.client(&target, Some(&unconnected)).await;
        let report = client.call(Calls::new(8).timeout(60)).await;
        assert_eq!(report.code("UNAVAILABLE"), 8, "{what}: {report:?}");
    }
}

async fn client_report(stock: &Stock, bootstrap: &Value, calls: u32) -> tests::stock::Report {
    let mut client = stock.client(&yaml::target(), Some(bootstrap)).await;
    client.call(Calls::new(calls).wait_for_ready().timeout(60)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_calls_servers_of_all_languages() {
    stock_client_calls_servers_of_all_languages(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_calls_servers_of_all_languages() {
    stock_client_calls_servers_of_all_languages(Language::Go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_calls_servers_of_all_languages() {
    stock_client_calls_servers_of_all_languages(Language::Java).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_calls_servers_of_all_languages() {
    let Some(stage) = Stage::start("ours, mutual TLS").await else { return };
    let client = |bootstrap: &Value| MeshClient::with(bootstrap, Options::default());
    let allowed = client(&stage.bootstrap("front", "web", "front", "front"));
    for endpoint in ["e0", "e1", "e2", "e3"] {
        allowed.until_answers(endpoint).await;
    }
    for _ in 0..100 {
        allowed.hello().await.unwrap();
    }
    for denied in stage.denied() {
        let denied = client(&denied);
        for _ in 0..8 {
            let refused = denied.hello().await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
        }
    }
    for (what, target, unconnected) in stage.unconnected() {
        let failed =
            MeshClient::with_target(&unconnected, Options::default(), &target).hello().await.unwrap_err();
        assert_eq!(failed.code(), tonic::Code::Unavailable, "{what}: {failed:?}");
    }
}
