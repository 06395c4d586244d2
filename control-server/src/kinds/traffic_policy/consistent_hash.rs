//! `consistentHash`: the same endpoint for the same key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::{ProtoDuration, check};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// The same endpoint for the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConsistentHash {
    pub(crate) http_header_name: Option<String>,
    pub(crate) http_cookie: Option<HttpCookie>,
    pub(crate) use_source_ip: Option<bool>,
    http_query_parameter_name: Option<String>,
    pub(crate) ring_hash: Option<RingHash>,
    pub(crate) maglev: Option<Maglev>,
    minimum_ring_size: Option<u64>,
}

/// A cookie of requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct HttpCookie {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    /// With it a client makes the cookie where a request has none.
    pub(crate) ttl: Option<ProtoDuration>,
    #[serde(default)]
    attributes: Vec<CookieAttribute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct CookieAttribute {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    value: String,
}

/// A ring of hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RingHash {
    minimum_ring_size: Option<u64>,
}

/// A table of fixed size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Maglev {
    /// A prime number; 65,537 by default.
    pub(crate) table_size: Option<u64>,
}

impl ConsistentHash {
    /// The least number of entries of the ring.
    pub(crate) fn ring_size(&self) -> u64 {
        self.ring_hash.and_then(|ring| ring.minimum_ring_size).or(self.minimum_ring_size).unwrap_or(1024)
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let keys = [
            ("httpHeaderName", self.http_header_name.is_some()),
            ("httpCookie", self.http_cookie.is_some()),
            ("useSourceIp", self.use_source_ip == Some(true)),
            ("httpQueryParameterName", self.http_query_parameter_name.is_some()),
        ];
        let set: Vec<&str> = keys.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
        match set.as_slice() {
            [] => {
                let names = keys.map(|(name, _)| name).join(", ");
                findings.error(path.clone(), format!("expected one of {names}, found none"));
            }
            ["httpHeaderName"] => {
                let name = self.http_header_name.as_deref().unwrap_or_default();
                check::header_name(name, &path.field("httpHeaderName"), findings);
            }
            ["httpCookie"] => self.check_cookie(&path.field("httpCookie"), findings),
            ["useSourceIp"] => {
                let message = "gRPC clients are their own source: each channel stays with one endpoint";
                findings.push(Finding::warning(path.field("useSourceIp"), message).of_clients(WITHOUT_ENVOY));
            }
            [key] => {
                let message = "ignored: calls of gRPC have no query; this works as ROUND_ROBIN";
                findings.warning(path.field(*key), message);
            }
            several => {
                findings
                    .error(path.clone(), format!("found {}, expected one of them", several.join(" and ")));
            }
        }
        // CDS-08
        if self.ring_size() > MAX_RING_SIZE {
            let field = if self.ring_hash.is_some() { path.field("ringHash") } else { path.clone() };
            let message = format!("found the number {}, expected at most {MAX_RING_SIZE}", self.ring_size());
            findings.error(field.field("minimumRingSize"), message);
        }
        if let Some(maglev) = &self.maglev {
            maglev.check(&path.field("maglev"), findings);
        }
    }

    fn check_cookie(&self, path: &FieldPath, findings: &mut Findings) {
        let name = self.http_cookie.as_ref().map(|cookie| cookie.name.as_str()).unwrap_or_default();
        // As RFC 6265 has it: a token of HTTP.
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.error(path.field("name"), format!("found `{name}`, expected the name of a cookie"));
        }
        let message = "gRPC clients hash the cookie of calls that carry one in `cookie`, and make none: other calls go to any \
                       endpoint";
        findings.push(Finding::warning(path.clone(), message).of_clients(WITHOUT_ENVOY));
    }
}

impl Maglev {
    fn check(self, path: &FieldPath, findings: &mut Findings) {
        let is_prime = |number: u64| {
            number > 1
                && (2..)
                    .take_while(|divisor| divisor * divisor <= number)
                    .all(|one| !number.is_multiple_of(one))
        };
        if let Some(size) = self.table_size.filter(|size| *size > MAX_TABLE_SIZE || !is_prime(*size)) {
            let message =
                format!("found the number {size}, expected a prime number of at most {MAX_TABLE_SIZE}");
            findings.error(path.field("tableSize"), message);
        }
        let message = "gRPC clients other than mesh-tonic have no Maglev: for them this works as ring hash";
        findings.push(Finding::warning(path.clone(), message).of_clients(&[ClientFamily::Grpc]));
    }
}

const WITHOUT_ENVOY: &[ClientFamily] = &[ClientFamily::Grpc, ClientFamily::MeshTonic];
const MAX_RING_SIZE: u64 = 8_388_608;
const MAX_TABLE_SIZE: u64 = 5_000_011;
