//! The processes of the demo: each a real one, and none outlives it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use examples::service::{GreeterCommand, Listening, end_with_stdin};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a process may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// This program as an endpoint: `demo greeter ...`.
pub(crate) fn run_greeter() -> Result<ExitCode> {
    end_with_stdin()?;
    let command = GreeterCommand::parse_from(std::env::args_os().skip(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command.run()).map_err(anyhow::Error::from_boxed)?;
    Ok(ExitCode::SUCCESS)
}

/// This program as the control-server: `demo control-server ...`.
pub(crate) fn run_control_server() -> Result<ExitCode> {
    end_with_stdin()?;
    Ok(control_server::cli::serve::run(std::env::args_os().skip(1)))
}

/// A free loopback port that stays this program's while the socket lives: a process that ends and starts again finds it as it was.
fn reserve_port() -> Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// A child that dies with this value, and with this process: it watches its standard input.
#[derive(Debug)]
struct Process {
    child: Child,
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts this very program in another role.
    fn start(arguments: &[String], log: Option<&Path>) -> Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        let log = match log {
            Some(path) => std::fs::File::options().create(true).append(true).open(path)?.into(),
            None => Stdio::null(),
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {arguments:?}"))?;
        Ok(Self { _stdin: child.stdin.take(), child })
    }

    fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// `kill -9`, and waits until it is gone.
    async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("kill -9")
    }
}

/// One endpoint of the greeter.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) version: &'static str,
    pub(crate) address: SocketAddr,
    process: Option<Process>,
    _port: TcpSocket,
}

impl Endpoint {
    /// Starts an endpoint on a free loopback port, and waits until the control-server of its bootstrap lets it serve.
    pub(crate) async fn start(name: String, version: &'static str, bootstrap: &Path) -> Result<Self> {
        let (port, address) = reserve_port()?;
        let (process, address) = Self::launch(&name, version, address, bootstrap).await?;
        Ok(Self { name, version, address, process: Some(process), _port: port })
    }

    /// Starts it again, where it was.
    pub(crate) async fn restart(&mut self, bootstrap: &Path) -> Result<()> {
        let (process, _) = Self::launch(&self.name, self.version, self.address, bootstrap).await?;
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// The process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    async fn launch(
        name: &str,
        version: &str,
        address: SocketAddr,
        bootstrap: &Path,
    ) -> Result<(Process, SocketAddr)> {
        let arguments = [
            "greeter".into(),
            format!("--listen={address}"),
            format!("--name={name}"),
            format!("--version={version}"),
            format!("--bootstrap={}", bootstrap.display()),
        ];
        let mut process = Process::start(&arguments, None)?;
        let output = process.child.stdout.take().context("the endpoint's output")?;
        let line = timeout_at(Instant::now() + START_LIMIT, BufReader::new(output).lines().next_line())
            .await
            .with_context(|| format!("endpoint {name} does not serve after {START_LIMIT:?}"))??
            .with_context(|| format!("endpoint {name} ended before it served"))?;
        let Listening { address } = serde_json::from_str(&line).context("the endpoint's first line")?;
        Ok((process, address))
    }
}

/// Where a control-server listens, as it writes to its ready file.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) xds: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The control-server.
#[derive(Debug)]
pub(crate) struct ControlServer {
    pub(crate) addresses: Addresses,
    process: Option<Process>,
    _ports: [TcpSocket; 2],
}

impl ControlServer {
    /// Starts one on free loopback ports; it reads and writes below `home`.
    pub(crate) async fn start(home: &Path) -> Result<Self> {
        let ((one, xds), (other, admin)) = (reserve_port()?, reserve_port()?);
        let (process, addresses) = Self::launch(home, Addresses { xds, admin }).await?;
        Ok(Self { addresses, process: Some(process), _ports: [one, other] })
    }

    /// Starts it again, where it was.
    pub(crate) async fn restart(&mut self, home: &Path) -> Result<()> {
        let (process, _) = Self::launch(home, self.addresses).await?;
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// The process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    async fn launch(home: &Path, addresses: Addresses) -> Result<(Process, Addresses)> {
        let ready = home.join("control-server.json");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let arguments = [
            "control-server".into(),
            "serve".into(),
            format!("--config-dir={}", home.join("config").display()),
            format!("--data-dir={}", home.join("data").display()),
            format!("--xds={}", addresses.xds),
            format!("--admin={}", addresses.admin),
            format!("--ready-file={}", ready.display()),
        ];
        let log = home.join("control-server.log");
        let mut process = Process::start(&arguments, Some(&log))?;
        let limit = Instant::now() + START_LIMIT;
        loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                return Ok((
                    process,
                    serde_json::from_str(&text).context("the control-server's ready file")?,
                ));
            }
            if let Some(status) = process.child.try_wait()? {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("the control-server ended with {status} before it listened:\n{log}");
            }
            if Instant::now() > limit {
                bail!("the control-server does not listen after {START_LIMIT:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
