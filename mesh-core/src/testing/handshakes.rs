//! Handshakes of a mesh's clients, without HTTP/2 on top.

use std::sync::Arc;

use crate::config::ClientTls;
use crate::runtime::connect::{Io, TlsTarget};
use crate::runtime::tls::{Connector, HandshakeError, TlsStream};

/// Secures connections to endpoints as a mesh does, without HTTP/2 on top.
#[derive(Debug)]
pub struct TlsDialer {
    connector: Connector,
    target: Arc<TlsTarget>,
}

impl TlsDialer {
    /// With these settings, without a server name and with sessions of its own.
    pub fn new(tls: ClientTls) -> Self {
        let target = Arc::new(TlsTarget { settings: Arc::new(tls), server_name: None });
        Self { connector: Connector::default(), target }
    }

    /// One handshake; whether it has resumed a session.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn dial<I: Io>(&self, io: I) -> Result<(TlsStream<I>, bool), HandshakeError> {
        let address = ([127, 0, 0, 1], 443).into();
        let secured = self.connector.connect(io, &self.target, address, None).await?;
        let is_resumed = secured.is_resumed();
        Ok((secured.stream, is_resumed))
    }
}
