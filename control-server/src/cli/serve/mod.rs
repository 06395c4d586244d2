//! `control-server`: reads configuration and serves it.

mod arguments;
mod files;
mod logging;
mod signals;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::server::{ControlServer, Running};

use super::Failure;

use arguments::{Arguments, Command, Serve};
use signals::Signals;

/// Runs the program with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Command::Serve(serve) = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logging::start(serve.log_format, &serve.log);
    match execute(serve) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn execute(serve: Serve) -> Result<ExitCode, Failure> {
    serve.folders().iter().try_for_each(|folder| check_folder(folder))?;
    files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let (options, pipeline) = serve.into_options();
        let running = ControlServer::start(options, pipeline).await?;
        Ok(until_the_end(running, &mut signals).await)
    });
    // A blocked thread must not keep the process alive.
    runtime.shutdown_background();
    code
}

async fn until_the_end(mut running: Running, signals: &mut Signals) -> ExitCode {
    let name = tokio::select! {
        name = signals.next() => name,
        error = running.failed() => {
            tracing::error!(%error, "cannot go on, stopping");
            tokio::select! {
                _ = running.drain() => {}
                name = signals.next() => tracing::warn!(signal = name, "ended before every client had left"),
            }
            return ExitCode::FAILURE;
        }
    };
    tracing::info!(signal = name, "stopping; once more ends at once");
    tokio::select! {
        _ = running.drain() => ExitCode::SUCCESS,
        name = signals.next() => {
            tracing::warn!(signal = name, "ended before every client had left");
            ExitCode::FAILURE
        }
    }
}

/// A missing folder is an error, not an empty configuration.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    let what = if folder.exists() { "is no folder" } else { "does not exist" };
    Err(Failure::new(format!(
        "the configuration folder {} {what}\n  \
         create it and put YAML files there, or name another one with --config-dir or CONTROL_SERVER_CONFIG_DIR",
        folder.display()
    )))
}
