//! `RateLimitPolicy`: how many calls servers take, or clients send, in a time.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{self, Selector, TargetRef};
use super::{ProtoDuration, check};
use crate::finding::{Finding, Findings};
use crate::state::ClientFamily;
use crate::yaml::{FieldPath, Node, decode};

/// Limits for the servers of a service or with labels, or for clients of a service. Without targets and labels: for all servers of
/// the namespace.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RateLimitPolicy {
    pub(crate) selector: Option<Selector>,
    #[serde(default)]
    pub(crate) target_refs: Vec<TargetRef>,
    #[serde(default)]
    pub(crate) enforcement: Enforcement,
    #[serde(default)]
    pub(crate) mode: Mode,
    /// A call that is over any of them is refused.
    pub(crate) rules: Vec<Rule>,
    #[serde(default)]
    pub(crate) on_limit: OnLimit,
}

/// Where calls are counted and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Enforcement {
    /// On each server.
    #[default]
    Server,
    /// In each client, before the call is sent.
    Client,
    Both,
}

/// What happens to calls over the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Mode {
    #[default]
    Enforce,
    /// They are counted, and pass.
    Shadow,
}

/// A limit of the calls that match, for each value of the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    pub(crate) name: String,
    #[serde(default, rename = "match")]
    pub(crate) matches: RuleMatch,
    #[serde(default)]
    pub(crate) key: Vec<KeyPart>,
    /// For so many values of the key limits are kept; 10000 by default.
    pub(crate) max_buckets: Option<u32>,
    pub(crate) limit: Limit,
    /// What a call takes; 1 by default.
    pub(crate) cost: Option<u32>,
}

/// The calls that a rule counts; all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RuleMatch {
    pub(crate) headers: Vec<HeaderRule>,
}

/// A header with this value; without any, with any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct HeaderRule {
    pub(crate) name: String,
    pub(crate) exact: Option<String>,
    pub(crate) prefix: Option<String>,
}

/// A part of the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum KeyPart {
    Caller(CallerPart),
    Header(HeaderPart),
}

/// A property of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum CallerPart {
    /// The identity in its certificate; without one `unknown`.
    #[serde(rename = "source.principal")]
    Principal,
    /// Its address.
    #[serde(rename = "source.address")]
    Address,
}

/// The value of a header; without it `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct HeaderPart {
    pub(crate) header: String,
}

/// A bucket of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Limit {
    pub(crate) requests: u32,
    pub(crate) per: ProtoDuration,
    /// So many at once; `requests` by default.
    pub(crate) burst: Option<u32>,
}

/// What a refused caller is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OnLimit {
    pub(crate) grpc_status: RefusalStatus,
    /// The header `retry-after`, in seconds.
    pub(crate) retry_after: bool,
    /// The headers `x-ratelimit-limit`, `-remaining` and `-reset`.
    pub(crate) rate_limit_headers: bool,
}

/// The status of a refused call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RefusalStatus {
    #[default]
    ResourceExhausted,
    Unavailable,
}

pub(crate) fn read(
    spec: &Node,
    path: &FieldPath,
    namespace: &str,
    findings: &mut Findings,
) -> Option<RateLimitPolicy> {
    let policy: RateLimitPolicy = decode(spec, path, findings)?;
    target::check(spec, policy.selector.as_ref(), &policy.target_refs, namespace, findings);
    if policy.is_for_clients() && policy.target_refs.is_empty() {
        let message = "required for clients: the services whose calls are counted";
        findings.missing(path.field("targetRefs"), message);
    }
    let rules = path.field("rules");
    if policy.rules.is_empty() {
        findings.error(rules.clone(), "found no rule, expected at least one");
    }
    check::unique(
        policy.rules.iter().map(|rule| &rule.name),
        |index| rules.index(index).field("name"),
        findings,
    );
    for (index, rule) in policy.rules.iter().enumerate() {
        rule.check(&rules.index(index), policy.is_for_clients(), findings);
    }
    let message = "only mesh-tonic and Envoy count calls: other gRPC clients and servers pass all of them";
    findings.push(Finding::warning(path.field("enforcement"), message).of_clients(&[ClientFamily::Grpc]));
    Some(policy)
}

impl RateLimitPolicy {
    pub(crate) fn is_for_servers(&self) -> bool {
        self.enforcement != Enforcement::Client
    }

    pub(crate) fn is_for_clients(&self) -> bool {
        self.enforcement != Enforcement::Server
    }
}

impl Rule {
    fn check(&self, path: &FieldPath, is_for_clients: bool, findings: &mut Findings) {
        if self.name.is_empty() {
            findings.error(path.field("name"), "found no name, expected one");
        }
        if self.limit.requests == 0 || self.limit.burst == Some(0) {
            findings.error(path.field("limit"), "expected at least one request, and a burst of at least 1");
        }
        if self.limit.per.0 < SHORTEST {
            findings.error(path.field("limit").field("per"), "expected a duration of at least 50ms");
        }
        if self.max_buckets == Some(0) {
            findings.error(path.field("maxBuckets"), "found the number 0, expected at least 1");
        }
        let headers = path.field("match").field("headers");
        for (index, header) in self.matches.headers.iter().enumerate() {
            let path = headers.index(index);
            check::header_name(&header.name, &path.field("name"), findings);
            if header.exact.is_some() && header.prefix.is_some() {
                findings.error(path, "found both exact and prefix, expected one of them");
            }
        }
        let of_headers = self.key.iter().filter(|part| matches!(part, KeyPart::Header(_))).count();
        if of_headers > MAX_HEADERS {
            let message = format!("found {of_headers} headers, expected at most {MAX_HEADERS}");
            findings.error(path.field("key"), message);
        }
        for (index, part) in self.key.iter().enumerate() {
            let path = path.field("key").index(index);
            match part {
                KeyPart::Header(part) => check::header_name(&part.header, &path.field("header"), findings),
                KeyPart::Caller(part) if is_for_clients => {
                    findings.error(path, format!("found {part}, which only servers know"));
                }
                KeyPart::Caller(_) => {}
            }
        }
    }
}

impl fmt::Display for CallerPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "source.principal",
            Self::Address => "source.address",
        })
    }
}

/// Envoy refuses shorter ones.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(50);
/// Each of them doubles the descriptors, for calls with and without it.
const MAX_HEADERS: usize = 3;
