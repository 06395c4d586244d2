//! TLS and TCP routes of a `VirtualService`: typed, so that errors are found; they have no effect on gRPC clients.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::Destination;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(super) struct TlsRoute {
    #[serde(default)]
    r#match: Vec<TlsMatch>,
    #[serde(default)]
    route: Vec<L4Destination>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(super) struct TcpRoute {
    r#match: Vec<TcpMatch>,
    route: Vec<L4Destination>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct L4Destination {
    destination: Destination,
    #[serde(default)]
    weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TlsMatch {
    sni_hosts: Vec<String>,
    #[serde(default)]
    destination_subnets: Vec<String>,
    port: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    source_labels: BTreeMap<String, String>,
    #[serde(default)]
    gateways: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    source_namespace: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct TcpMatch {
    destination_subnets: Vec<String>,
    port: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    source_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    source_subnet: String,
    gateways: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    source_namespace: String,
}
