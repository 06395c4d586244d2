//! TLS on connections: who the peer is, and whether it is accepted (gRFC A29, A87, A101, A118).
//!
//! ```text
//!   ServerTls ──▶ Acceptor ──▶ Accepted { stream, peer, .. }      or HandshakeError with its HandshakeResult
//!                    │ the latest Material, prepared once per publication
//!                    ▼
//!                PeerCheck: chain, names
//! ```
//!
//! Invariants: no connection falls back to plaintext, no early data is sent or accepted, a session is resumed only
//! with the roots, matchers and certificate with which it was made, and a connection whose peer a handshake would refuse now is
//! ended within a second (`peer_watch`).

mod acceptor;
mod check;
mod client_config;
mod connector;
mod counts;
mod error;
mod handshake;
mod material;
mod peer_watch;
mod result;
mod revoked;
mod server_config;
mod stream;
mod system_roots;
#[cfg(test)]
pub(super) mod tests;
mod trust;
mod verified;
mod verifier;
mod webpki_error;

pub use acceptor::{Accepted, Acceptor, AcceptorSettings, ApplicationProtocol};
pub(crate) use connector::Connector;
pub use error::HandshakeError;
pub(in crate::runtime) use material::trusted_roots;
pub(in crate::runtime) use peer_watch::{PeerEnd, PeerWatch};
pub use result::HandshakeResult;
pub use stream::TlsStream;
