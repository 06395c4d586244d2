//! [`ServerGraph`]: one server's resources, and the configuration that they make (gRFC A36).
//!
//! ```text
//! listener ──▶ route configurations that its filter chains name
//! ```
//!
//! A listener takes effect when each of its route configurations is there or known to be in error; until then the one
//! before it stays, and its routes are kept up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use mesh_core::config::{Name, ResourceError, ServerConfig, ServerListener, ServerRouteSource, ServerRoutes};
use mesh_core::runtime::{ServerConfigState, SourceError};

use crate::protocol::{DataErrors, Problem, ProblemKind};
use crate::resource::{AnyResource, Listener, RouteConfiguration};

use super::text::wrong_type;
use super::walk::is_answer;
use super::{ErrorContext, Key, KeyKind, Resources};

/// One server's resources, and the configuration that they make. Driven as a [`Graph`](super::Graph) is.
#[derive(Debug)]
pub(crate) struct ServerGraph {
    listener: Key,
    context: ErrorContext,
    watched: HashSet<Key>,
    problems: BTreeMap<Key, Problem>,
    /// Routes by name, with the resource that they were made of.
    routes: HashMap<Name, (Arc<RouteConfiguration>, Arc<ServerRoutes>)>,
    state: ServerConfigState,
    dirty: bool,
}

/// The answers to the route configurations that a listener names.
type Answers = HashMap<Name, Result<Arc<ServerRoutes>, ResourceError>>;

impl ServerGraph {
    /// A graph for the server of this listener.
    pub(crate) fn new(listener: &Name, context: ErrorContext) -> Self {
        Self {
            listener: Key::new(KeyKind::Listener, listener),
            context,
            watched: HashSet::new(),
            problems: BTreeMap::new(),
            routes: HashMap::new(),
            state: ServerConfigState::default(),
            dirty: true,
        }
    }

    /// The server's current state.
    pub(crate) fn state(&self) -> &ServerConfigState {
        &self.state
    }

    /// A watched resource has changed.
    pub(crate) fn on_change(&mut self, key: &Key) {
        self.dirty |= self.watched.contains(key);
    }

    /// The control server became unreachable, or reachable.
    pub(crate) fn on_outage(&mut self) {
        self.dirty = true;
    }

