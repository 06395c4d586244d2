//! The answers of `meshctl` to an operator's first questions, over a server with real configuration.

mod clients;
mod random_routes;
mod route;
mod services;

use std::path::PathBuf;
use std::process::Output;

use control_server::discovery::Feed;
use control_server::pipeline::{LoadReporting, Pipeline};
use control_server::server::{ControlServer, Options, Running};
use serde_json::Value;
use tokio::process::Command;

/// A server in this process that serves one text of configuration.
pub(crate) struct Shop {
    pub(crate) running: Running,
    /// Ends when it is dropped.
    _pipeline: Pipeline,
}

impl Shop {
    pub(crate) async fn open(yaml: &str) -> Self {
        let pipeline = Pipeline::of_text("shop.yaml", yaml, LoadReporting::On).unwrap();
        let feed = Feed { resources: pipeline.resources(), state: pipeline.state() };
        let loopback = "127.0.0.1:0".parse().unwrap();
        let options = Options { xds: loopback, admin: loopback, ..Options::default() };
        let running = ControlServer::serve(options, feed).await.unwrap();
        let shop = Self { running, _pipeline: pipeline };
        for _ in 0..3000 {
            if shop.meshctl(&["status"]).await.status.success() {
                return shop;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("never ready");
    }

    /// Runs `meshctl` against it.
    pub(crate) async fn meshctl(&self, arguments: &[&str]) -> Output {
        let admin = self.running.admin_address().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
        command.args(arguments).env("MESHCTL_ADMIN", admin).env_remove("MESHCTL_XDS").kill_on_drop(true);
        command.output().await.unwrap()
    }

    /// What it prints on standard output; it has to end with this code.
    pub(crate) async fn prints(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.meshctl(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says on standard error; it has to end with this code.
    pub(crate) async fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.meshctl(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Compares JSON with the committed file. `UPDATE_SNAPSHOTS=1` writes the file instead: the difference is a change of what
/// programs read, and belongs into the changelog.
pub(crate) fn assert_snapshot(name: &str, json: &str) {
    let mut found: Value = serde_json::from_str(json).unwrap();
    mask_versions(&mut found);
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/server/answers/snapshots/{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(&found).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; UPDATE_SNAPSHOTS=1 writes it", file.display());
}

/// A version is a hash of the content, which may change with every other kind of change.
fn mask_versions(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match name.as_str() {
            "version" => *value = Value::from("VERSION"),
            _ => mask_versions(value),
        }),
        Value::Array(items) => items.iter_mut().for_each(mask_versions),
        _ => {}
    }
}

/// A table's cells, which have no spaces: each line's words.
pub(crate) fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// Two services of one shop; the first one has subsets, routes and endpoints of several objects.
pub(crate) const SHOP: &str = r#"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop]
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC}]
  workloadSelector: {labels: {app: orders}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: orders-1, namespace: shop}
spec: {address: 10.0.0.1, ports: {grpc: 50051}, labels: {app: orders, version: v1}, locality: eu/a, weight: 3}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: orders-2, namespace: shop}
spec: {address: 10.0.0.2, ports: {grpc: 50051}, labels: {app: orders, version: v2}, locality: eu/b}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: orders-3, namespace: shop}
spec: {address: 10.0.0.3, ports: {grpc: 50051}, labels: {app: orders, version: v2}, weight: 0}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders, namespace: shop}
spec:
  host: orders.shop
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop]
  http:
  - name: testers
    match:
    - uri: {prefix: /shop.Orders/}
      headers: {x-tester: {exact: "yes"}}
    - uri: {exact: /shop.Orders/Try}
    route: [{destination: {host: orders.shop, subset: v2}}]
  - route:
    - {destination: {host: orders.shop, subset: v1}, weight: 90}
    - {destination: {host: orders.shop, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: shop}
spec:
  hosts: [payments.shop]
  exportTo: [shop]
  resolution: STATIC
  ports: [{number: 81, name: grpc, protocol: GRPC}, {number: 82, name: admin, protocol: GRPC}]
  endpoints: [{address: 10.0.1.1, ports: {grpc: 50052}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mail, namespace: shop}
spec:
  hosts: [mail.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 25, name: grpc, protocol: GRPC}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: empty, namespace: shop}
spec:
  hosts: [empty.shop]
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC}]
"#;
