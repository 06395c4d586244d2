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
    /// There is no bootstrap in the environment, or it is wrong.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

mesh_core::debug_with_causes!(StartError);
