//! TLS on connections: who the peer is, and whether it is accepted (gRFC A29, A87, A101, A118).
//!
//! ```text
//!   ServerTls ──▶ Acceptor ──▶ Accepted { stream, peer, .. }      or HandshakeError with its HandshakeResult
//!                    │ the latest Material, prepared once per publication
//!                    ▼
//!                PeerCheck: chain, names
//! ```
//!
//! Invariants: no connection falls back to plaintext, no early data is sent or accepted, and a session is resumed only
//! with the roots, matchers and certificate with which it was made.

mod acceptor;
mod check;
mod client_config;
mod connector;
mod counts;
mod error;
mod handshake;
mod material;
mod result;
mod server_config;
mod stream;
mod system_roots;
#[cfg(test)]
pub(super) mod tests;
mod verified;
mod verifier;
mod webpki_error;

pub use acceptor::{Accepted, Acceptor, AcceptorSettings, ApplicationProtocol};
pub(in crate::runtime) use connector::Connector;
pub use error::HandshakeError;
pub use result::HandshakeResult;
pub use stream::TlsStream;
