//! TLS of connections to endpoints.

use std::collections::BTreeSet;

use crate::kinds::traffic_policy::{ClientTls, TlsMode};

/// How clients call the endpoints of a cluster with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointTls {
    /// The certificate provider of the client's own certificate; `None`: it shows none.
    pub(crate) identity: Option<String>,
    /// The certificate provider of the authorities that it trusts; `None`: those of its system.
    pub(crate) roots: Option<String>,
    /// The endpoint must have one of these names.
    pub(crate) names: BTreeSet<PeerName>,
    /// Empty: none is sent.
    pub(crate) sni: String,
}

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PeerName {
    Exact(String),
    Prefix(String),
}

/// The certificate provider of the mesh's own identities, in the bootstraps that `meshctl` prints.
pub(crate) const IDENTITY: &str = "default";

impl EndpointTls {
    /// Mutual TLS with the identities of the mesh.
    pub(super) fn of_mesh(names: BTreeSet<PeerName>) -> Self {
        let identity = Some(IDENTITY.to_owned());
        Self { roots: identity.clone(), identity, names, sni: String::new() }
    }

    /// The TLS that a rule states for calls to `host`, whose endpoints have `identities` in the mesh; `None`: plaintext.
    ///
    /// # Errors
    /// Why clients cannot do it.
    pub(super) fn stated(
        tls: &ClientTls,
        host: &str,
        identities: impl FnOnce() -> BTreeSet<PeerName>,
    ) -> Result<Option<Self>, &'static str> {
        if let Some(problem) = tls.problem() {
            return Err(problem);
        }
        let stated: BTreeSet<PeerName> = tls.subject_alt_names.iter().cloned().map(PeerName::Exact).collect();
        // gRPC checks no host name by itself: without a name any certificate of the authority would do.
        let host = if tls.sni.is_empty() { host } else { &tls.sni };
        let of_host = || BTreeSet::from([PeerName::Exact(host.to_owned())]);
        let credential = (!tls.credential_name.is_empty()).then(|| tls.credential_name.clone());
        let (identity, roots) = match tls.mode {
            TlsMode::Disable => return Ok(None),
            TlsMode::IstioMutual => {
                let names = if stated.is_empty() { identities() } else { stated };
                return Ok(Some(Self { sni: tls.sni.clone(), ..Self::of_mesh(names) }));
            }
            TlsMode::Simple => (None, credential),
            TlsMode::Mutual => (credential.clone(), credential),
        };
        let names = if stated.is_empty() { of_host() } else { stated };
        Ok(Some(Self { identity, roots, names, sni: host.to_owned() }))
    }
}
