//! A Rust client of the mesh as a process of its own.

use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Process, workspace_binary};

/// What it is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// As for any gRPC client.
    pub bootstrap: Value,
    /// The longest wait between two attempts to reach the control-server, in milliseconds.
    pub max_backoff_ms: u64,
}

/// The result of a call of the greeter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The version that answered.
    Version(String),
    /// The status.
    Failed(String),
}

/// How the client stands with its control-server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whether it is there.
    pub connected: bool,
    /// Why not.
    pub outage: Option<String>,
}

/// The process.
#[derive(Debug)]
pub struct ClientProcess {
    /// For signals and its log.
    pub process: Process,
}

impl ClientProcess {
    /// Starts it with a command in front, which must run what is appended to it; none if that is empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(front: &[&str], settings: &Settings) -> Self {
        let client = workspace_binary("tests", "mesh-client");
        let client = client.to_str().expect("a path in UTF-8").to_owned();
        let settings = serde_json::to_string(settings).expect("settings are JSON");
        let mut words = front.iter().map(|word| (*word).to_owned()).chain([client, settings]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_remove("RUST_LOG");
        Self { process: Process::start("mesh-client", command) }
    }

    /// One call.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn call(&mut self) -> Answer {
        self.process.send("call").await;
        self.process.json().await
    }

    /// How it stands.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn state(&mut self) -> State {
        self.process.send("status").await;
        self.process.json().await
    }
}
