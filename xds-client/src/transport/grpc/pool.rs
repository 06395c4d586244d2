//! The state of each server: its connection, its key material and its tokens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::{HeaderValue, Uri};
use tokio::time::timeout;

use super::GrpcTransport;
use super::connect::{Http2, Target, connect};
use super::token::{TokenSource, Tokens};
use crate::bootstrap::{CallCredentials, ChannelCredentials, FileWatcher, ServerConfig, TlsCredentials};
use crate::certificate::{self, FileProvider, Material};
use crate::transport::TransportError;

/// A connection. Its streams hold it; it ends with the last of them.
#[derive(Debug)]
pub(super) struct Connection {
    http2: Http2,
    /// The server's URI in requests.
    origin: Uri,
    server_uri: String,
    is_retired: AtomicBool,
}

impl Connection {
    pub(super) fn http2(&self) -> Http2 {
        self.http2.clone()
    }

    pub(super) fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// The server's URI, as configured.
    pub(super) fn server_uri(&self) -> &str {
        &self.server_uri
    }

    /// No new stream is opened on it: the next one makes a connection of its own, with the current files and
    /// addresses.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn takes_streams(&self) -> bool {
        !self.is_retired.load(Ordering::Relaxed) && self.http2.is_open()
    }
}

/// All servers; equal configurations are one server (BS-23).
#[derive(Debug, Default)]
pub(super) struct Pool {
    peers: Mutex<HashMap<ServerConfig, Arc<PooledServer>>>,
}

impl Pool {
    pub(super) fn server(&self, server: &ServerConfig) -> Arc<PooledServer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.entry(server.clone()).or_insert_with(|| Arc::new(PooledServer::new(server.clone()))).clone()
    }
}

/// The state of one server.
#[derive(Debug)]
pub(super) struct PooledServer {
    server: ServerConfig,
    files: Option<Arc<FileProvider>>,
    tokens: Vec<Arc<Tokens>>,
    /// Locked while a connection is made, so that two streams that are opened at once share one.
    shared: tokio::sync::Mutex<SharedConnection>,
    attempts: AtomicU64,
}

#[derive(Debug, Default)]
struct SharedConnection {
    connection: Weak<Connection>,
    /// The error of the last attempt, if it failed.
    failure: Option<TransportError>,
}

impl PooledServer {
    fn new(server: ServerConfig) -> Self {
        let files = match server.credentials() {
            ChannelCredentials::Tls(credentials) => watched(credentials),
            ChannelCredentials::Insecure | ChannelCredentials::GoogleDefault => None,
        };
        let configured = server.call_credentials().iter().map(|credentials| match credentials {
            CallCredentials::JwtTokenFile(path) => TokenSource::JwtFile(path.clone()),
        });
        let google = match (server.credentials(), Target::parse(server.uri(), true)) {
            (ChannelCredentials::GoogleDefault, Ok(target)) => {
                Some(TokenSource::Google { audience: format!("https://{}/", target.host) })
            }
            _ => None,
        };
        Self {
            files: files.map(|files| certificate::provider(&files)),
            tokens: google.into_iter().chain(configured).map(Tokens::new).collect(),
            server,
            shared: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Values of `authorization` for a stream, one for each credential.
    pub(super) async fn authorization(
        &self,
        settings: &GrpcTransport,
    ) -> Result<Vec<HeaderValue>, TransportError> {
        // BS-16
        if !self.tokens.is_empty() && *self.server.credentials() == ChannelCredentials::Insecure {
            let reason = "call_creds are never sent in plaintext; channel_creds must be tls";
            return Err(
                TransportError::credentials(format!("UNAUTHENTICATED: {reason}")).at(self.server.uri())
            );
        }
        let mut all = Vec::with_capacity(self.tokens.len());
        for tokens in &self.tokens {
            let read = timeout(settings.connect_timeout, tokens.authorization()).await;
            let read = read.unwrap_or_else(|_| {
                Err(TransportError::credentials("UNAVAILABLE: the file of the token takes too long to read"))
            });
            all.push(read.map_err(|error| error.at(self.server.uri()))?);
        }
        Ok(all)
    }

    /// The existing connection, or a new one. A stream that has waited for a failed attempt makes none itself.
    pub(super) async fn connection(
        &self,
        settings: &GrpcTransport,
    ) -> Result<Arc<Connection>, TransportError> {
        let before = self.attempts.load(Ordering::Acquire);
        let mut shared = self.shared.lock().await;
        if let Some(connection) = shared.connection.upgrade()
            && connection.takes_streams()
        {
            return Ok(connection);
        }
        if self.attempts.load(Ordering::Acquire) > before
            && let Some(failure) = &shared.failure
        {
            return Err(failure.clone());
        }
        let made = self.connect(settings).await.map_err(|error| error.at(self.server.uri()));
        self.attempts.fetch_add(1, Ordering::Release);
        shared.failure = made.as_ref().err().cloned();
        let connection = Arc::new(made?);
        shared.connection = Arc::downgrade(&connection);
        Ok(connection)
    }

    async fn connect(&self, settings: &GrpcTransport) -> Result<Connection, TransportError> {
        let tls = match self.server.credentials() {
            ChannelCredentials::Insecure => None,
            ChannelCredentials::Tls(_) | ChannelCredentials::GoogleDefault => {
                Some(self.material(settings).await?)
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let target = Target::parse(self.server.uri(), tls.is_some())?;
        let origin =
            Uri::builder().scheme(scheme).authority(target.authority.as_str()).path_and_query("/").build();
        let origin = origin.map_err(|error| TransportError::credentials(error.to_string()))?;
        let http2 = connect(settings, &target, tls).await?;
        let server_uri = self.server.uri().to_owned();
        Ok(Connection { http2, origin, server_uri, is_retired: AtomicBool::new(false) })
    }

    /// Fails closed: an identity that cannot be loaded is an error, never an anonymous connection.
    async fn material(&self, settings: &GrpcTransport) -> Result<Material, TransportError> {
        let Some(files) = &self.files else { return Ok(Material { identity: None, roots: None }) };
        match timeout(settings.connect_timeout, files.material()).await {
            Ok(material) => material.map_err(TransportError::credentials),
            Err(_) => Err(TransportError::credentials("the files of channel_creds take too long to read")),
        }
    }
}

/// The files of TLS credentials, if there are any.
fn watched(credentials: &TlsCredentials) -> Option<FileWatcher> {
    let TlsCredentials { ca_certificate_file, identity, refresh_interval } = credentials.clone();
    let has_files = ca_certificate_file.is_some() || identity.is_some();
    let files = FileWatcher { identity, ca_certificate_file, refresh_interval, ..FileWatcher::default() };
    has_files.then_some(files)
}
