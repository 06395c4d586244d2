//! The mesh's own calls to the endpoints of a leaf, while they are connected: for load reports apart from calls (gRFC A51, A58), and
//! for their health (gRFC A17).

mod messages;
mod task;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::config::{ClusterSettings, LbPolicy, Name, ReportedWeights};
use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connection;

use super::Slot;
use super::mailbox::Mailbox;

/// The streams to the endpoints of a leaf.
#[derive(Debug)]
pub(super) struct EndpointStreams {
    wanted: Wanted,
    running: HashMap<EndpointId, Running>,
    /// The number of the last stream.
    number: u64,
    /// The settings ask for other streams.
    is_reset: bool,
}

/// What the streams are for.
#[derive(Debug, Clone, PartialEq, Default)]
struct Wanted {
    /// How reports of load become weights.
    weights: Option<ReportedWeights>,
    /// The service whose health is asked for.
    service: Option<Name>,
}

/// The streams of one endpoint; they end when this is dropped.
#[derive(Debug)]
struct Running {
    number: u64,
    _tasks: Vec<AbortOnDrop>,
    health: Health,
}

/// What an endpoint says about its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It has said nothing yet.
    Unknown,
    /// It takes calls, or says nothing about health.
    Serving,
    /// It takes no calls, for this reason.
    NotServing(Arc<str>),
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct AbortOnDrop(pub(super) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EndpointStreams {
    /// For a cluster of these settings, without endpoints.
    pub(super) fn new(settings: &ClusterSettings) -> Self {
        Self { wanted: Wanted::of(settings), running: HashMap::new(), number: 0, is_reset: false }
    }

    /// Sets the cluster's settings. If they ask for other streams, all end.
    pub(super) fn configure(&mut self, settings: &ClusterSettings) {
        let wanted = Wanted::of(settings);
        if wanted != self.wanted {
            self.wanted = wanted;
            self.running.clear();
            self.is_reset = true;
        }
    }

    /// Whether streams are to begin anew, since the last call.
    pub(super) fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.is_reset)
    }

    /// An endpoint is connected. Returns the state that the balancer sees.
    pub(super) fn on_connected<T: Connection>(
        &mut self,
        id: EndpointId,
        slot: &Slot<T>,
        mailbox: &Arc<Mailbox<T>>,
        runtime: &Handle,
    ) -> Connectivity {
        if self.wanted == Wanted::default() {
            return Connectivity::Ready;
        }
        if !self.running.contains_key(&id) {
            self.number += 1;
            let running = self.start(id, slot, mailbox, runtime);
            self.running.insert(id, running);
        }
        self.running.get(&id).map_or(Connectivity::Ready, |running| running.health.connectivity())
    }

    fn start<T: Connection>(
        &self,
        id: EndpointId,
        slot: &Slot<T>,
        mailbox: &Arc<Mailbox<T>>,
        runtime: &Handle,
    ) -> Running {
        let number = self.number;
        let mut tasks = Vec::new();
        let mut spawn = |task: AbortHandle| tasks.push(AbortOnDrop(task));
        if let Some(weights) = &self.wanted.weights {
            let reports = task::follow_reports(slot.target(), slot.load.clone(), weights.clone());
            spawn(runtime.spawn(reports).abort_handle());
        }
        let health = match &self.wanted.service {
            None => Health::Serving,
            Some(service) => {
                let health =
                    task::follow_health(slot.target(), service.clone(), (id, number), mailbox.clone());
                spawn(runtime.spawn(health).abort_handle());
                Health::Unknown
            }
        };
        Running { number, _tasks: tasks, health }
    }

    /// An endpoint is no longer connected.
    pub(super) fn on_disconnected(&mut self, id: EndpointId) {
        self.running.remove(&id);
    }

    /// LB-63: an endpoint has said how it is. Returns the state that the balancer sees; `None`: the stream is an old one.
    pub(super) fn on_health(&mut self, id: EndpointId, number: u64, health: Health) -> Option<Connectivity> {
        let running = self.running.get_mut(&id).filter(|running| running.number == number)?;
        running.health = health;
        Some(running.health.connectivity())
    }
}

impl Wanted {
    fn of(settings: &ClusterSettings) -> Self {
        let policy = settings.lb_policy.innermost();
        let weights = policy.reported_weights().filter(|weights| weights.out_of_band.is_some());
        // A17: pick_first cannot do anything sensible with an endpoint that is connected and not healthy.
        let service =
            settings.service_health.as_ref().filter(|_| !matches!(policy, LbPolicy::PickFirst { .. }));
        Self { weights: weights.cloned(), service: service.cloned() }
    }
}

impl Health {
    fn connectivity(&self) -> Connectivity {
        match self {
            Self::Unknown => Connectivity::Connecting,
            Self::Serving => Connectivity::Ready,
            Self::NotServing(reason) => Connectivity::TransientFailure(reason.clone()),
        }
    }
}
