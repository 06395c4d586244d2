//! The greeter in a process of its own, so that the CPU time of a bench is its clients' alone.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use clap::Parser;
use examples::service::{GreeterCommand, Listening};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Runtime;

/// A greeter that ends with this value: another process of the program that starts it.
#[derive(Debug)]
pub struct Greeter {
    /// Where it listens.
    pub address: SocketAddr,
    _child: Child,
    _stdin: Option<ChildStdin>,
}

impl Greeter {
    /// Starts one. The program must [serve](Self::serve_as_told) at its start.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens.
    pub async fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([COMMAND, "--end-with-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a server")?;
        let output = child.stdout.take().context("the server's output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let line = line.context("the server ended before it listened")?;
        let Listening { address } = serde_json::from_str(&line)?;
        Ok(Self { address, _stdin: child.stdin.take(), _child: child })
    }

    /// Serves until the end, if this process was started by [`start`](Self::start). Returns whether it was.
    ///
    /// # Errors
    /// When the runtime cannot be built, or the greeter cannot listen.
    pub fn serve_as_told(runtime: impl FnOnce() -> std::io::Result<Runtime>) -> Result<bool> {
        if std::env::args().nth(1).as_deref() != Some(COMMAND) {
            return Ok(false);
        }
        let command = GreeterCommand::parse_from(std::env::args().skip(1));
        runtime()?.block_on(command.run()).map_err(anyhow::Error::from_boxed)?;
        Ok(true)
    }
}

/// The first argument of a process that is to serve.
const COMMAND: &str = "greeter";
