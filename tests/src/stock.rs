//! Stock gRPC clients that take orders, in whatever language: each is a program in `interop/`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Process;

/// What `cargo xtask interop-setup` installs. Without it there is `None`, and a warning that no test runner swallows; the
/// test then returns.
///
/// # Panics
/// Without it, where `MESH_INTEROP=required` is set, as in CI.
pub(crate) fn installed<T>(test: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        let missing = format!("interop tests DID NOT RUN ({test}): run cargo xtask interop-setup");
        assert!(!xtask::interop::is_required(), "{missing}");
        // Not `eprintln`: its output is shown of failed tests only.
        drop(writeln!(std::io::stderr(), "\nWARNING: {missing}\n"));
    }
    found
}

/// A greeter on stock gRPC.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct Listening {
    address: SocketAddr,
}

impl Server {
    /// Starts `command`, which says where it listens; `arguments` besides its name and version. With a bootstrap the control plane
    /// tells it how to serve.
    pub(crate) async fn spawn(
        language: &str,
        mut command: Command,
        (name, version): (&str, &str),
        arguments: &[&str],
        bootstrap: Option<&Value>,
    ) -> Self {
        command.args(["--name", name, "--version", version]).args(arguments);
        set_bootstrap(&mut command, bootstrap);
        let mut process = Process::start(format!("{language} server {name}"), command);
        let Listening { address } = process.json().await;
        Self { process, address }
    }
}

/// A program whose bootstrap names certificates lets the control plane say how connections are secured.
fn set_bootstrap(command: &mut Command, bootstrap: Option<&Value>) {
    for name in ["GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG", "INTEROP_XDS"] {
        command.env_remove(name);
    }
    let Some(bootstrap) = bootstrap else { return };
    command.env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap.to_string());
    if bootstrap.get("certificate_providers").is_some() {
        command.env("INTEROP_XDS", "1");
    }
}

/// A client on stock gRPC that takes orders.
#[derive(Debug)]
pub struct Client {
    /// The process.
    pub process: Process,
}

/// Calls to make.
#[derive(Debug, Clone)]
pub struct Calls {
    order: Value,
}

impl Calls {
    /// This many unary calls, one after the other, fail-fast, with 10 s for each.
    pub fn new(count: u32) -> Self {
        Self { order: json!({"do": "call", "calls": count, "metadata": []}) }
    }

    /// This many calls a second until stopped.
    pub fn per_second(rate: u32) -> Self {
        Self { order: json!({"do": "start", "qps": rate, "metadata": []}) }
    }

    /// This many at a time.
    #[must_use]
    pub fn concurrently(mut self, concurrency: u32) -> Self {
        self.order["concurrency"] = concurrency.into();
        self
    }

    /// Of this method of the greeter: `SayHello`, `SayHellos`, `GatherHellos`, `Chat`.
    #[must_use]
    pub fn method(mut self, name: &str) -> Self {
        self.order["method"] = name.into();
        self
    }

    /// With this metadata besides.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        if let Value::Array(pairs) = &mut self.order["metadata"] {
            pairs.push(json!([key, value]));
        }
        self
    }

    /// With this many seconds for each.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.order["timeout"] = seconds.into();
        self
    }

    /// Waiting for an endpoint instead of failing.
    #[must_use]
    pub fn wait_for_ready(mut self) -> Self {
        self.order["wait_for_ready"] = true.into();
        self
    }
}

/// What came of calls.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Report {
    /// How many have ended.
    pub calls: u64,
    /// By status code, for example `OK`.
    pub codes: BTreeMap<String, u64>,
    /// Successful ones by the endpoint's name.
    pub endpoints: BTreeMap<String, u64>,
    /// Successful ones by the endpoint's version.
    pub versions: BTreeMap<String, u64>,
    /// The texts of the first few failures.
    pub errors: Vec<String>,
    /// `p50`, `p99` and `max`, in milliseconds.
    pub latency_ms: BTreeMap<String, f64>,
}

impl Report {
    /// How many ended with `code`.
    pub fn code(&self, code: &str) -> u64 {
        self.codes.get(code).copied().unwrap_or_default()
    }

    /// How many did not succeed.
    pub fn failed(&self) -> u64 {
        self.calls - self.code("OK")
    }

    /// The part of the calls that `version` answered, in percent.
    #[expect(clippy::cast_precision_loss, reason = "a test makes fewer calls than a float counts")]
    pub fn percent_of_version(&self, version: &str) -> f64 {
        let answered = self.versions.get(version).copied().unwrap_or_default();
        100.0 * answered as f64 / self.calls.max(1) as f64
    }
}

/// A resource as the client's CSDS shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Held {
    /// For example `envoy.config.listener.v3.Listener`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version that is in use.
    pub version: String,
    /// For example `ACKED`.
    pub client_status: String,
    /// Why the last update was refused; empty if it was not.
    pub error: String,
}

impl Client {
    /// Starts `command`, which must know its target already; `bootstrap` is its xDS bootstrap, as JSON.
    pub(crate) async fn spawn(name: String, mut command: Command, bootstrap: Option<&Value>) -> Self {
        set_bootstrap(&mut command, bootstrap);
        let mut process = Process::start(name, command);
        let _ready: Value = process.json().await;
        Self { process }
    }

    /// Makes calls and waits for them.
    ///
    /// # Panics
    /// When the client does not follow.
    pub async fn call(&mut self, calls: Calls) -> Report {
        self.order(&calls.order).await
    }

    /// Begins a load.
    ///
    /// # Panics
    /// When the client does not follow, for example because a load is running.
    pub async fn start(&mut self, calls: Calls) {
        let _started: BTreeMap<String, bool> = self.order(&calls.order).await;
    }

    /// What came of the running load so far.
    ///
    /// # Panics
    /// When there is none.
    pub async fn report(&mut self) -> Report {
        self.order(&json!({"do": "report"})).await
    }

    /// Ends the load.
    ///
    /// # Panics
    /// When there is none.
    pub async fn stop(&mut self) -> Report {
        self.order(&json!({"do": "stop"})).await
    }

    /// What its xDS client holds.
    ///
    /// # Panics
    /// When the client does not follow.
    pub async fn csds(&mut self) -> Vec<Held> {
        let mut answer: BTreeMap<String, Vec<Held>> = self.order(&json!({"do": "csds"})).await;
        answer.remove("csds").unwrap_or_default()
    }

    async fn order<T: serde::de::DeserializeOwned>(&mut self, order: &Value) -> T {
        self.process.send(&order.to_string()).await;
        self.process.json().await
    }
}
