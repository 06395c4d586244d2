//! Why a client cannot be started.

use crate::bootstrap::BootstrapError;

/// Why a client cannot be started.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime to run on.
    #[error("no tokio runtime: call this within one, for example in #[tokio::main]")]
    NoRuntime,
    /// The bootstrap names no server.
    #[error("the xDS bootstrap has no server")]
    NoServer,
    /// The client that the process shares is running with other options.
    #[error(
        "the process's xDS client is running with other options: give the process's first channel these, or start a client \
         of your own with xds_client::start_with"
    )]
    OtherOptions,
    /// There is no bootstrap in the environment, or it is wrong.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

mesh_core::debug_with_causes!(StartError);
