//! TLS and TCP routes of a `VirtualService`: typed, so that errors are found; they have no effect on gRPC clients.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http::Destination;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TlsRoute {
    r#match: Vec<TlsMatch>,
    #[serde(default)]
    route: Vec<L4Destination>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct TcpRoute {
    r#match: Vec<TcpMatch>,
    route: Vec<L4Destination>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct L4Destination {
    destination: Destination,
    #[serde(default)]
    weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TlsMatch {
    sni_hosts: Vec<String>,
    #[serde(default)]
    destination_subnets: Vec<String>,
    port: Option<u32>,
    #[serde(default)]
    source_labels: BTreeMap<String, String>,
    #[serde(default)]
    gateways: Vec<String>,
    #[serde(default)]
    source_namespace: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TcpMatch {
    destination_subnets: Vec<String>,
    port: Option<u32>,
    source_labels: BTreeMap<String, String>,
    source_subnet: String,
    gateways: Vec<String>,
    source_namespace: String,
}
