//! What a client's configuration costs it: decoding large responses, and following one changed endpoint among many.
//!
//! Everything happens on one thread of this process and touches no socket, so that its CPU time is the client's alone.

mod change;
mod client;
mod report;
mod resources;
mod wire;

use anyhow::Result;
use clap::Parser;

use change::{Kind, Subject};
use client::Client;
use report::Report;

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

/// Measures decoding of large responses, and what one changed endpoint costs a client.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds; each case is measured once per round.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Changes of an endpoint in one measurement.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..))]
    changes: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report { decoded: resources::measure(arguments.rounds)?, ..Report::default() };
    runtime.block_on(measure(&arguments, &mut report))?;
    report.print(arguments.json)
}

async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    for policy in change::POLICIES {
        let mut subjects = Vec::new();
        for endpoints in change::SIZES {
            subjects.push(Subject::start(policy.clone(), endpoints).await?);
        }
        for round in 0..=arguments.rounds {
            for subject in &mut subjects {
                for kind in Kind::ALL {
                    let sample = subject.measure(kind, arguments.changes).await?;
                    // The first round warms caches and allocators up.
                    if round > 0 {
                        report.add(subject.name(kind), sample);
                    }
                }
            }
        }
    }
    whole_client(arguments, report).await
}

async fn whole_client(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut clients = Vec::new();
    for endpoints in change::SIZES {
        clients.push(Client::start(u32::try_from(endpoints)?).await?);
    }
    for round in 0..=arguments.rounds {
        for client in &mut clients {
            for kind in Kind::ALL {
                let sample = client.measure(kind, arguments.changes).await?;
                if round > 0 {
                    report.add(client.name(kind), sample);
                }
            }
        }
    }
    Ok(())
}
