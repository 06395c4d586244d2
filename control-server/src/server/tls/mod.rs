//! TLS for the xDS listener: from PEM files to what a handshake uses, and again whenever the files change.
//!
//! ```text
//! files ──read──> Texts ──build──> Material ──watch──> every new handshake takes the newest
//!   ^                `── broken: the last good stays, a warning and a metric tell
//!   └── a change in a file's folder, or ten seconds
//! ```
//!
//! There is no way from here to plaintext: without good files the server does not start, and later ones that are broken
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
