//! A control-server, endpoints of the greeter and clients of it, on stock gRPC in one language.

use std::net::SocketAddr;

use mesh_core::testing::reserved_address;
use serde_json::Value;
use tests::go::Go;
use tests::java::Java;
use tests::node::Node;
use tests::python::Python;
use tests::stock::{Client, Server};
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter};

/// Whose client it is, and whose endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Clients and endpoints.
    Python,
    /// Clients; the endpoints are ours.
    Node,
    /// Clients and endpoints.
    Go,
    /// Clients and endpoints.
    Java,
}

/// What is installed of a language.
#[derive(Debug)]
pub(super) enum Stock {
    Python(Python),
    Node(Node),
    Go(Go),
    Java(Java),
}

impl Stock {
    pub(super) fn find(language: Language, test: &str) -> Option<Self> {
        let test = format!("{language:?}, {test}");
        match language {
            Language::Python => Python::find(&test).map(Self::Python),
            Language::Node => Node::find(&test).map(Self::Node),
            Language::Go => Go::find(&test).map(Self::Go),
            Language::Java => Java::find(&test).map(Self::Java),
        }
    }

    /// An endpoint of the greeter at a free port, or where one was; `arguments` for those of other languages than ours.
    pub(super) async fn server(
        &self,
        name: &str,
        version: &str,
        at: Option<SocketAddr>,
        arguments: &[&str],
    ) -> Server {
        self.told_server((name, version), at, arguments, None).await
    }

    /// The same with a bootstrap, whose control plane tells it how to serve; not for [`Language::Node`].
    pub(super) async fn told_server(
        &self,
        (name, version): (&str, &str),
        at: Option<SocketAddr>,
        arguments: &[&str],
        bootstrap: Option<&Value>,
    ) -> Server {
        let at = at.unwrap_or_else(reserved_address);
        let port = at.port().to_string();
        let arguments = [&["--port", &port], arguments].concat();
        match self {
            Self::Python(python) => python.server(name, version, &arguments, bootstrap).await,
            Self::Go(go) => go.server(name, version, &arguments, bootstrap).await,
            Self::Java(java) => java.server(name, version, &arguments, bootstrap).await,
            Self::Node(_) => {
                let Greeter { process, address } = Greeter::start_at(at, name, version).await;
                Server { process, address }
            }
        }
    }

    /// A client of `target`; of `xds:///` with a bootstrap.
    pub(super) async fn client(&self, target: &str, bootstrap: Option<&Value>) -> Client {
        match self {
            Self::Python(python) => python.client(target, bootstrap).await,
            Self::Node(node) => node.client(target, bootstrap.cloned().unwrap_or_default()).await,
            Self::Go(go) => go.client(target, bootstrap).await,
            Self::Java(java) => java.client(target, bootstrap).await,
        }
    }
}

/// A control-server, endpoints of the greeter, and clients of it.
pub(super) struct Stage {
    pub(super) stock: Stock,
    pub(super) control: ControlServer,
    pub(super) servers: Vec<Server>,
}

impl Stage {
    /// Endpoints e0, e1, .. of these versions; `None` where nothing is installed.
    pub(super) async fn start(language: Language, test: &str, versions: &[&str]) -> Option<Self> {
        Self::with_rules(language, test, versions, &[]).await
    }

    /// The same with routes from the start, unless there are none.
    pub(super) async fn with_rules(
        language: Language,
        test: &str,
        versions: &[&str],
        rules: &[&str],
    ) -> Option<Self> {
        let stock = Stock::find(language, test)?;
        let mut servers = Vec::new();
        for (index, version) in versions.iter().enumerate() {
            servers.push(stock.server(&format!("e{index}"), version, None, &[]).await);
        }
        let config = ConfigDir::new();
        let endpoints: Vec<_> = servers
            .iter()
            .zip(versions)
            .map(|(server, version)| Endpoint::new(server.address, version))
            .collect();
        config.write("service.yaml", &yaml::service(&endpoints));
        if !rules.is_empty() {
            config.write("routes.yaml", &yaml::routes(rules));
        }
        Some(Self { stock, control: ControlServer::start(config).await, servers })
    }

    pub(super) fn routes(&self, rules: &[&str]) {
        self.control.config.write("routes.yaml", &yaml::routes(rules));
    }

    /// Only these of the endpoints, all of version v1.
    pub(super) fn only(&self, indices: &[usize]) {
        let endpoints: Vec<_> =
            indices.iter().map(|index| Endpoint::new(self.servers[*index].address, "v1")).collect();
        self.control.config.write("service.yaml", &yaml::service(&endpoints));
    }

    pub(super) async fn client(&self) -> Client {
        self.stock.client(&yaml::target(), Some(&self.control.bootstrap("stock"))).await
    }
}
