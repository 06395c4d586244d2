//! The control-server's process, and what the system says of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// The first argument that makes this program a control-server.
pub(crate) const COMMAND: &str = "control-server";

/// A control-server over a folder. It is killed with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    xds: SocketAddr,
    _ready: TempDir,
}

impl Server {
    /// Returns once it listens; port 0 takes a free one.
    pub(crate) async fn start(config: &Path, xds: SocketAddr) -> Result<Self> {
        let ready = tempfile::tempdir()?;
        let file = ready.path().join("ready.json");
        let child = Command::new(std::env::current_exe()?)
            .args([COMMAND, "serve", "--log", "warn", "--admin", "127.0.0.1:0"])
            .arg("--xds")
            .arg(xds.to_string())
            .arg("--config-dir")
            .arg(config)
            .arg("--ready-file")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting the control-server")?;
        let mut server = Self { child, xds, _ready: ready };
        server.xds = server.address(&file).await?;
        Ok(server)
    }

    async fn address(&mut self, file: &Path) -> Result<SocketAddr> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            let addresses = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(address) = addresses.as_ref().and_then(|found| found["xds"].as_str()) {
                return Ok(address.parse()?);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the control-server has ended: {status}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("the control-server does not listen after {START_TIMEOUT:?}")
    }

    pub(crate) fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Kills it without warning.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let text = self.proc("stat")?;
        // The second field is the program's name in brackets and may hold anything.
        let rest = text.rsplit_once(')').context("an odd stat file")?.1;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory now and at its peak, in MiB.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let text = self.proc("status")?;
        let mib = |key: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).context("an odd status file")?;
            let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(f64::from(kib) / 1024.0)
        };
        Ok((mib("VmRSS:")?, mib("VmHWM:")?))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let id = self.child.id().context("the control-server has ended")?;
        fs::read_to_string(format!("/proc/{id}/{file}"))
            .context("reading what the system says of the process")
    }
}

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What Linux tells user space, whatever its own clock does.
const TICKS_PER_SECOND: u64 = 100;
