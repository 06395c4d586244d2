//! Why the server does not start, or cannot continue.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::pipeline;

use super::tls::TlsError;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is in use, or not an address of this machine.
    #[error("cannot listen on {address}; choose another address with --{flag}, port 0 takes a free one")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not say which address was bound.
    #[error("cannot read the address of a listener")]
    Address {
        /// What the system says.
        source: io::Error,
    },
    /// The configuration cannot be read at all.
    #[error(transparent)]
    Pipeline(#[from] pipeline::StartError),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ready file cannot be written.
    #[error("cannot write the ready file {}", path.display())]
    ReadyFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a running server cannot continue. It has to be started again: its resources would become stale.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A listener has ended. The log says why before.
    #[error("the {listener} listener has ended; start the control server again")]
    ListenerEnded {
        /// What it serves.
        listener: &'static str,
    },
    /// The thread that reads changes of the configuration has ended.
    #[error(
        "changes of the configuration have no effect any more, which is a bug; start the control server again: {reason}"
    )]
    Configuration {
        /// What happened.
        reason: String,
    },
    /// A task in the background has ended, which it never should.
    #[error("the background task {task:?} has ended, which is a bug; start the control server again")]
    BackgroundEnded {
        /// What it did.
        task: &'static str,
    },
    /// A task in the background has panicked.
    #[error(
        "the background task {task:?} has panicked, which is a bug; start the control server again: {reason}"
    )]
    BackgroundPanicked {
        /// What it did.
        task: &'static str,
        /// The text of the panic.
        reason: String,
    },
}
