//! HTTP routes of a `VirtualService`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::{HttpFault, Percent};
use super::headers::Headers;
use super::retry::HttpRetry;
use crate::kinds::{ProtoDuration, StringMatch};

/// One rule: matches and actions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpRoute {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// Any of these matches; empty: all calls.
    pub(crate) r#match: Vec<HttpMatch>,
    pub(crate) route: Vec<RouteDestination>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) direct_response: Option<DirectResponse>,
    pub(crate) delegate: Option<Delegate>,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) timeout: Option<ProtoDuration>,
    pub(crate) retries: Option<HttpRetry>,
    pub(crate) fault: Option<HttpFault>,
    pub(crate) mirror: Option<Destination>,
    pub(super) mirror_percent: Option<u32>,
    pub(super) mirror_percentage: Option<Percent>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(super) cors_policy: Option<CorsPolicy>,
    /// Header changes of every matching call, before those of its destination.
    pub(crate) headers: Option<Headers>,
}

/// All of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpMatch {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) uri: Option<StringMatch>,
    pub(crate) scheme: Option<StringMatch>,
    pub(crate) method: Option<StringMatch>,
    pub(crate) authority: Option<StringMatch>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, StringMatch>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) without_headers: BTreeMap<String, StringMatch>,
    pub(crate) port: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) source_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source_namespace: String,
    pub(crate) gateways: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) query_params: BTreeMap<String, StringMatch>,
    pub(crate) ignore_uri_case: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) stat_prefix: String,
}

/// A destination and its share.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct RouteDestination {
    pub(crate) destination: Destination,
    #[serde(default)]
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) headers: Option<Headers>,
}

/// A service, a subset of it, a port of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Destination {
    pub(crate) host: String,
    pub(crate) subset: Option<String>,
    pub(crate) port: Option<PortSelector>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct PortSelector {
    pub(crate) number: u32,
}

/// A redirect, answered by the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Redirect {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uri: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) authority: String,
    pub(crate) port: Option<u32>,
    derive_port: Option<DerivePort>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) scheme: String,
    pub(crate) redirect_code: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum DerivePort {
    FromProtocolDefault,
    FromRequestPort,
}

/// Answered by the proxy itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct DirectResponse {
    pub(crate) status: u32,
    body: Option<Body>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Body {
    string: Option<String>,
    /// In base64.
    bytes: Option<String>,
}

/// The `VirtualService` that has the rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Delegate {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

/// Another path or authority for the endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rewrite {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uri: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) authority: String,
    pub(crate) uri_regex_rewrite: Option<RegexRewrite>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct RegexRewrite {
    pub(crate) r#match: String,
    pub(crate) rewrite: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Mirror {
    pub(super) destination: Destination,
    pub(super) percentage: Option<Percent>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CorsPolicy {
    allow_origin: Vec<String>,
    pub(super) allow_origins: Vec<StringMatch>,
    allow_methods: Vec<String>,
    allow_headers: Vec<String>,
    expose_headers: Vec<String>,
    max_age: Option<ProtoDuration>,
    allow_credentials: Option<bool>,
    unmatched_preflights: Option<UnmatchedPreflights>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum UnmatchedPreflights {
    Unspecified,
    Forward,
    Ignore,
}

impl HttpRoute {
    /// Where copies of calls go, and for how many of a million calls.
    pub(crate) fn mirrored_to(&self) -> Vec<(&Destination, u32)> {
        let percent = self.mirror_percent.map(|percent| percent.saturating_mul(10_000));
        let share = self.mirror_percentage.map(Percent::share).or(percent);
        let first = self.mirror.as_ref().map(|destination| (destination, share));
        let others = self.mirrors.iter().map(|one| (&one.destination, one.percentage.map(Percent::share)));
        let all = first.into_iter().chain(others);
        all.map(|(destination, share)| (destination, share.unwrap_or(ALL).min(ALL))).collect()
    }
}

impl DirectResponse {
    /// `None`: there is none, or it is no base64.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        let body = self.body.as_ref()?;
        let bytes = || STANDARD.decode(body.bytes.as_deref()?).ok();
        body.string.as_ref().map(|text| text.clone().into_bytes()).or_else(bytes)
    }

    /// Why its body cannot be sent.
    pub(super) fn body_mistake(&self) -> Option<&'static str> {
        let body = self.body.as_ref()?;
        match (&body.string, &body.bytes) {
            (Some(_), Some(_)) => Some("found both string and bytes, expected one of them"),
            (None, Some(bytes)) if STANDARD.decode(bytes).is_err() => Some("the bytes are no base64"),
            _ => None,
        }
    }
}

/// A million.
const ALL: u32 = 1_000_000;
