//! How a connection to an xDS server is secured, and how calls on it are authenticated.

use std::path::PathBuf;
use std::time::Duration;

/// The default interval at which files are read again.
pub(super) const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(600);

/// How a connection to an xDS server is secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCredentials {
    /// Plaintext.
    Insecure,
    /// TLS, with a client certificate if there is one.
    Tls(TlsCredentials),
    /// `google_default`: TLS with the system's roots, and the application default credentials of Google Cloud as
    /// bearer tokens. What is supported of those is a service account's key file, from which tokens are signed.
    GoogleDefault,
}

/// How each call authenticates, in addition to the connection (gRFC A97). Never sent in plaintext.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallCredentials {
    /// `jwt_token_file`: a file that another program renews, whose JSON web token is sent as a bearer token.
    JwtTokenFile(PathBuf),
}

/// Files for TLS to an xDS server (gRFC A65).
///
/// They are read whenever a connection is made, and at the interval. A new connection uses the newest valid files; an
/// existing connection keeps the files that it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsCredentials {
    /// Trusted roots; the system's if there is none.
    pub ca_certificate_file: Option<PathBuf>,
    /// The client's certificate.
    pub identity: Option<IdentityFiles>,
    /// How often the files are read while no connection is made; 600 s by default.
    pub refresh_interval: Duration,
}

impl TlsCredentials {
    /// With the roots of this file instead of the system's.
    #[must_use]
    pub fn with_ca_certificate_file(self, file: impl Into<PathBuf>) -> Self {
        Self { ca_certificate_file: Some(file.into()), ..self }
    }

    /// With a client certificate.
    #[must_use]
    pub fn with_identity(self, identity: IdentityFiles) -> Self {
        Self { identity: Some(identity), ..self }
    }
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

/// How to call a gRPC service that resources may name even if their server is not trusted.
// BS-46
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedGrpcService {
    channel_credentials: ChannelCredentials,
    call_credentials: Vec<CallCredentials>,
}

impl AllowedGrpcService {
    /// A service that is called with these credentials.
    pub fn new(channel_credentials: ChannelCredentials) -> Self {
        Self { channel_credentials, call_credentials: Vec::new() }
    }

    /// The same service, with credentials for each call.
    #[must_use]
    pub fn with_call_credentials(self, call_credentials: Vec<CallCredentials>) -> Self {
        Self { call_credentials, ..self }
    }

    /// How the connection to it is secured.
    pub fn channel_credentials(&self) -> &ChannelCredentials {
        &self.channel_credentials
    }

    /// How each call authenticates.
    pub fn call_credentials(&self) -> &[CallCredentials] {
        &self.call_credentials
    }
}
