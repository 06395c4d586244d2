//! The flags of `control-server` and the environment variables behind them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::duration;
use crate::pipeline;
use crate::server::Options;

/// The management plane of the mesh: reads configuration, serves xDS to gRPC clients and Envoy.
#[derive(Debug, Parser)]
#[command(name = "control-server", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a folder of YAML, watch it, and serve it until SIGTERM or SIGINT
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Folder with YAML files, subfolders included; it is watched
    #[arg(long, value_name = "DIR", env = "CONTROL_SERVER_CONFIG_DIR", default_value = "config")]
    pub(super) config_dir: PathBuf,
    /// Where xDS is served, in plaintext; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "CONTROL_SERVER_XDS", default_value = "127.0.0.1:15010")]
    xds: SocketAddr,
    /// Where the admin API is served, without authentication; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "CONTROL_SERVER_ADMIN", default_value = "127.0.0.1:15080")]
    admin: SocketAddr,
    /// Folder for what survives a restart: the last good text of every file; not inside the configuration folder
    #[arg(long, value_name = "DIR", env = "CONTROL_SERVER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Longest time between the first signal and the end; clients leave within half of it
    #[arg(long, value_name = "TIME", env = "CONTROL_SERVER_DRAIN_TIMEOUT", default_value = "10s", value_parser = duration::parse)]
    drain_timeout: Duration,
    /// File that gets the bound addresses as JSON once the server listens; removed at the end
    #[arg(long, value_name = "FILE", env = "CONTROL_SERVER_READY_FILE")]
    ready_file: Option<PathBuf>,
    /// How the log is written to standard error
    #[arg(long, value_name = "FORMAT", env = "CONTROL_SERVER_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, also per module as in `info,control_server::discovery=debug`
    #[arg(long, value_name = "FILTER", env = "CONTROL_SERVER_LOG", default_value = "info")]
    pub(super) log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

impl Serve {
    pub(super) fn into_options(self) -> (Options, pipeline::Options) {
        let options = Options {
            xds: self.xds,
            admin: self.admin,
            drain_timeout: self.drain_timeout,
            ready_file: self.ready_file,
        };
        (options, pipeline::Options { data_dir: self.data_dir, ..pipeline::Options::new(self.config_dir) })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent_and_match_the_defaults() {
        Arguments::command().debug_assert();
        let Command::Serve(serve) = Arguments::parse_from(["control-server", "serve"]).command;
        assert_eq!(serve.config_dir, PathBuf::from("config"));
        assert_eq!(serve.into_options().0, Options::default());
    }
}
