//! What is wrong with TLS files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a TLS file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Which one.
        file: TlsFile,
        /// What the system says.
        source: io::Error,
    },
    /// Its content cannot be used.
    #[error("cannot use {file}: {reason}")]
    Content {
        /// Which one.
        file: TlsFile,
        /// Why not.
        reason: String,
    },
}

/// A file and its purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFile {
    role: &'static str,
    flag: &'static str,
    path: PathBuf,
}

impl TlsFile {
    pub(super) fn certificate(path: &Path) -> Self {
        Self { role: "the certificate", flag: "--tls-cert", path: path.to_owned() }
    }

    pub(super) fn key(path: &Path) -> Self {
        Self { role: "the private key", flag: "--tls-key", path: path.to_owned() }
    }

    pub(super) fn client_ca(path: &Path) -> Self {
        Self { role: "the authorities of clients", flag: "--tls-client-ca", path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for TlsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.role, self.path.display(), self.flag)
    }
}
