//! A control-server, endpoints of the greeter and clients of it, on stock gRPC in one language.

use std::net::SocketAddr;

use tests::node::Node;
use tests::python::Python;
use tests::stock::Client;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Process};

/// Whose client it is, and whose endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Clients and endpoints.
    Python,
    /// Clients; the endpoints are ours.
    Node,
}

/// What is installed of a language.
#[derive(Debug)]
pub(super) enum Stock {
    Python(Python),
    Node(Node),
}

impl Stock {
    fn find(language: Language, test: &str) -> Option<Self> {
        match language {
            Language::Python => Python::find(test).map(Self::Python),
            Language::Node => Node::find(test).map(Self::Node),
        }
    }

    pub(super) async fn server(&self, name: &str, version: &str, at: Option<SocketAddr>) -> Server {
        let (process, address) = match self {
            Self::Python(python) => {
                let port = at.map_or(0, |address| address.port()).to_string();
                let server = python.server(name, version, &["--port", &port]).await;
                (server.process, server.address)
            }
            Self::Node(_) => {
                let address = at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
                let server = Greeter::start_at(address, name, version).await;
                (server.process, server.address)
            }
        };
        Server { process, address }
    }

    async fn client(&self, control: &ControlServer) -> Client {
        match self {
            Self::Python(python) => python.client(&yaml::target(), Some(&control.bootstrap("python"))).await,
            Self::Node(node) => node.client(&yaml::target(), control.bootstrap("node")).await,
        }
    }
}

/// An endpoint of the greeter.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
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
        let stock = Stock::find(language, &format!("{language:?}, {test}"))?;
        let mut servers = Vec::new();
        for (index, version) in versions.iter().enumerate() {
            servers.push(stock.server(&format!("e{index}"), version, None).await);
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
        self.stock.client(&self.control).await
    }
}
