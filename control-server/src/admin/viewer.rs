//! For which client a question is asked: a connected one, or one that states the same of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use serde::Deserialize;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};

use crate::discovery::Snapshot;
use crate::resources::{ClientScope, EncodedResource, Locality, ResourceKind, Slot};
use crate::state::ClientFamily;
use crate::yaml::did_you_mean;

use super::error::Failure;
use super::{Admin, clients};

/// The part of a query that names the client. Without any of it: a gRPC client that states nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ViewerQuery {
    /// A connected client: its node's id, or the number of its stream.
    pub(super) client: Option<String>,
    /// The namespace of a client that need not be connected.
    namespace: Option<String>,
    /// `name=value,name=value`
    #[serde(default)]
    labels: String,
    /// `region/zone/sub_zone`
    locality: Option<String>,
    /// `Grpc`, `MeshTonic` or `Envoy`
    family: Option<ClientFamily>,
}

/// A client, and what is served to it.
#[derive(Debug)]
pub(super) struct Viewer {
    /// The number of its stream, if it is connected.
    pub(super) stream: Option<u64>,
    scope: Arc<ClientScope>,
    pub(super) snapshot: Snapshot,
}

impl Viewer {
    pub(super) fn new(admin: &Admin, query: &ViewerQuery) -> Result<Self, Failure> {
        let (stream, scope) = match &query.client {
            Some(id) => {
                let stream = clients::find(admin, id);
                let found = stream.and_then(|stream| Some((stream, admin.registry.scope(stream)?)));
                let (stream, scope) = found.ok_or_else(|| clients::unknown_client(id))?;
                (Some(stream), scope)
            }
            None => (None, Arc::new(query.scope()?)),
        };
        let snapshot = admin.cache.latest();
        let snapshot = snapshot.ok_or_else(|| {
            Failure::unavailable("the configuration has not been read yet; /readyz says why")
        })?;
        Ok(Self { stream, scope, snapshot })
    }

    /// A resource as this client is served it.
    pub(super) fn resource(&self, kind: ResourceKind, name: &str) -> Option<Arc<EncodedResource>> {
        self.snapshot.set.get_for(Slot::from(kind), name, &self.scope)
    }

    /// Every resource of a kind that this client is served.
    pub(super) fn all(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<EncodedResource>> {
        self.snapshot.set.all_for(Slot::from(kind), &self.scope)
    }

    /// The service and the port that a client calls by a target: `orders`, `orders.shop:8080`, `xds:///orders.shop`.
    pub(super) fn service(&self, target: &str) -> Result<(String, u32), Failure> {
        let name = listener_name(target);
        let listener =
            self.resource(ResourceKind::Listener, name).ok_or_else(|| self.unknown_service(name))?;
        let route = route_name(&listener);
        let found =
            route.as_deref().and_then(ServiceName::parse).map(|name| (name.host.to_owned(), name.port));
        found.ok_or_else(|| Failure::not_found(format!("the listener {name} is not that of a service")))
    }

    /// The error about a target that this client is served nothing for.
    pub(super) fn unknown_service(&self, name: &str) -> Failure {
        let set = &self.snapshot.set;
        if set.get(ResourceKind::Listener, name).is_some() {
            return Failure::not_found(format!(
                "{name} is there for other clients, and not for this one: exportTo of the object that declares it decides"
            ));
        }
        let names: Vec<&str> = self.all(ResourceKind::Listener).map(|one| &*one.name).collect();
        let hint = did_you_mean(name, names);
        Failure::not_found(format!("no service {name} is declared{hint}"))
    }
}

impl ViewerQuery {
    fn scope(&self) -> Result<ClientScope, Failure> {
        let mut labels = BTreeMap::new();
        for item in self.labels.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let pair = item.split_once('=');
            let (name, value) = pair.ok_or_else(|| {
                Failure::bad_request(format!("found {item:?} in labels, expected name=value"))
            })?;
            labels.insert(name.to_owned(), value.to_owned());
        }
        let mut scope = ClientScope {
            namespace: self.namespace.clone().filter(|namespace| !namespace.is_empty()),
            labels,
            locality: self.locality.as_deref().map(Locality::parse).unwrap_or_default(),
            family: self.family.unwrap_or_default(),
            may_ask: None,
        };
        scope.add_topology();
        Ok(scope)
    }
}

/// The listener that a client asks for: the target without its scheme.
pub(super) fn listener_name(target: &str) -> &str {
    target.strip_prefix("xds:").map_or(target, |rest| rest.trim_start_matches('/'))
}

/// The route configuration that the connection manager of a client's listener names.
pub(super) fn route_name(listener: &EncodedResource) -> Option<String> {
    let listener = Listener::decode(listener.bytes.clone()).ok()?;
    let packed = listener.api_listener?.api_listener?;
    match HttpConnectionManager::decode(&packed.value[..]).ok()?.route_specifier? {
        RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
        _ => None,
    }
}

/// The parts of the name of a cluster or a route configuration: `outbound|80|v1|orders.shop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServiceName<'a> {
    pub(super) host: &'a str,
    pub(super) port: u32,
    /// Empty: all endpoints of the port.
    pub(super) subset: &'a str,
}

impl<'a> ServiceName<'a> {
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        // A fifth part names the endpoints of a cluster that clients resolve by DNS.
        let mut parts = name.split('|');
        let (direction, port, subset, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (direction == "outbound").then_some(Self { host, port: port.parse().ok()?, subset })
    }
}
