//! What a call costs its caller: plain tonic, tonic's `balance_list` and the mesh, without and with policies, against the
//! same servers, in turn.
//!
//! Servers are processes of their own, so that this process's CPU time is the client's alone. Each peer runs a batch,
//! then the next one does, round after round, so that a machine whose speed drifts treats all alike; the medians over
//! the rounds are reported.

mod measure;
mod peers;
mod policies;
mod report;

use anyhow::Result;
use benches::greeter::Greeter;
use clap::Parser;

use tokio::runtime::{Builder, Runtime};

use measure::{Batch, Sample};
use report::Report;

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

/// Compares plain tonic, tonic's balance_list and MeshChannel against the same servers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds; each peer runs one batch per round and load.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Calls in a batch.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..))]
    calls: u32,
    /// Calls in flight: one load for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,32", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Vec<u32>,
    /// Threads of the clients' runtime: one is the caller's own, more are workers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Bytes in a request and in its reply.
    #[arg(long, default_value_t = 32)]
    payload: usize,
}

fn main() -> Result<()> {
    if Greeter::serve_as_told(|| Builder::new_current_thread().enable_all().build())? {
        return Ok(());
    }
    let arguments = Arguments::parse();
    let runtime = runtime(arguments.threads)?;
    let report = runtime.block_on(compare(&arguments))?;
    report.print(arguments.json)
}

fn runtime(threads: u32) -> std::io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads as usize).enable_all().build()
}

async fn compare(arguments: &Arguments) -> Result<Report> {
    let peers = peers::start().await?;
    let mut report = Report::new(arguments.payload, arguments.threads);
    for round in 0..=arguments.rounds {
        for &in_flight in &arguments.in_flight {
            let batch = Batch { calls: arguments.calls, in_flight, payload: arguments.payload };
            for peer in &peers.all {
                let sample: Sample = peer.run(batch).await?;
                // The first round warms caches, connections and allocators up.
                if round > 0 {
                    report.add(peer.name(), in_flight, sample);
                }
            }
        }
    }
    let batches = arguments.in_flight.iter().map(|in_flight| arguments.calls / in_flight * in_flight);
    let calls = 1 + u64::from(arguments.rounds + 1) * batches.map(u64::from).sum::<u64>();
    for reports in &peers.reports {
        reports.reach(calls).await?;
    }
    Ok(report)
}
