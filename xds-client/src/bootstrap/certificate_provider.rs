//! Certificate providers: the source of the key material that resources refer to by name (gRFC A29).

use std::path::PathBuf;
use std::time::Duration;

use mesh_core::certificate::UnknownRevocation;

use super::IdentityFiles;
use super::credentials::DEFAULT_REFRESH_INTERVAL;

/// A certificate provider of a known plugin. Equal ones are the same provider and can be shared.
// BS-36
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProvider {
    /// `file_watcher`: files that another program renews.
    FileWatcher(FileWatcher),
    /// `spiffe_workload_api`: an agent on this machine.
    WorkloadApi(WorkloadApi),
}

/// An agent of the SPIFFE Workload API, which gives the process its identity, and the roots of its own and of federated trust domains.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkloadApi {
    socket: String,
}

impl WorkloadApi {
    /// The agent at this socket, `unix:///path`.
    pub fn new(socket: impl Into<String>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket, as a target of gRPC.
    pub(crate) fn target(&self) -> &str {
        &self.socket
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self.socket.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(()),
            _ => Err("socket: expected unix:///path"),
        }
    }
}

/// Which files a `file_watcher` reads.
// BS-32
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileWatcher {
    /// Certificate chain and its key, both in the same directory.
    pub identity: Option<IdentityFiles>,
    /// Trusted roots.
    pub ca_certificate_file: Option<PathBuf>,
    /// Trusted roots by SPIFFE trust domain.
    pub spiffe_trust_bundle_map_file: Option<PathBuf>,
    /// Revocation lists for the trusted roots; `None`: it is not checked whether a certificate has been revoked.
    pub revocation: Option<RevocationDirectory>,
    /// How often the files are read again; 600 s by default.
    pub refresh_interval: Duration,
}

/// A directory with revocation lists (gRFC A69), in files of any name, in DER or PEM.
// TLS-24
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RevocationDirectory {
    /// The directory.
    pub path: PathBuf,
    /// What happens to peers whose issuer has no current list there.
    pub unknown: UnknownRevocation,
}

impl RevocationDirectory {
    /// With refusal of peers whose issuer has no current list there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), unknown: UnknownRevocation::Refuse }
    }
}

impl Default for FileWatcher {
    /// No files, which is not valid yet.
    fn default() -> Self {
        Self {
            identity: None,
            ca_certificate_file: None,
            spiffe_trust_bundle_map_file: None,
            revocation: None,
            refresh_interval: DEFAULT_REFRESH_INTERVAL,
        }
    }
}

impl FileWatcher {
    // BS-33
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let files = (&self.identity, &self.ca_certificate_file, &self.spiffe_trust_bundle_map_file);
        if let (None, None, None) = files {
            return Err("at least one of certificate_file with private_key_file, ca_certificate_file and \
                        spiffe_trust_bundle_map_file must be set");
        }
        match &self.identity {
            Some(IdentityFiles { certificate, private_key })
                if certificate.parent() != private_key.parent() =>
            {
                Err(
                    "certificate_file and private_key_file must be in the same directory, so that both can be \
                     replaced at once",
                )
            }
            _ => Ok(()),
        }
    }
}
