//! The main job from end to end: a mesh of real processes, and a story of what happens to it.

mod admin;
mod identity;
mod load;
mod process;
mod screen;
mod stage;
mod story;
mod summary;
mod yaml;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use screen::{Screen, write_out};
use stage::Stage;

/// Starts a control-server and a dozen endpoints of two versions of a gRPC service, drives load through the mesh and
/// breaks things. Ends by itself within a minute; exit code 0 means that no call failed and every split held.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print nothing but the summary, as JSON.
    #[arg(long)]
    json: bool,
    /// When the story is over, leave all running until Ctrl-C, and print the addresses and what to try.
    #[arg(long)]
    keep: bool,
    /// Calls a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    rate: u32,
}

/// This program is also the processes that it starts: `demo greeter ...`, `demo control-server ...`.
fn main() -> ExitCode {
    let ended = match std::env::args().nth(1).as_deref() {
        Some("greeter") => process::run_greeter(),
        Some("control-server") => process::run_control_server(),
        _ => run(&Arguments::parse()),
    };
    ended.unwrap_or_else(|error| {
        screen::write_error(&format!("demo: {error:#}\n"));
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(perform(arguments))
}

/// Tells the story, or as much of it as the user has patience for. Dropping the stage ends every process.
async fn perform(arguments: &Arguments) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        success = tell(arguments) => Ok(if success? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
    }
}

async fn tell(arguments: &Arguments) -> Result<bool> {
    let mut stage = Stage::build(Screen::new(arguments.json), arguments.rate).await?;
    let broken = story::tell(&mut stage).await.err();
    let summary = stage.summarise(broken);
    let success = summary.is_success();
    if arguments.json {
        let json = serde_json::to_string_pretty(summary)?;
        write_out(&format!("{json}\n"));
    } else {
        let text = summary.to_string();
        stage.screen.print(&text);
    }
    if arguments.keep {
        let directions = stage.directions();
        stage.screen.print(&directions);
        stage.keep().await;
    }
    Ok(success)
}
