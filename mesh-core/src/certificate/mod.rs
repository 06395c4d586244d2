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
mod roots;
mod source;
mod x509;

pub(crate) use crypto::crypto;
pub(crate) use der::UtcTime;
pub use identity::Identity;
pub use material::{Material, MaterialError, Part};
pub use publication::MaterialPublisher;
pub(crate) use publication::Published;
pub use roots::Roots;
pub use source::{CertificateProvider, CertificateSource};
pub(crate) use x509::{CertificateFacts, unknown_critical_extension};
