//! Trusted roots by SPIFFE trust domain (SPIFFE Trust Domain and Bundle section 4, gRFC A87).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::policy::identity::TrustDomain;

use super::roots::RootSet;
use super::{MaterialError, Roots};

/// The roots of SPIFFE trust domains. A peer's trust domain chooses the roots at which its chain must end, and a peer without
/// a SPIFFE id is refused.
#[derive(Clone, Default)]
pub struct SpiffeBundles(HashMap<TrustDomain, Arc<RootSet>>);

impl SpiffeBundles {
    /// No trust domain: every peer is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// From a bundle map in JSON, as SPIRE writes it and as gRPC reads it: `{"trust_domains": {"a.example": {"keys": [..]}}}`. Of each key
    /// `kty`, `use` and `x5c` count. Keys for tokens (`jwt-svid`) are not for connections and are skipped.
    ///
    /// # Errors
    /// It is no such map, or one of its keys is not valid: then nothing of it is used.
    // TLS-21, P5
    pub fn from_json(json: &[u8]) -> Result<Self, MaterialError> {
        let map: Value = serde_json::from_slice(json)
            .map_err(|error| MaterialError::new(format!("no bundle map in JSON: {error}")))?;
        let map = object(&map, "the bundle map")?;
        let mut bundles = Self::new();
        let Some(domains) = map.get("trust_domains") else { return Ok(bundles) };
        for (name, bundle) in object(domains, "trust_domains")? {
            let at = |error: &dyn fmt::Display| MaterialError::new(format!("trust domain {name:?}: {error}"));
            let domain = TrustDomain::parse(name).map_err(|error| at(&error))?;
            let certificates = certificates(bundle).map_err(|error| at(&error))?;
            if bundles.0.contains_key(&domain) {
                return Err(at(&"it is there twice, in upper and lower case"));
            }
            bundles = bundles.with(domain, certificates).map_err(|error| at(&error))?;
        }
        Ok(bundles)
    }

    /// With these root certificates in DER for a trust domain, in place of those of before; none: all its peers are refused.
    ///
    /// # Errors
    /// One of them cannot be a root.
    pub fn with(mut self, domain: TrustDomain, certificates: Vec<Vec<u8>>) -> Result<Self, MaterialError> {
        let anchors = certificates.into_iter().map(|certificate| Roots::anchor(&certificate));
        self.0.insert(domain, Arc::new(anchors.collect::<Result<_, _>>()?));
        Ok(self)
    }

    /// The roots of a trust domain; `None`: it is not known.
    // TLS-20
    pub(crate) fn find(&self, domain: &str) -> Option<&Arc<RootSet>> {
        self.0.get(domain)
    }
}

/// The certificates of one bundle, in DER.
fn certificates(bundle: &Value) -> Result<Vec<Vec<u8>>, MaterialError> {
    let keys = object(bundle, "the bundle")?.get("keys").unwrap_or(&Value::Null);
    let keys = keys.as_array().ok_or_else(|| MaterialError::new("keys is not a list"))?;
    let mut certificates = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let at = |reason: &str| MaterialError::new(format!("keys[{index}]: {reason}"));
        let key = object(key, "it").map_err(|error| at(&error.to_string()))?;
        let text = |field: &str| key.get(field).and_then(Value::as_str);
        match text("use") {
            Some("x509-svid") => {}
            Some("jwt-svid") => continue,
            _ => return Err(at("use is neither x509-svid nor jwt-svid")),
        }
        if !matches!(text("kty"), Some("EC" | "RSA" | "OKP")) {
            return Err(at("kty is none of EC, RSA and OKP"));
        }
        let chain = key.get("x5c").and_then(Value::as_array).map(Vec::as_slice);
        let Some([Value::String(certificate)]) = chain else {
            return Err(at("x5c is not a list of one certificate"));
        };
        let der = STANDARD.decode(certificate).map_err(|_| at("x5c is not in base64"))?;
        certificates.push(der);
    }
    Ok(certificates)
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, MaterialError> {
    value.as_object().ok_or_else(|| MaterialError::new(format!("{what} is not an object")))
}

impl fmt::Debug for SpiffeBundles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(TrustDomain::as_str)).finish()
    }
}
