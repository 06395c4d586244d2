//! [`Graph`]: one target's resources, and the configuration that they make.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mesh_core::config::{MeshConfig, Name};
use mesh_core::runtime::{ConfigState, SourceError};

use crate::protocol::{DataErrors, Outage, Problem, ProblemKind, View, authority};

use super::assemble::ConfigParts;
use super::collection::Joined;
use super::walk::{Outcome, Target, Walk, is_answer};
use super::{ErrorContext, Key, KeyKind};

/// The source of a graph's resources.
pub(crate) trait Resources {
    /// The graph needs this resource from now on. Called once per graph and resource.
    fn watch(&mut self, key: &Key);

    /// The graph does not need it any more.
    fn unwatch(&mut self, key: &Key);

    /// The current view of a watched resource.
    fn view(&self, key: &Key) -> View;

    /// Why this resource's server cannot be reached; `None`: it can.
    fn outage(&self, key: &Key) -> Option<&Outage>;

    /// The URI of this resource's server; `None`: no server is configured for it.
    fn server(&self, key: &Key) -> Option<Name>;

    /// Whether that server's data errors remove resources in use.
    fn data_errors(&self, key: &Key) -> DataErrors;
}

/// One target's resources, and the configuration that they make.
///
/// Report changes with [`on_change`](Self::on_change) and [`on_outage`](Self::on_outage), then call
/// [`settle`](Self::settle) once, then read [`state`](Self::state).
#[derive(Debug)]
pub(crate) struct Graph {
    target: Target,
    watched: HashSet<Key>,
    /// One watched resource of each authority: its server's outage counts for the authority.
    authorities: BTreeMap<Option<String>, Key>,
    missing: HashSet<Key>,
    /// Endpoint sets with the endpoints of their collections, by cluster.
    joined: Joined,
    /// Problems that are reported beside a configuration.
    problems: BTreeMap<Key, Problem>,
    /// The last configuration, whose equal parts are reused.
    last: Option<Arc<MeshConfig>>,
    state: ConfigState,
    dirty: bool,
}

impl Graph {
    /// A graph for the target of this listener, with its data-plane `authority`.
    pub(crate) fn new(listener: &Name, authority: &str, context: ErrorContext) -> Self {
        let listener = Key::new(KeyKind::Listener, listener);
        Self {
            target: Target { listener, authority: authority.to_owned(), context },
            watched: HashSet::new(),
            authorities: BTreeMap::new(),
            missing: HashSet::new(),
            joined: Joined::default(),
            problems: BTreeMap::new(),
            last: None,
            state: ConfigState::default(),
            dirty: true,
        }
    }

    /// The target's current state.
    pub(crate) fn state(&self) -> &ConfigState {
        &self.state
    }

    /// A watched resource has changed.
    pub(crate) fn on_change(&mut self, key: &Key, resources: &impl Resources) {
        if !self.watched.contains(key) {
            return;
        }
        let view = resources.view(key);
        let answered = view.value.as_ref().is_some_and(|value| is_answer(value, !self.in_use()));
        self.note_problem(key, view);
        match (answered, self.missing.contains(key)) {
            (false, true) => {}
            (true, true) => {
                self.missing.remove(key);
                self.dirty |= self.missing.is_empty();
            }
            // The walk after the last missing resource reads the endpoints anyway; the configuration in use needs them at
            // once.
            (true, false) if key.kind.is_endpoints() && !self.missing.is_empty() && !self.in_use() => {}
            (_, false) => self.dirty = true,
        }
    }

    /// The server became unreachable, or reachable.
    pub(crate) fn on_outage(&mut self, resources: &impl Resources) {
        // A missing resource is waited for while a configuration is in use, and is an error otherwise.
        self.dirty |= !self.in_use();
        self.state.ambient = self.ambient(resources);
    }

    /// Walks the graph again, if changes so far require it.
    pub(crate) fn settle(&mut self, resources: &mut impl Resources) {
        if !std::mem::take(&mut self.dirty) {
            self.state.ambient = self.ambient(resources);
            return;
        }
        let in_use = self.in_use();
        let (watched, joined) = (&mut self.watched, &mut self.joined);
        let mut walk = Walk::new(&self.target, resources, watched, joined, !in_use);
        let outcome = walk.run();
        // RT-32: the configuration in use stays until the new one is complete.
        let stays = in_use
            && match &outcome {
                Outcome::Missing => true,
                Outcome::Failed(failure) => !failure.is_final,
                Outcome::Complete(_) => false,
            };
        let refreshed = self.last.as_ref().filter(|_| stays).and_then(|last| walk.refresh(last));
        let Walk { reached, missing, new, .. } = walk;
        self.joined.retain(|name| reached.contains(&Key::new(KeyKind::Endpoints, name)));
        self.missing = missing;
        let watched = self.watched.iter().map(|key| (authority(&key.name).map(str::to_owned), key.clone()));
        self.authorities = watched.collect();
        for key in &new {
            self.note_problem(key, resources.view(key));
        }
        match outcome {
            _ if stays => refreshed.into_iter().for_each(|parts| self.publish(parts)),
            Outcome::Missing => self.state.config = None,
            Outcome::Failed(failure) => {
                self.unwatch_others(&reached, resources);
                self.state.config = Some(Err(failure.error));
            }
            Outcome::Complete(parts) => {
                self.unwatch_others(&reached, resources);
                self.publish(parts);
            }
        }
        self.state.ambient = self.ambient(resources);
    }

    /// Ends all watches; the graph must not be used afterwards.
    pub(crate) fn stop(&mut self, resources: &mut impl Resources) {
        for key in self.watched.drain() {
            resources.unwatch(&key);
        }
    }

    fn in_use(&self) -> bool {
        matches!(self.state.config, Some(Ok(_)))
    }

    /// RT-25: one value, in which every cluster that a route may choose is known.
    fn publish(&mut self, parts: ConfigParts) {
        let config = parts.assemble(self.last.as_ref());
        if let Ok(config) = &config {
            self.last = Some(config.clone());
        }
        let unknown = |error| SourceError::new(format!("{error} ({})", self.target.context));
        self.state.config = Some(config.map_err(unknown));
    }

    fn unwatch_others(&mut self, reached: &HashSet<Key>, resources: &mut impl Resources) {
        let others: Vec<Key> = self.watched.difference(reached).cloned().collect();
        for key in others {
            self.watched.remove(&key);
            self.problems.remove(&key);
            resources.unwatch(&key);
        }
    }

    fn note_problem(&mut self, key: &Key, view: View) {
        // A cluster's own error is in the configuration; a listener's or route's is reported beside the old configuration.
        let error = view.value.and_then(Result::err);
        let error = error.filter(|_| matches!(key.kind, KeyKind::Listener | KeyKind::RouteConfiguration));
        let problem = view.ambient.or(error).filter(|problem| problem.kind != ProblemKind::Unreachable);
        match problem {
            Some(problem) => _ = self.problems.insert(key.clone(), problem),
            None => _ = self.problems.remove(key),
        }
    }

    /// `None` beside an error, whose text already has the reason.
    fn ambient(&self, resources: &impl Resources) -> Option<SourceError> {
        match &self.state.config {
            Some(Err(_)) => None,
            _ => {
                let outage = self.authorities.values().find_map(|key| resources.outage(key));
                self.target.context.ambient(&self.problems, outage)
            }
        }
    }
}
