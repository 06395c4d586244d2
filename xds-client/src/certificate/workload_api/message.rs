//! The messages of the Workload API that carry X.509 identities, and what they mean.

use std::collections::BTreeMap;

use mesh_core::certificate::{
    Identity, Material, MaterialError, RevocationList, RevocationLists, Roots, SpiffeBundles,
    UnknownRevocation,
};
use mesh_core::policy::identity::{SpiffeId, TrustDomain};

/// Asks for the identities of the process that asks.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct X509SvidRequest {}

/// All that there is; it replaces what was told before.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct X509SvidResponse {
    /// The first is the default.
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<X509Svid>,
    /// Revocation lists in DER.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) crl: Vec<Vec<u8>>,
    /// The roots of other trust domains, by their ids: certificates in DER, one after the other.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub(crate) federated_bundles: BTreeMap<String, Vec<u8>>,
}

/// An identity.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct X509Svid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    /// The chain in DER, the workload's own certificate first.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) x509_svid: Vec<u8>,
    /// The private key, PKCS #8 in DER.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) x509_svid_key: Vec<u8>,
    /// The roots of the identity's trust domain, in DER.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) bundle: Vec<u8>,
}

/// The material that a message tells. Trust domains that it does not have are not known any more (P6 of the identity cases).
pub(super) fn material(response: &X509SvidResponse) -> Result<Material, MaterialError> {
    let own = response.svids.first().ok_or_else(|| MaterialError::new("it has no identity"))?;
    let identity = Identity::from_der(certificates(&own.x509_svid)?, own.x509_svid_key.clone())?;
    let mut bundles = BTreeMap::new();
    for svid in &response.svids {
        let id = SpiffeId::parse(&svid.spiffe_id).map_err(|error| at(&svid.spiffe_id, &error))?;
        bundles.entry(id.trust_domain().to_owned()).or_insert(&svid.bundle);
    }
    for (id, bundle) in &response.federated_bundles {
        let name = id.strip_prefix("spiffe://").unwrap_or(id);
        bundles.entry(name.trim_end_matches('/').to_ascii_lowercase()).or_insert(bundle);
    }
    let mut roots = SpiffeBundles::new();
    for (name, bundle) in bundles {
        let domain = TrustDomain::parse(&name).map_err(|error| at(&name, &error))?;
        roots = roots.with(domain, certificates(bundle)?).map_err(|error| at(&name, &error))?;
    }
    let mut roots = Roots::by_trust_domain(roots);
    if !response.crl.is_empty() {
        let mut lists = Vec::new();
        for list in &response.crl {
            lists.extend(RevocationList::read(list)?);
        }
        // An agent tells the lists that there are: most authorities of SPIFFE have none.
        roots = roots.with_revocation(RevocationLists::new(lists, UnknownRevocation::Accept));
    }
    Ok(Material::default().with_identity(identity).with_roots(roots))
}

fn at(name: &str, error: &impl std::fmt::Display) -> MaterialError {
    MaterialError::new(format!("{name:?}: {error}"))
}

/// Splits certificates in DER that stand one after the other.
fn certificates(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, MaterialError> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = sequence_length(bytes).filter(|length| *length <= bytes.len());
        let length = length.ok_or_else(|| MaterialError::new("its certificates cannot be parsed"))?;
        let (first, rest) = bytes.split_at(length);
        all.push(first.to_vec());
        bytes = rest;
    }
    Ok(all)
}

/// The length of a sequence in DER, with its head.
fn sequence_length(bytes: &[u8]) -> Option<usize> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag != SEQUENCE {
        return None;
    }
    if first < 0x80 {
        return Some(usize::from(first) + 2);
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return None;
    }
    let length = rest.get(..count)?.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    length.checked_add(2 + count)
}

const SEQUENCE: u8 = 0x30;
