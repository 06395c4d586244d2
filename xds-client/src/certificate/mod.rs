//! Key material from files that something else keeps fresh (gRFC A29, A65).
//!
//! ```text
//!   store ──▶ FileProvider: one for all who name the same files (BS-36)
//!                 │ reads when asked, and at its interval
//!                 ▼
//!             Reload: what was last in order stays in use (BS-34)
//! ```
//!
//! Invariants: files that are broken, half written or gone never take away what was good; what never was good is an
//! error that names the file, never nothing.

mod crypto;
mod material;
mod provider;
mod reload;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use crypto::crypto;
pub(crate) use material::Roots;
pub(crate) use provider::{FileProvider, Material};
pub(crate) use store::provider;
