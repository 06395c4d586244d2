//! Key material: what a process shows to its peers, and what it trusts (gRFC A29, A65, A69, A87).
//!
//! ```text
//!   CertificateProvider: files, a SPIFFE agent, a user's own
//!        │ publishes Material, and again at each renewal
//!        ▼
//!   CertificateSource: the handle that a configuration holds ──▶ each handshake reads the latest Material
//! ```
//!
//! Invariants: material is checked before it is published, so that a handshake never meets a key that is not its
//! certificate's. Material that is missing is an error with its reason, never an empty set of roots and never plaintext.

mod crypto;
mod der;
mod distinguished_name;
mod identity;
mod material;
mod publication;
mod revocation;
mod roots;
mod source;
mod spiffe_bundles;
mod x509;

pub(crate) use crypto::crypto;
pub(crate) use der::UtcTime;
pub use identity::Identity;
pub use material::{Material, MaterialError, Part};
pub use publication::MaterialPublisher;
pub(crate) use publication::Published;
pub(crate) use revocation::{IssuerKey, Revocable, RevocationStatus};
pub use revocation::{RevocationList, RevocationLists, UnknownRevocation};
pub use roots::Roots;
pub(crate) use roots::{Anchors, RootSet};
pub use source::{CertificateProvider, CertificateSource};
pub use spiffe_bundles::SpiffeBundles;
pub(crate) use x509::{CertificateFacts, public_key_info, unknown_critical_extension};
