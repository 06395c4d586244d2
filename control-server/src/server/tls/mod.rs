//! TLS for the xDS listener: from PEM files to the material of handshakes, again whenever the files change.
//!
//! ```text
//! files ──read──> Texts ──build──> Material ──watch──> every new handshake takes the newest
//!   ^                `── broken: the last good stays, with a warning and a metric
//!   └── a change in a file's folder, or ten seconds
//! ```
//!
//! This never falls back to plaintext: without good files the server does not start, and later broken files
//! are not used. Connections that are open stay as they are.

mod error;
mod material;
mod reload;
#[cfg(test)]
mod tests;
mod texts;
mod watch;

pub use error::{TlsError, TlsFile};
pub(super) use reload::{Reloader, Tls};
