//! The management plane of the mesh. See `control-server --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    control_server::cli::serve::run(std::env::args_os())
}
