//! `loadBalancer`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::ProtoDuration;
use crate::yaml::FieldPath;

/// How an endpoint is chosen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LoadBalancer {
    pub(crate) simple: Option<Simple>,
    pub(crate) consistent_hash: Option<ConsistentHash>,
    pub(crate) locality_lb_setting: Option<LocalityLbSetting>,
    pub(crate) zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    warmup: Option<Warmup>,
    warmup_duration_secs: Option<ProtoDuration>,
}

/// One without state between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Simple {
    Unspecified,
    RoundRobin,
    LeastRequest,
    LeastConn,
    Random,
    Passthrough,
}

/// The same endpoint for the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConsistentHash {
    pub(crate) http_header_name: Option<String>,
    http_cookie: Option<HttpCookie>,
    use_source_ip: Option<bool>,
    http_query_parameter_name: Option<String>,
    pub(crate) ring_hash: Option<RingHash>,
    maglev: Option<Maglev>,
    minimum_ring_size: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct HttpCookie {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    ttl: Option<ProtoDuration>,
    #[serde(default)]
    attributes: Vec<CookieAttribute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct CookieAttribute {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    value: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RingHash {
    minimum_ring_size: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Maglev {
    table_size: Option<u64>,
}

/// Where calls go, by the localities of client and endpoints: one of distribute, failover and failoverPriority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LocalityLbSetting {
    pub(crate) enabled: Option<bool>,
    pub(crate) distribute: Vec<Distribute>,
    pub(crate) failover: Vec<Failover>,
    pub(crate) failover_priority: Vec<String>,
}

/// Shares of calls from one locality, in percent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Distribute {
    pub(crate) from: String,
    pub(crate) to: BTreeMap<String, u32>,
}

/// The region that takes over for another one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Failover {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Calls stay in the client's zone as far as its endpoints can take them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ZoneAwareLbSetting {
    pub(crate) enabled: Option<bool>,
    pub(crate) failover: Vec<Failover>,
    pub(crate) failover_priority: Vec<String>,
    pub(crate) min_cluster_size: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Warmup {
    duration: ProtoDuration,
    minimum_percent: Option<f64>,
    aggression: Option<f64>,
}

impl LoadBalancer {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.simple.is_some() && self.consistent_hash.is_some() {
            let message = "found both simple and consistentHash, expected one of them";
            findings.error(path.field("consistentHash"), message);
        }
        match self.simple {
            Some(Simple::Passthrough) => {
                let message = "rejected because gRPC clients need endpoints to choose from: expected ROUND_ROBIN, \
                               LEAST_REQUEST or RANDOM";
                findings.unsupported(path.field("simple"), message);
            }
            Some(Simple::Random) => {
                findings.warning(
                    path.field("simple"),
                    "gRPC clients have no random choice: this works as ROUND_ROBIN",
                );
            }
            _ => {}
        }
        if let Some(hash) = &self.consistent_hash {
            hash.check(&path.field("consistentHash"), findings);
        }
        if let Some(locality) = &self.locality_lb_setting {
            locality.check(&path.field("localityLbSetting"), findings);
        }
    }
}

impl ConsistentHash {
    /// The least number of entries of the ring.
    pub(crate) fn ring_size(&self) -> u64 {
        self.ring_hash.and_then(|ring| ring.minimum_ring_size).or(self.minimum_ring_size).unwrap_or(1024)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
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
                crate::kinds::check::header_name(name, &path.field("httpHeaderName"), findings);
            }
            [key] => {
                let message = "ignored by gRPC clients, which hash headers only: this works as ROUND_ROBIN";
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
        if self.maglev.is_some() {
            findings.warning(path.field("maglev"), "gRPC clients have no Maglev: this works as ring hash");
        }
    }
}

impl LocalityLbSetting {
    /// On unless it says otherwise.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled != Some(false)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let set =
            [!self.distribute.is_empty(), !self.failover.is_empty(), !self.failover_priority.is_empty()];
        if set.into_iter().filter(|set| *set).count() > 1 {
            findings
                .error(path.clone(), "found several of distribute, failover, failoverPriority, expected one");
        }
        for (index, one) in self.distribute.iter().enumerate() {
            let sum: u64 = one.to.values().map(|percent| u64::from(*percent)).sum();
            if sum != 100 {
                let message = format!("the percentages add up to {sum}, expected 100");
                findings.error(path.field("distribute").index(index).field("to"), message);
            }
        }
    }
}

const MAX_RING_SIZE: u64 = 8_388_608;
