//! The names in a certificate.

use std::net::IpAddr;

use super::SpiffeId;

/// The names in a certificate, each kind in the certificate's order. Names with a byte that their kind does not allow are left
/// out, so that they never match.
// N2
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SubjectNames {
    pub(crate) dns: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// How many URIs the certificate has, with those that were left out.
    pub(crate) uri_count: usize,
    /// The subject in the form of RFC 2253; may be empty.
    pub(crate) subject: String,
}

impl SubjectNames {
    /// The SPIFFE id of a workload; an error says why the certificate has none.
    // P1, P2, P3, TLS-20
    pub(crate) fn workload(&self) -> Result<SpiffeId, String> {
        let uri = match (&*self.uris, self.uri_count) {
            ([uri], 1) => uri,
            (_, 0) => return Err("it has no URI among its names, and so no SPIFFE id".to_owned()),
            (_, 1) => return Err("its URI has a character that a URI cannot have".to_owned()),
            (_, count) => {
                return Err(format!("it has {count} URIs among its names; a SPIFFE id stands alone"));
            }
        };
        let id = SpiffeId::parse(uri).map_err(|error| error.to_string())?;
        match id.path() {
            "" => Err(format!("{id} names a trust domain and no workload in it")),
            _ => Ok(id),
        }
    }

    /// All names that matchers compare, for messages.
    pub(crate) fn listed(&self) -> String {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        let names = self.uris.iter().chain(&self.dns).chain(&self.emails).cloned().chain(addresses);
        let mut listed: Vec<String> = names.take(SHOWN + 1).collect();
        if listed.len() > SHOWN {
            listed[SHOWN] = "...".to_owned();
        }
        match listed.is_empty() {
            true => "no name at all".to_owned(),
            false => listed.join(", "),
        }
    }
}

const SHOWN: usize = 5;
