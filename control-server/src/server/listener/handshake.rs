//! The TLS handshake of one connection.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, InvalidMessage};
use tokio_rustls::server::TlsStream;

use crate::connection::{Identity, Security};
use crate::server::tls::Tls;

/// A connection whose handshake has succeeded.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) security: Security,
    pub(super) identity: Option<Identity>,
}

/// The handshake with the newest good material.
///
/// # Errors
/// Why not, for the log.
pub(super) async fn shake(tls: &Tls, stream: TcpStream) -> Result<Secured, String> {
    let accepting = TlsAcceptor::from(tls.config()).accept(stream);
    let stream = tokio::time::timeout(PATIENCE, accepting)
        .await
        .map_err(|_| format!("the client did not end the handshake within {} s", PATIENCE.as_secs()))?
        .map_err(|error| explain(&error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let security = if certificate.is_some() { Security::Mtls } else { Security::Tls };
    let identity = certificate.and_then(|certificate| Identity::of_certificate(certificate));
    Ok(Secured { stream, security, identity })
}

/// A text for operators where the library's text is unclear.
fn explain(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the client does not speak TLS; plaintext is served on another port".to_owned()
        }
        Some(rustls::Error::NoCertificatesPresented) => "the client has shown no certificate".to_owned(),
        _ => error.to_string(),
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
