//! The JSON of a bootstrap as types.
//!
//! Unknown fields are ignored (BS-05), and a `null` counts as an absent field. A [`Value`] is read later or never: another field or
//! a feature guard decides which type it must have.
//!
//! `_other` makes serde take objects only: without a flattened field it would also take an array, with the fields by position.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::bootstrap::json::Interval;

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Document {
    pub(super) xds_servers: Vec<Server>,
    pub(super) node: Option<NodeFields>,
    pub(super) certificate_providers: Option<BTreeMap<String, CertificateProvider>>,
    #[serde(default, deserialize_with = "text")]
    pub(super) client_default_listener_resource_name_template: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) server_listener_resource_name_template: Option<String>,
    pub(super) authorities: Option<BTreeMap<String, Authority>>,
    pub(super) allowed_grpc_services: Option<BTreeMap<String, AllowedGrpcService>>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Server {
    pub(super) server_uri: String,
    pub(super) channel_creds: Vec<Credentials>,
    pub(super) call_creds: Option<Value>,
    pub(super) server_features: Option<Vec<Value>>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct AllowedGrpcService {
    pub(super) channel_creds: Vec<Credentials>,
    pub(super) call_creds: Option<Value>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// Credentials of a connection or of its calls.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Credentials {
    pub(super) r#type: String,
    pub(super) config: Option<Value>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// The configuration of `jwt_token_file`.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct JwtTokenFile {
    pub(super) jwt_token_file: String,
    #[serde(flatten)]
    _other: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct CertificateProvider {
    pub(super) plugin_name: String,
    pub(super) config: Option<Value>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// The configuration of `spiffe_workload_api`.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Agent {
    pub(super) socket: String,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// The configuration of `tls` and of `file_watcher`.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Files {
    #[serde(default, deserialize_with = "text")]
    pub(super) ca_certificate_file: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) certificate_file: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) private_key_file: Option<String>,
    pub(super) spiffe_trust_bundle_map_file: Option<Value>,
    pub(super) crl_directory: Option<Value>,
    pub(super) crl_unknown: Option<Value>,
    pub(super) refresh_interval: Option<Interval>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// What happens to peers whose issuer has no current revocation list.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase", expecting = "refuse or accept")]
pub(super) enum CrlUnknown {
    Refuse,
    Accept,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Authority {
    #[serde(default, deserialize_with = "text")]
    pub(super) client_listener_resource_name_template: Option<String>,
    pub(super) xds_servers: Option<Vec<Server>>,
    pub(super) fallback_on_reachability_only: Option<Value>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// Name, version and features in the file are passed over (BS-25).
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct NodeFields {
    pub(super) id: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) locality: Option<Locality>,
    pub(super) metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// Proto JSON has both spellings of the sub-zone.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Locality {
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) sub_zone: Option<String>,
    #[serde(rename = "subZone")]
    pub(super) camel_sub_zone: Option<String>,
    #[serde(flatten)]
    _other: IgnoredAny,
}

/// An empty text counts as an absent field.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}
