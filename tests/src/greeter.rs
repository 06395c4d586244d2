//! Endpoints of the greeter, each a process.

use std::net::SocketAddr;
use std::process::Command;

use mesh_core::testing::reserved_address;
use serde::Deserialize;

use crate::{Process, workspace_binary};

/// One endpoint of the greeter on tonic.
#[derive(Debug)]
pub struct Greeter {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What it prints first.
#[derive(Debug, Deserialize)]
struct Listening {
    address: SocketAddr,
}

impl Greeter {
    /// Starts an endpoint that names itself `name` and says it is `version`, on a free loopback port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(name: &str, version: &str) -> Self {
        Self::start_at(reserved_address(), name, version).await
    }

    /// The same at a given address, to come back where one was.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_at(address: SocketAddr, name: &str, version: &str) -> Self {
        let mut command = Command::new(workspace_binary("examples", "greeter-server"));
        command.args(["--listen", &address.to_string(), "--name", name, "--version", version]);
        command.arg("--end-with-stdin");
        let mut process = Process::start(format!("greeter {name}"), command);
        let Listening { address } = process.json().await;
        Self { process, address }
    }
}