    /// Reads the resources again, if changes so far require it.
    pub(crate) fn settle(&mut self, resources: &mut impl Resources) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let listener = self.listener.clone();
        let found = self.visit::<Listener>(&listener, resources);
        match found {
            None => self.refresh(resources),
            // SV-06: what is in use stays, unless the bootstrap drops resources on data errors of their server
            Some(Err(_)) if self.in_use() && resources.data_errors(&listener) != DataErrors::Fail => {
                self.refresh(resources);
            }
            // SV-05
            Some(Err(problem)) => {
                let error = self.of(&listener, resources).source_error(
                    &listener,
                    &problem,
                    resources.outage(&listener),
                );
                self.fail(error, resources);
            }
            Some(Ok(found)) => match &*found {
                Listener::Api(_) => {
                    let reason = "is for clients: it has an api_listener";
                    let text = self.of(&listener, resources).text(&listener, reason);
                    self.fail(SourceError::new(text), resources);
                }
                Listener::Socket(socket) => self.take(&socket.listener, resources),
            },
        }
        self.state.ambient = match &self.state.config {
            Some(Err(_)) => None,
            _ => self.context.ambient(&self.problems, resources.outage(&listener)),
        };
    }

    /// Ends all watches; the graph must not be used afterwards.
    pub(crate) fn stop(&mut self, resources: &mut impl Resources) {
        for key in self.watched.drain() {
            resources.unwatch(&key);
        }
    }

    /// SV-09: the listener takes effect once its routes have resolved or failed.
    fn take(&mut self, listener: &Arc<ServerListener>, resources: &mut impl Resources) {
        let names = named(listener);
        match self.answers(&names, resources) {
            Some(answers) => {
                let names = names.iter().map(|name| Key::new(KeyKind::RouteConfiguration, name));
                let keep: HashSet<Key> = names.chain([self.listener.clone()]).collect();
                self.unwatch_others(&keep, resources);
                self.publish(listener.clone(), answers);
            }
            None => self.refresh(resources),
        }
    }

    /// The listener in use, with its routes as they are now; a route configuration whose answer is missing stays.
    fn refresh(&mut self, resources: &mut impl Resources) {
        let Some(Ok(config)) = self.state.config.clone() else { return };
        let mut routes = config.routes().clone();
        for (name, kept) in &mut routes {
            let key = Key::new(KeyKind::RouteConfiguration, name);
            if let Some(answer) = self.route(&key, name, resources) {
                *kept = answer;
            }
        }
        self.publish(config.listener().clone(), routes);
    }

    /// The answers to these names; `None`: one is missing.
    fn answers(&mut self, names: &BTreeSet<Name>, resources: &mut impl Resources) -> Option<Answers> {
        let mut answers = Answers::new();
        // all are watched, also after one that is missing
        for name in names {
            let key = Key::new(KeyKind::RouteConfiguration, name);
            if let Some(answer) = self.route(&key, name, resources) {
                answers.insert(name.clone(), answer);
            }
        }
        (answers.len() == names.len()).then_some(answers)
    }

    fn route(
        &mut self,
        key: &Key,
        name: &Name,
        resources: &mut impl Resources,
    ) -> Option<Result<Arc<ServerRoutes>, ResourceError>> {
        let found = self.visit::<RouteConfiguration>(key, resources)?;
        Some(match found {
            Ok(found) => {
                let known = self.routes.get(name).filter(|(of, _)| Arc::ptr_eq(of, &found));
                let routes = match known {
                    Some((_, routes)) => routes.clone(),
                    None => Arc::new(found.for_servers()),
                };
                self.routes.insert(name.clone(), (found, routes.clone()));
                Ok(routes)
            }
            // SV-18
            Err(problem) => Err(self.of(key, resources).resource_error(key, &problem)),
        })
    }

    fn publish(&mut self, listener: Arc<ServerListener>, routes: Answers) {
        if let Some(Ok(last)) = &self.state.config {
            let same_listener = Arc::ptr_eq(last.listener(), &listener) || **last.listener() == *listener;
            if same_listener && *last.routes() == routes {
                return;
            }
        }
        self.routes.retain(|name, _| routes.contains_key(name));
        let config = ServerConfig::new(listener, routes).map(Arc::new);
        self.state.config =
            Some(config.map_err(|error| SourceError::new(format!("{error} ({})", self.context))));
    }

    fn fail(&mut self, error: SourceError, resources: &mut impl Resources) {
        let listener = HashSet::from([self.listener.clone()]);
        self.unwatch_others(&listener, resources);
        self.state.config = Some(Err(error));
    }

    fn unwatch_others(&mut self, keep: &HashSet<Key>, resources: &mut impl Resources) {
        let others: Vec<Key> = self.watched.difference(keep).cloned().collect();
        for key in others {
            self.watched.remove(&key);
            self.problems.remove(&key);
            resources.unwatch(&key);
        }
    }

    /// Watches a resource and reads it; `None`: it is missing, or its server cannot be reached while a configuration is in
    /// use (SV-06).
    fn visit<T: Send + Sync + 'static>(
        &mut self,
        key: &Key,
        resources: &mut impl Resources,
    ) -> Option<Result<Arc<T>, Problem>> {
        if self.watched.insert(key.clone()) {
            resources.watch(key);
        }
        let view = resources.view(key);
        match view.ambient.filter(|problem| problem.kind != ProblemKind::Unreachable) {
            Some(problem) => _ = self.problems.insert(key.clone(), problem),
            None => _ = self.problems.remove(key),
        }
        let in_use = self.in_use();
        let value: Option<Result<AnyResource, Problem>> = view.value;
        let value = value.filter(|value| is_answer(value, !in_use));
        value.map(|value| value.and_then(|any| any.downcast().map_err(|_| wrong_type(key.kind))))
    }

    fn in_use(&self) -> bool {
        matches!(self.state.config, Some(Ok(_)))
    }

    /// Server and node of this resource, for texts.
    fn of(&self, key: &Key, resources: &impl Resources) -> ErrorContext {
        let ErrorContext { server, node } = &self.context;
        ErrorContext { server: resources.server(key).unwrap_or_else(|| server.clone()), node: node.clone() }
    }
}

/// The route configurations that filter chains of a listener name.
fn named(listener: &ServerListener) -> BTreeSet<Name> {
    let routes = listener.all_chains().map(|chain| &chain.http.routes);
    let names = routes.filter_map(|routes| match routes {
        ServerRouteSource::Named(name) => Some(name.clone()),
        ServerRouteSource::Inline(_) => None,
    });
    names.collect()
}
