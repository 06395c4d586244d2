//! Certificate revocation lists (RFC 5280 section 5, gRFC A69).
//!
//! webpki takes the first list of an issuer and decides by it alone. Here every list of the issuer counts whose signature and
//! scope fit, so that a forged or outdated list neither hides another one nor speaks for it.

mod certificate;
mod list;
mod lists;
mod status;

pub(crate) use certificate::Revocable;
pub use list::RevocationList;
pub use lists::{RevocationLists, UnknownRevocation};
pub(crate) use status::{IssuerKey, RevocationStatus};
