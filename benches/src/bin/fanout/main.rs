//! How fast a change of configuration reaches everyone, and what that costs the control-server.
//!
//! One process holds N simulated ADS clients on sockets of their own, each subscribed to K of M services; the
//! control-server is another process over a folder of YAML. The parts, one after the other: all clients connect;
//! one endpoint changes at a time, from the rename of its file to the last ACK of its subscribers; if asked for,
//! endpoints change at a steady rate; the
//! server is killed and started again, and all clients come back by themselves.

mod client;
mod folder;
mod limits;
mod phases;
mod report;
mod tally;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use benches::server;
use clap::Parser;

/// Measures the control-server's fan-out with simulated ADS clients.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Simulated clients, each with a connection of its own
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    clients: u32,
    /// Services, each in a file of its own
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    services: u32,
    /// Endpoints of all services together
    #[arg(long, default_value_t = 50_000)]
    endpoints: u32,
    /// Services that each client is subscribed to: listener, route, cluster and endpoints
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    subscribe: u32,
    /// Changes of one endpoint to measure
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Namespaces that the clients are of, by turns; each has a timeout of its own for a tenth of the services
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    scopes: u32,
    /// After that, change endpoints for so many seconds, at --rate, with clients that take 20 ms for each ACK
    #[arg(long, default_value_t = 0)]
    steady: u32,
    /// Changes a second of --steady
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Use the incremental variant of the protocol
    #[arg(long)]
    delta: bool,
    /// Get endpoints as collections (LEDS); implies --delta
    #[arg(long)]
    collections: bool,
}

fn main() -> Result<ExitCode> {
    // The server is this program once more, so that one command builds all of it.
    if std::env::args().nth(1).as_deref() == Some(server::COMMAND) {
        return Ok(control_server::cli::serve::run(std::env::args_os().skip(1)));
    }
    let mut arguments = Arguments::parse();
    arguments.delta |= arguments.collections;
    arguments.subscribe = arguments.subscribe.min(arguments.services);
    limits::raise_open_files(u64::from(arguments.clients) + 500)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(phases::run(&arguments))?;
    report.print(arguments.json)?;
    Ok(ExitCode::SUCCESS)
}
