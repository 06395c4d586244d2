//! The connected clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use xds_proto::envoy::config::core::v3::{Locality, Node, node::UserAgentVersionType};
use xds_proto::google::protobuf::value::Kind;

pub(super) use crate::clock::now;
use crate::connection::{Connection, Identity};
use crate::resources::{ClientScope, EncodedResource, ResourceKind, is_server_listener};

use super::cache::ResourceCache;
use super::config::{ClientConfig, ConfigState, ResourceConfig};
use super::status::{ClientBrief, ClientProcess, ClientStatus, Refusal};
use super::stream::Stream;

/// Every open ADS stream. Clones share the same list.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    clients: Arc<Mutex<BTreeMap<u64, Arc<Client>>>>,
    last_id: Arc<AtomicU64>,
}

/// One open stream.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) connection: Connection,
    connected: Instant,
    pub(super) cache: ResourceCache,
    stream: Mutex<Stream>,
}

/// What a client was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentResource {
    pub(crate) resource: Arc<EncodedResource>,
    pub(crate) state: ConfigState,
    /// Why the client has refused it.
    pub(crate) reason: String,
}

/// Keeps a client in the registry.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Registry,
    pub(super) client: Arc<Client>,
}

impl Registry {
    /// The status of every client, oldest stream first.
    pub fn clients(&self) -> Vec<ClientStatus> {
        let now = now();
        let clients: Vec<_> = self.lock().values().cloned().collect();
        clients.iter().map(|client| client.status(now)).collect()
    }

    /// The same as a summary, without the names of resources.
    pub fn briefs(&self) -> Vec<ClientBrief> {
        let clients: Vec<_> = self.lock().values().cloned().collect();
        clients.iter().map(|client| client.brief()).collect()
    }

    /// The status of one client.
    pub fn client(&self, id: u64) -> Option<ClientStatus> {
        let client = self.lock().get(&id).cloned()?;
        Some(client.status(now()))
    }

    /// What one client has been sent, resource by resource.
    pub fn config(&self, id: u64) -> Option<ClientConfig> {
        let client = self.lock().get(&id).cloned()?;
        let (now, latest) = (now(), client.cache.latest());
        let stream = client.stream();
        let entries = stream.entries(latest.as_ref().map(|latest| &*latest.set));
        Some(ClientConfig {
            id,
            node_id: stream.node().map(|node| node.id.clone()).unwrap_or_default(),
            resources: entries.iter().map(|entry| ResourceConfig::of(now, entry)).collect(),
        })
    }

    /// What clients have refused, by object of the configuration: the refusals of one text about one resource are one.
    pub fn refusals(&self) -> BTreeMap<Arc<str>, Vec<Refusal>> {
        let clients: Vec<_> = self.lock().values().cloned().collect();
        let mut by_object: BTreeMap<Arc<str>, Vec<Refusal>> = BTreeMap::new();
        for client in clients {
            let refused = client.stream().refused();
            let label = if refused.is_empty() { String::new() } else { client.label() };
            for (kind, resource, reason) in refused {
                let refusal = Refusal {
                    r#type: kind.short_name().to_owned(),
                    resource: resource.name.to_string(),
                    reason: reason.to_string(),
                    client: label.clone(),
                    clients: 1,
                };
                for object in resource.made_by.iter() {
                    let of_object = by_object.entry(Arc::clone(object)).or_default();
                    match of_object.iter_mut().find(|known| known.says_the_same(&refusal)) {
                        Some(known) => known.clients += 1,
                        None => of_object.push(refusal.clone()),
                    }
                }
            }
        }
        by_object
    }

    /// The listeners that a server has been sent; `None`: no such client is connected.
    pub(crate) fn server_listeners(&self, id: u64) -> Option<Vec<Arc<EncodedResource>>> {
        let client = self.lock().get(&id).cloned()?;
        let latest = client.cache.latest();
        let entries = client.stream().entries(latest.as_ref().map(|latest| &*latest.set));
        let of_server = entries
            .into_iter()
            .filter(|entry| entry.kind == ResourceKind::Listener && is_server_listener(&entry.name));
        Some(of_server.filter_map(|entry| entry.resource).collect())
    }

    /// What a client states of itself, by which it is served.
    pub(crate) fn scope(&self, id: u64) -> Option<Arc<ClientScope>> {
        let client = self.lock().get(&id).cloned()?;
        let stream = client.stream();
        Some(Arc::clone(stream.scope()))
    }

