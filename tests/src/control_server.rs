//! A real control-server over a folder of configuration.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use mesh_core::testing::reserved_address_of;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{ConfigDir, Process, eventually, workspace_binary};

/// Where a control-server listens.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Addresses {
    /// ADS.
    pub xds: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// ADS with TLS, if the flags ask for it.
    pub xds_tls: Option<SocketAddr>,
}

/// A control-server process on free loopback ports.
#[derive(Debug)]
pub struct ControlServer {
    /// The process.
    pub process: Process,
    /// Where it listens, through every restart.
    pub addresses: Addresses,
    /// What it reads.
    pub config: ConfigDir,
    /// What stands before its command.
    front: Vec<String>,
    /// What stands after it.
    flags: Vec<String>,
}

impl ControlServer {
    /// Starts one over `config`, and waits until it serves.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(config: ConfigDir) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), config, &[]).await
    }

    /// The same on free ports of this address, with a command in front, which must run what is appended to it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_at(address: IpAddr, config: ConfigDir, front: &[&str]) -> Self {
        let front = front.iter().map(|word| (*word).to_owned()).collect();
        Self::launch(address, config, front, Vec::new()).await
    }

    /// The same on loopback with flags of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(config: ConfigDir, flags: Vec<String>) -> Self {
        Self::launch(Ipv4Addr::LOCALHOST.into(), config, Vec::new(), flags).await
    }

    async fn launch(address: IpAddr, config: ConfigDir, front: Vec<String>, flags: Vec<String>) -> Self {
        // The address of a network namespace is not this machine's to reserve, and no other test runs there.
        let own = || if address.is_loopback() { reserved_address_of(address) } else { (address, 0).into() };
        let addresses = Addresses { xds: own(), admin: own(), xds_tls: None };
        let (process, addresses) = launch(&config, addresses, &front, &flags).await;
        Self { process, addresses, config, front, flags }
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it is gone already.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again, where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        (self.process, _) = launch(&self.config, self.addresses, &self.front, &self.flags).await;
    }

    /// Starts it again where it was, although it cannot: waits for its end, and gives what it has said.
    ///
    /// # Panics
    /// When it runs all the same.
    pub async fn fail_to_restart(&mut self) -> String {
        self.process = spawn(&self.config, self.addresses, &self.front, &self.flags);
        let status = self.process.wait().await;
        assert!(!status.success(), "it ended as if all were well:\n{}", self.process.output());
        self.process.output()
    }

    /// What a gRPC client needs to know, as JSON.
    pub fn bootstrap(&self, node_id: &str) -> Value {
        json!({
            "xds_servers": [{
                "server_uri": self.addresses.xds.to_string(),
                "channel_creds": [{"type": "insecure"}],
                "server_features": ["xds_v3"],
            }],
            "node": {"id": node_id, "cluster": "tests"},
        })
    }

    /// What the admin API answers to `GET path`, as JSON.
    ///
    /// # Panics
    /// When it does not answer, or with something else.
    pub async fn admin<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.get(path).await.unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("GET {path}: {error} in {answer}"))
    }

    /// HTTP/1.0, because its answers end with the connection and come in one piece.
    async fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.addresses.admin).await?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.addresses.admin);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

async fn launch(
    config: &ConfigDir,
    addresses: Addresses,
    front: &[String],
    flags: &[String],
) -> (Process, Addresses) {
    let ready = config.beside(READY);
    drop(std::fs::remove_file(&ready));
    let mut process = spawn(config, addresses, front, flags);
    let addresses = eventually("the control-server is ready", async || {
        assert!(process.is_running(), "the control-server has ended:\n{}", process.output());
        let text = std::fs::read_to_string(&ready).map_err(|_| process.output())?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text:?}"))
    })
    .await;
    (process, addresses)
}

fn spawn(config: &ConfigDir, addresses: Addresses, front: &[String], flags: &[String]) -> Process {
    let server = workspace_binary("control-server", "control-server");
    let mut words = front.iter().map(OsString::from).chain([server.into()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("serve").arg("--config-dir").arg(config.path());
    command.arg("--data-dir").arg(config.beside("data")).arg("--ready-file").arg(config.beside(READY));
    command.args(["--xds", &addresses.xds.to_string(), "--admin", &addresses.admin.to_string()]);
    command.args(flags);
    Process::start("control-server", command)
}

/// The file that says where it listens.
const READY: &str = "ready.json";
