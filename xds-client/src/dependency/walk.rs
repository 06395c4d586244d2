//! One walk from the listener down: finds the needed and the missing resources, and the configuration if none is missing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mesh_core::config::{Cluster, Discovery, EndpointSet, Endpoints, Name};
use mesh_core::runtime::SourceError;

use crate::protocol::{DataErrors, Problem, ProblemKind};
use crate::resource::{
    AnyResource, ApiListener, Cluster as ClusterResource, ClusterDiscovery, ClusterLoadAssignment,
    EndpointCollection, Listener, RouteConfiguration, RouteSource,
};

use super::aggregate::MAX_DEPTH;
use super::assemble::ConfigParts;
use super::collection::Joined;
use super::resolve::{Found, cluster_names, resolve};
use super::text::wrong_type;
use super::{ErrorContext, Key, KeyKind, Resources, virtual_host};

/// The parts of a target that a walk needs.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) listener: Key,
    /// The data-plane authority (RT-04).
    pub(super) authority: String,
    pub(super) context: ErrorContext,
}

/// The result of a walk.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A resource is missing.
    Missing,
    /// There is no configuration.
    Failed(Failure),
    /// All resources are present.
    Complete(ConfigParts),
}

/// Why there is no configuration.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: SourceError,
    /// The configuration in use ends too: the resources say that this target has no routes, or the bootstrap drops
    /// resources on data errors of their server. Otherwise it stays in use (RT-31, RT-32).
    pub(super) is_final: bool,
}

/// A walk in progress.
pub(super) struct Walk<'a, R> {
    pub(super) target: &'a Target,
    resources: &'a mut R,
    watched: &'a mut HashSet<Key>,
    joined: &'a mut Joined,
    /// Whether an unreachable server is an error: only while no configuration is in use.
    unreachable_is_error: bool,
    pub(super) reached: HashSet<Key>,
    pub(super) missing: HashSet<Key>,
    /// Resources that were reached for the first time.
    pub(super) new: Vec<Key>,
}

impl<'a, R: Resources> Walk<'a, R> {
    pub(super) fn new(
        target: &'a Target,
        resources: &'a mut R,
        watched: &'a mut HashSet<Key>,
        joined: &'a mut Joined,
        unreachable_is_error: bool,
    ) -> Self {
        let (reached, missing) = (HashSet::new(), HashSet::new());
        Self { target, resources, watched, joined, unreachable_is_error, reached, missing, new: Vec::new() }
    }

    pub(super) fn run(&mut self) -> Outcome {
        let listener = match self.routes() {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Missing,
            Err(failure) => return Outcome::Failed(failure),
        };
        let (api, routes) = listener;
        let Some(host) = virtual_host::best(&routes.virtual_hosts, &self.target.authority).cloned() else {
            return Outcome::Failed(self.no_virtual_host());
        };
        let roots = cluster_names(&host);
        let found = self.clusters(&roots);
        if !self.missing.is_empty() {
            return Outcome::Missing;
        }
        Outcome::Complete(ConfigParts {
            virtual_host: host,
            clusters: resolve(self.target, roots, &found),
            max_stream_duration: api.max_stream_duration,
            filters: api.filters,
            headers: routes.headers.clone(),
            header_order: routes.header_order,
        })
    }

    /// The listener and its routes; `None` if one of them is missing.
    fn routes(&mut self) -> Result<Option<(ApiListener, Arc<RouteConfiguration>)>, Failure> {
        let listener = self.target.listener.clone();
        let Some(value) = self.visit::<Listener>(&listener) else { return Ok(None) };
        let value = value.map_err(|problem| self.failure(&listener, &problem))?;
        let api = match &*value {
            Listener::Api(api) => api.clone(),
            // RT-31
            Listener::Socket(_) => return Err(self.not_for_clients()),
        };
        let routes = match &api.routes {
            RouteSource::Inline(routes) => routes.clone(),
            RouteSource::Rds(name) => {
                let key = Key::new(KeyKind::RouteConfiguration, name);
                let Some(value) = self.visit::<RouteConfiguration>(&key) else { return Ok(None) };
                value.map_err(|problem| self.failure(&key, &problem))?
            }
        };
        Ok(Some((api, routes)))
    }

