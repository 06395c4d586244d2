//! Key material from files that another program renews (gRFC A29, A65).
//!
//! ```text
//!   store ──▶ FileProvider: one for all users of the same files (BS-36)
//!                 │ reads at each request, and at its interval
//!                 ▼
//!             Reload: the last valid content stays in use (BS-34)
//! ```
//!
//! Invariants: files that are broken, half written or missing never remove valid material; files that were never valid
//! are an error that names the file, never an empty result.

mod files;
#[cfg(test)]
mod files_tests;
mod material;
mod provider;
mod providers;
mod reload;
mod revocation;
#[cfg(test)]
mod revocation_tests;
#[cfg(test)]
mod tests;
mod workload_api;

pub(crate) use material::{Roots, crypto};
pub(crate) use provider::{FileProvider, Material, provider};
pub use providers::CertificateProviders;
pub(crate) use workload_api::{X509SvidRequest, X509SvidResponse};
