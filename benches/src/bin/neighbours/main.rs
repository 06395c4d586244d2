//! Whether calls notice what other calls do on the same connection: 1,000 calls per second alone, then beside calls that
//! misbehave on the same channel, by the mesh and by plain tonic.
//!
//! The server is a process of its own. Time alone, time with the offenders on another connection and time beside them
//! alternate, and so do the clients, so that a machine whose speed drifts treats all alike.

mod load;
mod offenders;
mod peers;
mod report;

use std::time::Duration;

use anyhow::Result;
use benches::greeter::Greeter;
use clap::Parser;
use tokio::runtime::Builder;

use report::Report;

/// Measures 1,000 calls per second alone and beside calls that misbehave on the same connection.
///
/// The offenders, all at once: 40 server streams that are never read, replaced after 10 s; 1,000 calls per second that are
/// cancelled after 20 ms and answered after 40 ms; 4 uploads of 32 MB that the server does not read, replaced after 5 s; ten
/// times per second 400 calls that are given up at once or whose deadline is over. Each client runs for the given time
/// beside them, as long alone, and as long with the offenders on another connection, which shows what they cost the server
/// and the machine.
///
/// failed: calls beside the offenders that failed. p99_ratio: the 99th percentile of their time by the one alone, the
/// median over the rounds. p99_apart_ratio: the same by the one with the offenders on another connection.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds beside the offenders, for each client; as many alone, and as many with them apart.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Which clients to measure.
    #[arg(long, value_enum, default_values_t = [peers::Client::Tonic, peers::Client::Mesh], value_delimiter = ',')]
    clients: Vec<peers::Client>,
    /// Which offenders there are.
    #[arg(long, value_enum, default_values_t = offenders::Kind::ALL, value_delimiter = ',')]
    offenders: Vec<offenders::Kind>,
}

fn main() -> Result<()> {
    if Greeter::serve_as_told(|| Builder::new_multi_thread().enable_all().build())? {
        return Ok(());
    }
    let arguments = Arguments::parse();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(compare(&arguments))?;
    report.print(arguments.json)
}

async fn compare(arguments: &Arguments) -> Result<Report> {
    let mut report = Report::new(arguments.seconds);
    let peers = peers::start(&arguments.clients).await?;
    let rounds = arguments.seconds.min(ROUNDS);
    let round = Duration::from_secs(arguments.seconds.into()) / rounds;
    for _ in 0..rounds {
        for peer in &peers.all {
            report.add(peer.name(), peer.round(round, &arguments.offenders).await?);
        }
    }
    Ok(report)
}

/// Into how many rounds the time is divided.
const ROUNDS: u32 = 6;
