//! A call that a question is about.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// A call to a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Call {
    /// The caller's identity, `spiffe://...`; `None`: it calls in plaintext.
    pub(crate) principal: Option<String>,
    /// The caller's address; `None`: not known.
    pub(crate) address: Option<IpAddr>,
    /// `/shop.Orders/Get`; `None`: any.
    pub(crate) path: Option<String>,
    /// Of HTTP; POST for gRPC.
    pub(crate) method: String,
    /// The authority; `None`: not known.
    pub(crate) host: Option<String>,
    /// In lower case; several values are joined by a comma.
    pub(crate) headers: BTreeMap<String, String>,
    /// The server's port.
    pub(crate) port: u32,
    /// The claims of the caller's token; `None`: it has none.
    pub(crate) claims: Option<Value>,
}
