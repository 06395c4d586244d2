//! A control-server in a process of its own, and what the system says of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// The first argument that makes this program a control-server.
pub const COMMAND: &str = "control-server";

/// A control-server over a folder. It is killed with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    xds: SocketAddr,
    admin: SocketAddr,
    _ready: TempDir,
}

impl Server {
    /// Returns once it listens; port 0 takes a free one. `log` is what it logs, for example `warn`.
    ///
    /// # Errors
    /// It does not start, or does not listen in time.
    pub async fn start(config: &Path, xds: SocketAddr, log: &str) -> Result<Self> {
        let ready = tempfile::tempdir()?;
        let file = ready.path().join("ready.json");
        let child = Command::new(std::env::current_exe()?)
            .args([COMMAND, "serve", "--log", log, "--admin", "127.0.0.1:0"])
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
        let mut server = Self { child, xds, admin: xds, _ready: ready };
        (server.xds, server.admin) = server.addresses(&file).await?;
        Ok(server)
    }

    async fn addresses(&mut self, file: &Path) -> Result<(SocketAddr, SocketAddr)> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            let addresses = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            let address = |name: &str| addresses.as_ref().and_then(|found| found[name].as_str());
            if let (Some(xds), Some(admin)) = (address("xds"), address("admin")) {
                return Ok((xds.parse()?, admin.parse()?));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the control-server has ended: {status}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("the control-server does not listen after {START_TIMEOUT:?}")
    }

    /// Where it serves xDS.
    pub fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Kills it without warning.
    ///
    /// # Errors
    /// The system cannot kill it.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// User and system time so far.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> Result<Duration> {
        let text = self.proc("stat")?;
        // The second field is the program's name in brackets and may hold anything.
        let rest = text.rsplit_once(')').context("an odd stat file")?.1;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory now and at its peak, in MiB.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> Result<(f64, f64)> {
        let text = self.proc("status")?;
        let mib = |key: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).context("an odd status file")?;
            let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(f64::from(kib) / 1024.0)
        };
        Ok((mib("VmRSS:")?, mib("VmHWM:")?))
    }

    /// Time on a CPU so far of the threads of this name; of all threads without a name.
    ///
    /// # Errors
    /// It has ended.
    pub fn thread_cpu(&self, name: Option<&str>) -> Result<Duration> {
        let id = self.child.id().context("the control-server has ended")?;
        let mut sum = 0;
        for thread in fs::read_dir(format!("/proc/{id}/task"))? {
            let thread = thread?.path();
            // A thread may end while the list is read.
            let Ok(found) = fs::read_to_string(thread.join("comm")) else { continue };
            if name.is_none_or(|name| name.starts_with(found.trim())) {
                let times = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
                sum += times.split_whitespace().next().map_or(Ok(0), str::parse::<u64>)?;
            }
        }
        Ok(Duration::from_nanos(sum))
    }

    /// The answer of the admin API to a path: its status and its JSON, `null` if it is none.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin(&self, path: &str) -> Result<(u16, Value)> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an odd answer")?;
        let status = head.split(' ').nth(1).context("an odd status line")?.parse()?;
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
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
