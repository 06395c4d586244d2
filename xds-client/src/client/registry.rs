//! The handles' part of the client: the watched targets, and the number of watches of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use mesh_core::config::Name;
use mesh_core::runtime::{ConfigState, ConfigWatch, ServerConfigState, ServerConfigWatch, Target};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::{ClientInner, lock};
use crate::protocol::View;
use crate::resource::ResourceType;

/// Identifies a target from its first watch to its last.
pub(super) type TargetId = u64;

/// From the handles to the worker, over an unbounded channel: commands come only from watches, and no handle waits.
#[derive(Debug)]
pub(super) enum Command {
    Watch {
        id: TargetId,
        listener: Name,
        authority: String,
        states: watch::Sender<ConfigState>,
    },
    /// The configuration of a server.
    WatchServer {
        id: TargetId,
        listener: Name,
        states: watch::Sender<ServerConfigState>,
    },
    Unwatch {
        id: TargetId,
    },
    /// A resource of any type, for a user of the library.
    WatchResource {
        id: TargetId,
        resource_type: Arc<dyn ResourceType>,
        name: Name,
        views: watch::Sender<View>,
    },
    UnwatchResource {
        id: TargetId,
    },
}

/// The watched targets, and the channel to the worker that serves them.
///
/// The worker holds the receiver of the commands and no sender, so that it ends when the registry does.
pub(super) struct WatchRegistry {
    commands: mpsc::UnboundedSender<Command>,
    runtime: Handle,
    targets: Mutex<Targets>,
}

struct Targets {
    known: HashMap<Target, WatchedTarget>,
    next_id: TargetId,
    /// Until the first watch.
    worker: Option<BoxFuture<'static, ()>>,
}

struct WatchedTarget {
    id: TargetId,
    states: watch::Receiver<ConfigState>,
    watches: usize,
}

impl WatchRegistry {
    pub(super) fn new(
        commands: mpsc::UnboundedSender<Command>,
        runtime: Handle,
        worker: BoxFuture<'static, ()>,
    ) -> Self {
        let targets = Targets { known: HashMap::new(), next_id: 0, worker: Some(worker) };
        Self { commands, runtime, targets: Mutex::new(targets) }
    }

    /// Whether there is, or still can be, a worker.
    pub(super) fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }

    pub(super) fn watch(&self, inner: &Arc<ClientInner>, target: &Target, listener: &Name) -> ConfigWatch {
        let mut targets = lock(&self.targets);
        self.begin(&mut targets);
        let Targets { known, next_id, .. } = &mut *targets;
        let known = match known.entry(target.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let (sender, states) = watch::channel(ConfigState::default());
                let id = *next_id;
                *next_id += 1;
                let (listener, authority) = (listener.clone(), target.authority.clone());
                // A worker that has ended has dropped its receiver: the watch reports it.
                _ = self.commands.send(Command::Watch { id, listener, authority, states: sender });
                entry.insert(WatchedTarget { id, states, watches: 0 })
            }
        };
        known.watches += 1;
        let mut states = known.states.clone();
        states.mark_changed();
        ConfigWatch::new(states, Guard { inner: inner.clone(), target: target.clone() })
    }

    /// Watches the configuration of a server, whose listener has this name.
    pub(super) fn watch_server(&self, inner: &Arc<ClientInner>, listener: Name) -> ServerConfigWatch {
        let mut targets = lock(&self.targets);
        self.begin(&mut targets);
        let id = targets.next_id;
        targets.next_id += 1;
        let (sender, states) = watch::channel(ServerConfigState::default());
        _ = self.commands.send(Command::WatchServer { id, listener, states: sender });
        ServerConfigWatch::new(states, ServerGuard { inner: inner.clone(), id })
    }

    /// Watches one resource, also if it is watched already.
    pub(super) fn watch_resource(
        &self,
        inner: &Arc<ClientInner>,
        resource_type: Arc<dyn ResourceType>,
        name: Name,
    ) -> (watch::Receiver<View>, ResourceGuard) {
        let mut targets = lock(&self.targets);
        self.begin(&mut targets);
        let id = targets.next_id;
        targets.next_id += 1;
        let (views, seen) = watch::channel(View::default());
        _ = self.commands.send(Command::WatchResource { id, resource_type, name, views });
        (seen, ResourceGuard { inner: inner.clone(), id })
    }

    fn begin(&self, targets: &mut Targets) {
        if let Some(worker) = targets.worker.take() {
            self.runtime.spawn(worker);
        }
    }

    fn unwatch(&self, target: &Target) {
        let mut targets = lock(&self.targets);
        let Some(known) = targets.known.get_mut(target) else { return };
        known.watches -= 1;
        if known.watches == 0 {
            let id = known.id;
            targets.known.remove(target);
            _ = self.commands.send(Command::Unwatch { id });
        }
    }
}

impl fmt::Debug for WatchRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchRegistry").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

/// One watch; keeps the client alive.
struct Guard {
    inner: Arc<ClientInner>,
    target: Target,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.inner.registry.unwatch(&self.target);
    }
}

/// One watch of a server's configuration; keeps the client alive.
struct ServerGuard {
    inner: Arc<ClientInner>,
    id: TargetId,
}

impl Drop for ServerGuard {
    fn drop(&mut self) {
        _ = self.inner.registry.commands.send(Command::Unwatch { id: self.id });
    }
}

/// One watch of a single resource; keeps the client alive.
pub(super) struct ResourceGuard {
    inner: Arc<ClientInner>,
    id: TargetId,
}

impl Drop for ResourceGuard {
    fn drop(&mut self) {
        _ = self.inner.registry.commands.send(Command::UnwatchResource { id: self.id });
    }
}
