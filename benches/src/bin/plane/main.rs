//! What a change of the configuration costs a control-server with many services.
//!
//! The control-server is a process of its own over a folder: files of ten services each, every service with a `ServiceEntry`, a
//! `DestinationRule` and a `VirtualService`. Measured are the start, the memory, one changed weight, and a whole changed file.

mod folder;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::server::{self, Server};
use clap::Parser;
use serde::Serialize;
use tokio::time::sleep;

use folder::{Folder, SERVICES_PER_FILE};

/// Measures what a change of the configuration costs the control-server.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Services, ten in a file
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    services: u32,
    /// Endpoints of each service
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// Changes of one weight to measure, and as many of a whole file
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Broken references of the second start, for the comparison
    #[arg(long, default_value_t = 4_000)]
    broken: u32,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
struct Report {
    services: u32,
    endpoints: u32,
    /// From the start of the process until `/readyz` says yes.
    ready_seconds: f64,
    /// The same with broken references.
    ready_seconds_broken: f64,
    rss_mib: f64,
    rss_mib_after_changes: f64,
    /// Of the configuration's thread for one changed weight: from parsed objects to encoded resources.
    change_cpu_ms: f64,
    /// The most of the last ten changes, to see whether it grows.
    change_cpu_ms_last: f64,
    /// Of the whole process for a file of ten changed services, with reading it.
    file_cpu_ms: f64,
    /// Of the configuration's thread alone for that.
    file_thread_cpu_ms: f64,
}

fn main() -> Result<ExitCode> {
    // The server is this program once more, so that one command builds all of it.
    if std::env::args().nth(1).as_deref() == Some(server::COMMAND) {
        return Ok(control_server::cli::serve::run(std::env::args_os().skip(1)));
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(&arguments))?;
    report.print(arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn run(arguments: &Arguments) -> Result<Report> {
    let folder = Folder::write(arguments.services, arguments.endpoints)?;
    let (server, ready_seconds) = start(folder.path()).await?;
    let (rss_mib, _) = server.memory()?;
    let mut weights = Vec::new();
    for change in 0..arguments.changes {
        let service = change * 7 % arguments.services;
        let before = server.thread_cpu(Some(THREAD))?;
        take(&server, || folder.change_weight(service, change)).await?;
        weights.push(server.thread_cpu(Some(THREAD))? - before);
    }
    let (mut whole, mut of_thread) = (Vec::new(), Vec::new());
    for change in 0..arguments.changes {
        let file = change * 3 % (arguments.services / SERVICES_PER_FILE);
        let before = (server.thread_cpu(None)?, server.thread_cpu(Some(THREAD))?);
        take(&server, || folder.change_file(file, change)).await?;
        whole.push(server.thread_cpu(None)? - before.0);
        of_thread.push(server.thread_cpu(Some(THREAD))? - before.1);
    }
    let (rss_mib_after_changes, _) = server.memory()?;
    server.kill().await?;
    folder.break_references(arguments.broken)?;
    let (server, ready_seconds_broken) = start(folder.path()).await?;
    server.kill().await?;
    let last = weights.iter().rev().take(10).max().copied().unwrap_or_default();
    Ok(Report {
        services: arguments.services,
        endpoints: arguments.services * arguments.endpoints,
        ready_seconds,
        ready_seconds_broken,
        rss_mib,
        rss_mib_after_changes,
        change_cpu_ms: median(weights),
        change_cpu_ms_last: millis(last),
        file_cpu_ms: median(whole),
        file_thread_cpu_ms: median(of_thread),
    })
}

/// A server that is ready, and how long that took.
async fn start(folder: &Path) -> Result<(Server, f64)> {
    let started = Instant::now();
    let server = Server::start(folder, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "off").await?;
    while server.admin("/readyz").await?.0 != 200 {
        if started.elapsed() > TIMEOUT {
            bail!("the control-server is not ready after {TIMEOUT:?}");
        }
        sleep(POLL).await;
    }
    Ok((server, started.elapsed().as_secs_f64()))
}

/// Makes a change and waits until it is served.
async fn take(server: &Server, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let revision = async || -> Result<u64> {
        let (_, status) = server.admin("/v1/status").await?;
        Ok(status["config"]["revision"].as_u64().or_else(|| status["revision"].as_u64()).unwrap_or_default())
    };
    let before = revision().await?;
    change()?;
    let started = Instant::now();
    while revision().await? == before {
        if started.elapsed() > TIMEOUT {
            bail!("the change is not served after {TIMEOUT:?}");
        }
        sleep(POLL).await;
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().map_or(0.0, millis)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Report {
    fn print(&self, json: bool) -> Result<()> {
        let mut output = std::io::stdout().lock();
        if json {
            writeln!(output, "{}", serde_json::to_string_pretty(self)?)?;
            return Ok(());
        }
        writeln!(output, "{} services, {} endpoints", self.services, self.endpoints)?;
        writeln!(
            output,
            "ready after {:.2} s, with broken references {:.2} s; {:.0} MiB, after the changes {:.0} MiB",
            self.ready_seconds, self.ready_seconds_broken, self.rss_mib, self.rss_mib_after_changes
        )?;
        writeln!(
            output,
            "one weight: {:.2} ms of CPU, at most {:.2} in the last ten; a file of ten services: {:.1} ms, {:.1} of them for \
             the model and the resources",
            self.change_cpu_ms, self.change_cpu_ms_last, self.file_cpu_ms, self.file_thread_cpu_ms
        )?;
        Ok(())
    }
}

/// The thread that builds the model and the resources.
const THREAD: &str = "configuration";
const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
