//! Stock gRPC in Python: the programs in `interop/`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::Process;
use crate::stock::{Client, installed};

/// A Python that has stock gRPC.
#[derive(Debug, Clone)]
pub struct Python {
    path: PathBuf,
}

impl Python {
    /// The environment that `cargo xtask interop-setup` makes. Without it there is `None`, and a warning that no test
    /// runner swallows; the test then returns.
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<Self> {
        installed(test, xtask::interop::python(&xtask::workspace::root())).map(|path| Self { path })
    }

    /// Starts a greeter; `arguments` besides its name and version.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn server(&self, name: &str, version: &str, arguments: &[&str]) -> Server {
        let mut command = self.program("greeter_server.py");
        command.args(["--name", name, "--version", version]).args(arguments);
        let mut process = Process::start(format!("Python server {name}"), command);
        let Listening { address } = process.json().await;
        Server { process, address }
    }

    /// Starts a client of `target` that takes orders; `bootstrap` is its xDS bootstrap, as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn client(&self, target: &str, bootstrap: Option<&Value>) -> Client {
        let mut command = self.program("greeter_client.py");
        command.args(["--target", target, "--interactive"]);
        command.env_remove("GRPC_XDS_BOOTSTRAP").env_remove("GRPC_XDS_BOOTSTRAP_CONFIG");
        if let Some(bootstrap) = bootstrap {
            command.env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap.to_string());
        }
        Client::spawn(format!("Python client of {target}"), command).await
    }

    pub(crate) fn program(&self, file: &str) -> Command {
        let mut command = Command::new(&self.path);
        // Nothing is to be written beside the sources.
        command.arg("-B").arg(xtask::workspace::root().join("tests/interop").join(file));
        command
    }
}

#[derive(Debug, Deserialize)]
struct Listening {
    address: SocketAddr,
}

/// A greeter on stock gRPC.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}