    /// A resource as a client was sent it last, and whether it accepted it; `None`: it has not been sent.
    pub(crate) fn sent(&self, id: u64, kind: ResourceKind, name: &str) -> Option<SentResource> {
        let client = self.lock().get(&id).cloned()?;
        let latest = client.cache.latest();
        let entries = client.stream().entries(latest.as_ref().map(|latest| &*latest.set));
        let entry = entries.into_iter().find(|entry| entry.kind == kind && *entry.name == *name)?;
        let reason = entry.reason.as_deref().unwrap_or_default().to_owned();
        Some(SentResource { resource: entry.resource?, state: entry.state, reason })
    }

    /// Every open stream, oldest first.
    pub(super) fn open(&self) -> Vec<Arc<Client>> {
        self.lock().values().cloned().collect()
    }

    /// How many streams are open.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn register(
        &self,
        connection: Connection,
        cache: ResourceCache,
        stream: Stream,
    ) -> Registration {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client { id, connection, connected: now(), cache, stream: Mutex::new(stream) });
        self.lock().insert(id, client.clone());
        Registration { registry: self.clone(), client }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.client.id);
    }
}

impl Client {
    /// The protocol state; never held across a wait.
    pub(super) fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the log: the node's id, or the address of a client that has not sent a node yet.
    pub(super) fn label(&self) -> String {
        let stream = self.stream();
        let node = stream.node().map(|node| node.id.as_str()).filter(|id| !id.is_empty());
        node.map_or_else(|| self.peer_text(), str::to_owned)
    }

    fn peer_text(&self) -> String {
        self.connection.peer.map(|peer| peer.to_string()).unwrap_or_default()
    }

    fn brief(&self) -> ClientBrief {
        let stream = self.stream();
        let node_id = stream.node().map(|node| node.id.clone()).unwrap_or_default();
        let latest = self.cache.latest();
        let state = stream.shown_state(latest.as_ref().map(|latest| &*latest.set));
        ClientBrief { id: self.id, node_id, state }
    }

    fn status(&self, now: Instant) -> ClientStatus {
        let stream = self.stream();
        let none = Node::default();
        let node = stream.node().unwrap_or(&none);
        let latest = self.cache.latest();
        let set = latest.as_ref().map(|latest| &*latest.set);
        ClientStatus {
            id: self.id,
            node_id: node.id.clone(),
            node_cluster: node.cluster.clone(),
            locality: node.locality.as_ref().map(locality_text).unwrap_or_default(),
            user_agent: node.user_agent_name.clone(),
            user_agent_version: user_agent_version(node),
            peer: self.peer_text(),
            security: self.connection.security,
            identity: self.connection.identity.as_ref().map(Identity::as_str).unwrap_or_default().to_owned(),
            process: process(node),
            connected_seconds: now.saturating_duration_since(self.connected).as_secs(),
            state: stream.shown_state(set),
            types: stream.status(now, set),
            unknown_types: stream.unknown_types(),
        }
    }
}

/// `PROCESS` of the node's metadata, as our own clients state it.
fn process(node: &Node) -> Option<ClientProcess> {
    let Some(Kind::StructValue(process)) = &node.metadata.as_ref()?.fields.get("PROCESS")?.kind else {
        return None;
    };
    let text = |name: &str| match process.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        _ => String::new(),
    };
    // A string, because numbers of a Struct are floating-point.
    Some(ClientProcess {
        host: text("host"),
        pid: text("pid").parse().unwrap_or(0),
        program: text("program"),
    })
}

fn locality_text(locality: &Locality) -> String {
    format!("{}/{}/{}", locality.region, locality.zone, locality.sub_zone)
}

fn user_agent_version(node: &Node) -> String {
    match &node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentVersion(version)) => version.clone(),
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => build
            .version
            .as_ref()
            .map(|version| format!("{}.{}.{}", version.major_number, version.minor_number, version.patch))
            .unwrap_or_default(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xds_proto::google::protobuf::{Struct, Value};

    fn string(text: &str) -> Value {
        Value { kind: Some(Kind::StringValue(text.to_owned())) }
    }

    fn node(process: Option<Value>) -> Node {
        let fields = process.into_iter().map(|process| ("PROCESS".to_owned(), process)).collect();
        Node { metadata: Some(Struct { fields }), ..Node::default() }
    }

    #[test]
    fn process_is_read_from_the_metadata_of_the_node() {
        let fields = [("host", "web-1"), ("pid", "4711"), ("program", "shop")];
        let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), string(text))).collect();
        let stated = Value { kind: Some(Kind::StructValue(Struct { fields })) };
        let expected = ClientProcess { host: "web-1".to_owned(), pid: 4711, program: "shop".to_owned() };
        assert_eq!(process(&node(Some(stated))), Some(expected));
        assert_eq!(process(&node(Some(string("shop")))), None);
        assert_eq!(process(&node(None)), None);
        let nothing = Value { kind: Some(Kind::StructValue(Struct::default())) };
        assert_eq!(process(&node(Some(nothing))), Some(ClientProcess::default()));
    }
}
