//! Looks at a control server, checks configuration, prints bootstraps. See `meshctl --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    control_server::cli::meshctl::run(std::env::args_os())
}