    /// Every cluster that `roots` lead to, level by level, and no deeper than an aggregate may be.
    pub(super) fn clusters(&mut self, roots: &[Name]) -> HashMap<Name, Found> {
        let mut found = HashMap::new();
        let mut level = roots.to_vec();
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for name in level {
                if found.contains_key(&name) {
                    continue;
                }
                let cluster = self.cluster(&name);
                if let Found::Aggregate(_, children) = &cluster {
                    next.extend(children.iter().cloned());
                }
                found.insert(name, cluster);
            }
            level = next;
        }
        found
    }

    fn cluster(&mut self, name: &Name) -> Found {
        let key = Key::new(KeyKind::Cluster, name);
        let Some(value) = self.visit::<ClusterResource>(&key) else { return Found::Missing };
        let cluster = match value {
            Ok(cluster) => cluster,
            // RT-31: stays with the cluster.
            Err(problem) => return Found::Error(self.context(&key).resource_error(&key, &problem)),
        };
        let settings = cluster.settings.clone();
        let discovery = match &cluster.discovery {
            ClusterDiscovery::Aggregate(children) => return Found::Aggregate(settings, children.clone()),
            ClusterDiscovery::LogicalDns { host, port } => {
                Discovery::LogicalDns { host: host.clone(), port: *port }
            }
            ClusterDiscovery::Eds => {
                let key = Key::new(KeyKind::Endpoints, &settings.service_name);
                let Some(value) = self.visit::<ClusterLoadAssignment>(&key) else { return Found::Missing };
                match value {
                    Ok(assignment) => match self.endpoints(&key.name, &assignment) {
                        Some(endpoints) => Discovery::Endpoints(Ok(endpoints)),
                        None => return Found::Missing,
                    },
                    Err(problem) => {
                        Discovery::Endpoints(Err(self.context(&key).resource_error(&key, &problem)))
                    }
                }
            }
        };
        Found::Leaf(Cluster::new(settings, discovery))
    }

    /// The endpoints of an assignment and of the collections that it refers to; `None` if one is missing.
    fn endpoints(
        &mut self,
        name: &Name,
        assignment: &Arc<ClusterLoadAssignment>,
    ) -> Option<Arc<EndpointSet>> {
        if assignment.collections.is_empty() {
            self.joined.forget(name);
            return Some(assignment.set.clone());
        }
        let mut lists = Vec::with_capacity(assignment.collections.len());
        let mut complete = true;
        for collection in &assignment.collections {
            let kind = if collection.is_glob() { KeyKind::EndpointCollection } else { KeyKind::EndpointList };
            let list = match kind {
                KeyKind::EndpointList => {
                    let list = self.visit::<EndpointCollection>(&Key::new(kind, &collection.name));
                    list.map(|list| list.map(|list| list.endpoints.clone()))
                }
                _ => {
                    let list = self.visit::<Endpoints>(&Key::new(kind, &collection.name));
                    list.map(|list| list.map(|list| (*list).clone()))
                }
            };
            complete &= list.is_some();
            // A locality whose endpoints are in error has none (EDS-16); the problem is reported beside the configuration.
            lists.push(list.and_then(Result::ok).unwrap_or_default());
        }
        complete.then(|| self.joined.join(name, assignment, lists))
    }

    /// Server and node of this resource, for texts.
    fn context(&self, key: &Key) -> ErrorContext {
        let ErrorContext { server, node } = &self.target.context;
        ErrorContext {
            server: self.resources.server(key).unwrap_or_else(|| server.clone()),
            node: node.clone(),
        }
    }

    /// Watches a resource and reads it; `None` if it is missing.
    fn visit<T: Send + Sync + 'static>(&mut self, key: &Key) -> Option<Result<Arc<T>, Problem>> {
        if !self.watched.contains(key) {
            self.watched.insert(key.clone());
            self.resources.watch(key);
            self.new.push(key.clone());
        }
        self.reached.insert(key.clone());
        let value =
            self.resources.view(key).value.filter(|value| is_answer(value, self.unreachable_is_error));
        if value.is_none() {
            self.missing.insert(key.clone());
        }
        value.map(|value| value.and_then(|any| any.downcast().map_err(|_| wrong_type(key.kind))))
    }

    fn failure(&self, key: &Key, problem: &Problem) -> Failure {
        let error = self.context(key).source_error(key, problem, self.resources.outage(key));
        Failure { error, is_final: self.resources.data_errors(key) == DataErrors::Fail }
    }

    fn not_for_clients(&self) -> Failure {
        let listener = &self.target.listener;
        let text = self.context(listener).text(listener, "is for servers: it has no api_listener");
        Failure { error: SourceError::new(text), is_final: true }
    }

    // RT-05
    fn no_virtual_host(&self) -> Failure {
        let reason = format!("no virtual host serves {:?}", self.target.authority);
        let text = self.context(&self.target.listener).text(&self.target.listener, &reason);
        Failure { error: SourceError::new(text), is_final: true }
    }
}

/// Whether a view's value is final for this walk.
pub(super) fn is_answer(value: &Result<AnyResource, Problem>, unreachable_is_error: bool) -> bool {
    match value {
        Err(problem) => problem.kind != ProblemKind::Unreachable || unreachable_is_error,
        Ok(_) => true,
    }
}
