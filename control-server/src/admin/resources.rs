//! `/v1/resources`.

use std::fmt::Debug;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::RouteConfiguration;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use crate::resources::{EncodedResource, ResourceKind, ResourceSet, ScopeSelector};

use super::Admin;
use super::error::Failure;

/// The served resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceList {
    /// The revision that it belongs to; 0 before the first sync.
    pub revision: u64,
    /// By type and name.
    pub resources: Vec<ResourceEntry>,
}

/// A resource that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceEntry {
    /// `cds`, `eds`, `leds`, `lds` or `rds`.
    pub r#type: String,
    /// The type URL.
    pub type_url: String,
    /// Its name.
    pub name: String,
    /// The clients that it is for, for example `namespace=shop`; empty: all that no other entry of this name is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Its content's hash.
    pub version: String,
    /// Length of the encoded message.
    pub bytes: usize,
    /// The encoded message in base64; only if the request has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The message as text, in no fixed format; only if the request has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    r#type: Option<String>,
    name: Option<String>,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<ResourceList>, Failure> {
    let Query(filter) = filter.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let kind = filter.r#type.as_deref().map(kind).transpose()?;
    let Some(snapshot) = admin.cache.latest() else {
        return Ok(Json(ResourceList { revision: 0, resources: Vec::new() }));
    };
    let kinds = ResourceKind::ALL.into_iter().filter(|found| kind.is_none_or(|kind| kind == *found));
    let set = &snapshot.set;
    let resources = kinds.flat_map(|kind| set.sorted(kind).into_iter().map(move |resource| (kind, resource)));
    let resources = match &filter.name {
        None => resources.flat_map(|(kind, resource)| variants(set, kind, resource, entry)).collect(),
        Some(name) => resources
            .filter(|(_, resource)| *resource.name == **name)
            .flat_map(|(kind, resource)| variants(set, kind, resource, with_content))
            .collect(),
    };
    Ok(Json(ResourceList { revision: snapshot.set.revision, resources }))
}

/// What stands under the name of a resource, for every scope.
fn variants(
    set: &ResourceSet,
    kind: ResourceKind,
    resource: &EncodedResource,
    entry: fn(ResourceKind, &EncodedResource) -> ResourceEntry,
) -> Vec<ResourceEntry> {
    let Some(scoped) = set.scoped(kind, &resource.name) else { return vec![entry(kind, resource)] };
    let variant = |(selector, resource): (Option<&ScopeSelector>, &Arc<EncodedResource>)| {
        let scope = selector.map(ToString::to_string).unwrap_or_default();
        ResourceEntry { scope, ..entry(kind, resource) }
    };
    scoped.iter().map(variant).collect()
}

fn kind(name: &str) -> Result<ResourceKind, Failure> {
    let message = || format!("type {name:?} is not served; use cds, eds, leds, lds, rds or a full type URL");
    ResourceKind::from_name(name).ok_or_else(|| Failure::bad_request(message()))
}

fn entry(kind: ResourceKind, resource: &EncodedResource) -> ResourceEntry {
    ResourceEntry {
        r#type: kind.short_name().to_owned(),
        type_url: kind.type_url().to_owned(),
        name: resource.name.as_ref().to_owned(),
        scope: String::new(),
        version: resource.version.as_ref().to_owned(),
        bytes: resource.bytes.len(),
        value: None,
        text: None,
    }
}

fn with_content(kind: ResourceKind, resource: &EncodedResource) -> ResourceEntry {
    let text = match kind {
        ResourceKind::Cluster => text::<Cluster>(&resource.bytes),
        ResourceKind::Endpoints => text::<ClusterLoadAssignment>(&resource.bytes),
        ResourceKind::LbEndpoint => text::<LbEndpoint>(&resource.bytes),
        ResourceKind::Listener => listener_text(&resource.bytes),
        ResourceKind::Route => text::<RouteConfiguration>(&resource.bytes),
    };
    ResourceEntry { value: Some(STANDARD.encode(&resource.bytes)), text, ..entry(kind, resource) }
}

fn text<M: Message + Default + Debug>(bytes: &Bytes) -> Option<String> {
    M::decode(bytes.clone()).ok().map(|message| readable(&message))
}

/// The connection manager of a client's listener is packed inside it: unpacks it.
fn listener_text(bytes: &Bytes) -> Option<String> {
    let mut listener = Listener::decode(bytes.clone()).ok()?;
    let packed = listener.api_listener.as_mut().and_then(|api| api.api_listener.take());
    let manager = packed.and_then(|any| HttpConnectionManager::decode(&any.value[..]).ok());
    let manager = manager.as_ref().map(readable).unwrap_or_default();
    Some(format!("{}\n{manager}", readable(&listener)))
}

/// Without the fields that are not set.
fn readable(message: &impl Debug) -> String {
    let text = format!("{message:#?}");
    let is_set = |line: &&str| UNSET.iter().all(|unset| !line.ends_with(unset));
    text.lines().filter(is_set).map(|line| format!("{line}\n")).collect()
}

const UNSET: [&str; 5] = [": None,", ": [],", ": {},", ": \"\",", ": false,"];
