//! Why the server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::pipeline;

use super::tls::TlsError;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else has the address, or it is not ours.
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
