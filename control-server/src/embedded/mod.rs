//! A mesh from YAML inside a process, without a control server and without a socket.
//!
//! ```text
//! Embedded -> Pipeline -> AggregatedDiscovery <- bridge <- xds_client::transport::memory <- XdsClient -> Mesh
//! ```
//!
//! The client asks and is answered as over a connection, so everything means what it means with a control server.
//! `docs/embedded.md` is the guide, `examples/src/bin/embedded.rs` the example.
//!
//! ```
//! # use control_server::embedded::Embedded;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Embedded::from_yaml("
//! apiVersion: networking.istio.io/v1
//! kind: ServiceEntry
//! metadata: {name: greeter, namespace: shop}
//! spec:
//!   hosts: [greeter.shop]
//!   resolution: STATIC
//!   ports: [{number: 80, name: grpc}]
//!   endpoints: [{address: 127.0.0.1, ports: {grpc: 50051}}]
//! ").mesh()?;
//! // let channel = MeshChannel::builder("xds:///greeter.shop").mesh(&mesh).build()?;
//! # drop(mesh);
//! # Ok(())
//! # }
//! ```

mod bridge;
mod error;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use mesh_core::runtime::Mesh;
use tokio::task::JoinSet;
use xds_client::bootstrap::{
    AllowedGrpcService, Bootstrap, CertificateProvider, FileWatcher, IdentityFiles, Node, ServerConfig,
};
use xds_client::transport::memory::{MemoryServer, pair};
use xds_client::{Options, XdsClient, start_with};

use crate::discovery::{AggregatedDiscovery, Drain, Feed, Registry, ResourceCache};
use crate::metrics::Metrics;
use crate::pipeline::{self, Input, Links, LoadReporting, Pipeline, Validation};
use crate::resources::SERVER_LISTENERS;
use crate::state::Severity;

pub use error::EmbeddedError;

/// Configuration for one process, without a control server of its own.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `mesh` or `client` is called"]
pub struct Embedded {
    input: Input,
    node: Node,
    certificates: Option<PathBuf>,
    allowed_services: Vec<(String, AllowedGrpcService)>,
    options: Options,
}

impl Embedded {
    /// The objects of a YAML text.
    pub fn from_yaml(text: impl Into<String>) -> Self {
        Self::new(Input::Text { name: TEXT.to_owned(), text: text.into() })
    }

    /// The objects of a file, or of a folder's files. Changes are followed, as the control server follows them.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(Input::Path(path.into()))
    }

    fn new(input: Input) -> Self {
        Self {
            input,
            node: Node::new("embedded"),
            certificates: None,
            allowed_services: Vec::new(),
            options: Options::default(),
        }
    }

    /// Who asks: what a client gets may depend on its node's metadata and locality. A node of the id `embedded` by default.
    pub fn node(self, node: Node) -> Self {
        Self { node, ..self }
    }

    /// The folder with the process's certificate `tls.crt`, its key `tls.key` and the trusted roots `ca.crt`, for mutual TLS between
    /// clients and servers of the mesh. Files that are replaced are read again.
    pub fn certificates(self, folder: impl Into<PathBuf>) -> Self {
        Self { certificates: Some(folder.into()), ..self }
    }

    /// A service that configuration may have this process ask about calls, `host:port`, and how it is reached. Any other one is refused.
    pub fn allowed_service(mut self, target: impl Into<String>, service: AllowedGrpcService) -> Self {
        self.allowed_services.push((target.into(), service));
        self
    }

    /// Options of the client, for example filters of your own.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// A mesh for channels and servers, which keeps everything else alive. A server gets the listener that policies of the node's
    /// namespace and labels make.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn mesh(self) -> Result<Mesh, EmbeddedError> {
        Ok(Mesh::new(self.client()?))
    }

    /// The client behind the mesh, for those who build the mesh themselves.
    ///
    /// # Errors
    /// [`EmbeddedError`] when there are errors in the configuration, when it cannot be read, or outside of a tokio runtime.
    /// Errors that come later leave what was last good in use, and are logged.
    pub fn client(self) -> Result<XdsClient, EmbeddedError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(EmbeddedError::no_runtime());
        }
        let mut found = Validation::of(std::slice::from_ref(&self.input), Links::Inside).diagnostics;
        found.retain(|one| one.severity == Severity::Error);
        if !found.is_empty() {
            return Err(EmbeddedError::invalid(found));
        }
        let bootstrap = bootstrap(self.node, self.certificates, self.allowed_services)?;
        let pipeline = match self.input {
            Input::Text { name, text } => Pipeline::of_text(&name, &text, LoadReporting::Off),
            Input::Path(path) => Pipeline::start(pipeline::Options {
                load_reporting: LoadReporting::Off,
                rescan: RESCAN,
                ..pipeline::Options::new(path)
            }),
        };
        let pipeline = pipeline.map_err(EmbeddedError::other)?;
        let (transport, server) = pair();
        tokio::spawn(serve(pipeline, server));
        start_with(bootstrap, transport, self.options).map_err(EmbeddedError::other)
    }
}

fn bootstrap(
    node: Node,
    certificates: Option<PathBuf>,
    allowed: Vec<(String, AllowedGrpcService)>,
) -> Result<Bootstrap, EmbeddedError> {
    let mut builder = Bootstrap::builder()
        .server(ServerConfig::insecure(SERVER))
        .node(node)
        // SV-01
        .server_listener_template(format!("{SERVER_LISTENERS}%s"));
    for (target, service) in allowed {
        builder = builder.allowed_grpc_service(target, service);
    }
    let builder = match certificates {
        None => builder,
        Some(folder) => {
            let mut files = FileWatcher::default();
            files.identity = Some(IdentityFiles {
                certificate: folder.join("tls.crt"),
                private_key: folder.join("tls.key"),
            });
            files.ca_certificate_file = Some(folder.join("ca.crt"));
            files.refresh_interval = RENEWAL;
            builder.certificate_provider("default", CertificateProvider::FileWatcher(files))
        }
    };
    builder.build().map_err(EmbeddedError::other)
}

/// Serves the streams of one client, until the client is gone.
async fn serve(pipeline: Pipeline, mut server: MemoryServer) {
    let feed = Feed { resources: pipeline.resources(), state: pipeline.state() };
    let (cache, follow) = ResourceCache::follow(feed);
    let discovery =
        AggregatedDiscovery::new(cache, Registry::default(), Drain::default(), Metrics::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(follow);
    loop {
        tokio::select! {
            stream = server.accept() => match stream {
                Some(stream) => drop(tasks.spawn(bridge::serve(stream, discovery.clone()))),
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// The name of a text in diagnostics.
const TEXT: &str = "<text>";
/// Names the server in what the client says of it. Nothing is connected.
const SERVER: &str = "embedded";
/// How often certificates are read again.
const RENEWAL: Duration = Duration::from_secs(10);
/// Nothing reports changes of a single file.
const RESCAN: Duration = Duration::from_secs(1);
