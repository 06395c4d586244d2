//! A real Envoy between a client and endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use xds_client::transport::Variant;

use crate::stock::installed;
use crate::{ControlServer, Process, eventually};

/// An Envoy process as `interop/envoy.yaml` describes it.
#[derive(Debug)]
pub struct Envoy {
    /// The process.
    pub process: Process,
    /// Where it takes calls of the greeter.
    pub address: SocketAddr,
    admin: SocketAddr,
    /// Holds its bootstrap.
    _folder: TempDir,
}

impl Envoy {
    /// The Envoy that `cargo xtask interop-setup` installs, as [`Python::find`](crate::python::Python::find).
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<PathBuf> {
        installed(test, xtask::interop::envoy(&xtask::workspace::root()))
    }

    /// Starts `program` as a client of `control`, and waits until it takes calls.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(program: PathBuf, control: &ControlServer, variant: Variant) -> Self {
        let api_type = match variant {
            Variant::Sotw => "GRPC",
            Variant::Delta => "DELTA_GRPC",
        };
        let bootstrap = include_str!("../interop/envoy.yaml")
            .replace("$XDS_PORT", &control.addresses.xds.port().to_string())
            .replace("$API_TYPE", api_type);
        Self::with_bootstrap(program, &bootstrap).await
    }

    /// Starts `program` with this bootstrap, JSON or YAML, of one listener, and waits until it takes calls.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with_bootstrap(program: PathBuf, bootstrap: &str) -> Self {
        let folder = TempDir::with_prefix("mesh-envoy-").expect("the temporary folder is writable");
        let (file, admin) = (folder.path().join("envoy.yaml"), folder.path().join("admin"));
        std::fs::write(&file, bootstrap).expect("a new temporary folder is writable");
        let mut command = Command::new(program);
        command.arg("--config-path").arg(file).arg("--admin-address-path").arg(&admin);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        let mut process = Process::start("Envoy", command);
        let admin = eventually("Envoy has its ports", async || {
            assert!(process.is_running(), "Envoy has ended:\n{}", process.output());
            let text = std::fs::read_to_string(&admin).map_err(|_| process.output())?;
            text.trim().parse().map_err(|_| text)
        })
        .await;
        let address = eventually("Envoy takes calls", async || {
            let answer = get(admin, "/listeners?format=json").await?;
            let listeners: Listeners = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
            let [Listener { local_address: Address { socket_address } }] = &*listeners.listener_statuses
            else {
                return Err(answer);
            };
            Ok(SocketAddr::from(([127, 0, 0, 1], socket_address.port_value)))
        })
        .await;
        Self { process, address, admin, _folder: folder }
    }

    /// The counters and gauges whose names match this regular expression.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> BTreeMap<String, u64> {
        let lines = self.admin(&format!("/stats?filter={filter}")).await;
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        lines.lines().filter_map(pair).collect()
    }

    /// The endpoints that outlier detection has ejected, by cluster.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn ejected(&self) -> BTreeMap<String, BTreeSet<SocketAddr>> {
        let answer = self.admin("/clusters?format=json").await;
        let clusters: Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"));
        let of_cluster = |cluster: &Value| {
            let hosts = cluster["host_statuses"].as_array().into_iter().flatten();
            let ejected = hosts.filter(|host| host["health_status"]["failed_outlier_check"] == true);
            (cluster["name"].as_str().unwrap_or_default().to_owned(), ejected.map(address_of).collect())
        };
        clusters["cluster_statuses"].as_array().into_iter().flatten().map(of_cluster).collect()
    }

    /// Every reason that Envoy has for not using the latest of a resource.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn refusals(&self) -> Vec<String> {
        let dump = self.admin("/config_dump?include_eds").await;
        let dump: Value = serde_json::from_str(&dump).unwrap_or_else(|error| panic!("{error} in {dump}"));
        let mut found = Vec::new();
        collect(&dump, &mut found);
        found
    }

    async fn admin(&self, path: &str) -> String {
        match get(self.admin, path).await {
            Ok(answer) => answer,
            Err(error) => panic!("GET {path}: {error}; Envoy said:\n{}", self.process.output()),
        }
    }
}

/// A host's address, as `/clusters` has it.
fn address_of(host: &Value) -> SocketAddr {
    let socket = &host["address"]["socket_address"];
    let text = format!("{}:{}", socket["address"].as_str().unwrap_or_default(), socket["port_value"]);
    text.parse().unwrap_or_else(|error| panic!("{error} in {host}"))
}

/// The details of every `error_state` below `value`.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(error) = fields.get("error_state") {
                found.push(error.to_string());
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header("host", "envoy").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    connection.abort();
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
}

#[derive(Debug, Deserialize)]
struct Listeners {
    #[serde(default)]
    listener_statuses: Vec<Listener>,
}

#[derive(Debug, Deserialize)]
struct Listener {
    local_address: Address,
}

#[derive(Debug, Deserialize)]
struct Address {
    socket_address: SocketAddress,
}

#[derive(Debug, Deserialize)]
struct SocketAddress {
    port_value: u16,
}
