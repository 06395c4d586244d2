//! How a connection to an xDS server is secured.

use std::path::PathBuf;
use std::time::Duration;

/// When files are looked at again, unless configured.
pub(super) const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(600);

/// How a connection to an xDS server is secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCredentials {
    /// Plaintext.
    Insecure,
    /// TLS, with a client certificate if there is one.
    Tls(TlsCredentials),
}

/// Files for TLS to an xDS server (gRFC A65).
///
/// They are read whenever a connection is made, so that a new connection sees new files. A connection that stands keeps
/// what it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsCredentials {
    /// Trusted roots; the system's if there is none.
    pub ca_certificate_file: Option<PathBuf>,
    /// Who this process is.
    pub identity: Option<IdentityFiles>,
    /// Part of the configuration and of its identity; files are read per connection instead of at this interval.
    /// 600 s by default.
    pub refresh_interval: Duration,
}

impl Default for TlsCredentials {
    /// The system's roots and no client certificate.
    fn default() -> Self {
        Self { ca_certificate_file: None, identity: None, refresh_interval: DEFAULT_REFRESH_INTERVAL }
    }
}

/// A certificate chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's key.
    pub private_key: PathBuf,
}
