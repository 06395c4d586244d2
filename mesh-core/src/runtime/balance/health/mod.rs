//! The active health checks of a leaf: a connected endpoint takes calls only while its checks succeed.
//!
//! ```text
//!   connected --> checks begin --> first result --> ready, or failed until enough checks succeed
//! ```
//!
//! What is known of an endpoint's health stays while it has no connection; an attempt to connect that fails counts as a failed check.
// LB-64

mod task;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::{ClientTls, ClusterSettings, ConnectionSettings, HealthCheck, Name};
use crate::counters::{Counter, CounterStore, HEALTH_CHECKS};
use crate::policy::health::{CheckResult, Checker, Health};
use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connect;
use crate::runtime::outlier::UnhealthyEndpoint;

use super::endpoints::Endpoints;
use super::mailbox::Mailbox;
use super::streams::AbortOnDrop;
use super::{Pool, Slot};

/// The active health checks of a leaf.
#[derive(Debug)]
pub(super) struct HealthChecks {
    cluster: Name,
    settings: Option<Arc<HealthCheck>>,
    endpoints: HashMap<EndpointId, Checked>,
    counts: Option<CheckCounts>,
    counters: Arc<CounterStore>,
    /// The number of the last task.
    number: u64,
    /// The settings have changed: tasks are to begin anew.
    is_reset: bool,
    /// The list of unhealthy endpoints is out of date.
    is_changed: bool,
}

/// What is known of an endpoint.
#[derive(Debug)]
struct Checked {
    checker: Arc<SharedChecker>,
    /// The running task and its number; `None`: the endpoint is not connected.
    task: Option<(u64, AbortOnDrop)>,
    unhealthy_since: Option<Instant>,
}

/// A checker that the endpoint's task and the cluster's task share.
#[derive(Default)]
struct SharedChecker(Mutex<Checker>);

impl SharedChecker {
    fn lock(&self) -> MutexGuard<'_, Checker> {
        // No code that holds the lock can panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}

/// How many checks ended in which way.
#[derive(Debug, Clone)]
struct CheckCounts {
    good: Counter,
    failed: Counter,
    refused: Counter,
}

impl CheckCounts {
    fn new(cluster: &Name, counters: &CounterStore) -> Self {
        let counter = |result: &str| counters.counter(&HEALTH_CHECKS, [cluster.clone(), result.into()]);
        Self { good: counter("good"), failed: counter("failed"), refused: counter("refused") }
    }

    fn add(&self, result: &CheckResult) {
        match result {
            CheckResult::Good => self.good.increment(),
            CheckResult::Failed(_) => self.failed.increment(),
            CheckResult::Refused(_) => self.refused.increment(),
        }
    }
}

/// What the checks of a leaf's endpoints need of their surroundings.
pub(super) struct Surroundings<'a, C: Connect> {
    pub(super) pool: &'a Arc<Pool<C>>,
    pub(super) mailbox: &'a Arc<Mailbox<C::Connection>>,
    pub(super) connection: &'a Arc<ConnectionSettings>,
    pub(super) tls: Option<&'a Arc<ClientTls>>,
}

impl HealthChecks {
    /// For a cluster of these settings, without endpoints.
    pub(super) fn new(settings: &ClusterSettings, counters: &Arc<CounterStore>) -> Self {
        let mut checks = Self {
            cluster: settings.name.clone(),
            settings: None,
            endpoints: HashMap::new(),
            counts: None,
            counters: counters.clone(),
            number: 0,
            is_reset: false,
            is_changed: false,
        };
        checks.set(settings.health_check.clone());
        checks
    }

    /// Sets the cluster's settings. What is known of its endpoints stays, unless they are checked no more.
    pub(super) fn configure(&mut self, settings: &ClusterSettings) {
        if settings.health_check != self.settings {
            self.set(settings.health_check.clone());
            self.endpoints.values_mut().for_each(|checked| checked.task = None);
            self.is_reset = true;
        }
    }

    fn set(&mut self, settings: Option<Arc<HealthCheck>>) {
        if settings.is_none() {
            self.endpoints.clear();
            self.is_changed = true;
        }
        let counts = || CheckCounts::new(&self.cluster, &self.counters);
        self.counts = settings.is_some().then(counts);
        self.settings = settings;
    }

    /// Whether the checks are to begin anew, since the last call.
    pub(super) fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.is_reset)
    }

    /// An endpoint's connection has changed. Returns the state that the balancer sees.
    pub(super) fn on_connectivity<C: Connect>(
        &mut self,
        id: EndpointId,
        state: Connectivity,
        slot: &Slot<C::Connection>,
        surroundings: &Surroundings<'_, C>,
    ) -> Connectivity {
        let Some(settings) = self.settings.clone() else { return state };
        match state {
            Connectivity::Ready => self.on_connected(id, settings, slot, surroundings),
            Connectivity::TransientFailure(reason) => {
                self.on_unreachable(id, &settings, &reason);
                Connectivity::TransientFailure(reason)
            }
            Connectivity::Idle | Connectivity::Connecting => {
                self.on_disconnected(id);
                state
            }
        }
    }

    fn on_connected<C: Connect>(
        &mut self,
        id: EndpointId,
        settings: Arc<HealthCheck>,
        slot: &Slot<C::Connection>,
        surroundings: &Surroundings<'_, C>,
    ) -> Connectivity {
        let checked = self.endpoints.entry(id).or_insert_with(Checked::new);
        if let (None, Some(counts)) = (&checked.task, &self.counts) {
            self.number += 1;
            let number = self.number;
            let (checker, counts) = (checked.checker.clone(), counts.clone());
            let task = task::CheckTask::new(
                (id, number),
                slot,
                &self.cluster,
                settings,
                checker,
                counts,
                surroundings,
            );
            let handle = surroundings.pool.runtime.spawn(task.run()).abort_handle();
            checked.task = Some((number, AbortOnDrop(handle)));
        }
        connectivity(checked.checker.lock().health())
    }

    fn on_unreachable(&mut self, id: EndpointId, settings: &HealthCheck, reason: &Arc<str>) {
        let checked = self.endpoints.entry(id).or_insert_with(Checked::new);
        checked.task = None;
        let result = CheckResult::Failed(reason.clone());
        if let Some(counts) = &self.counts {
            counts.add(&result);
        }
        checked.checker.lock().on_result(settings, result);
        self.is_changed = true;
    }

    /// An endpoint has no connection: its checks pause.
    pub(super) fn on_disconnected(&mut self, id: EndpointId) {
        if let Some(checked) = self.endpoints.get_mut(&id) {
            checked.task = None;
        }
    }

    /// An endpoint was removed.
    pub(super) fn remove(&mut self, id: EndpointId) {
        self.is_changed |= self.endpoints.remove(&id).is_some();
    }

    /// The task of this number has something new. Returns the state that the balancer sees; `None`: the task is an old one.
    pub(super) fn on_checked(&mut self, id: EndpointId, number: u64) -> Option<Connectivity> {
        let checked = self.endpoints.get(&id)?;
        checked.task.as_ref().filter(|(running, _)| *running == number)?;
        self.is_changed = true;
        Some(connectivity(checked.checker.lock().health()))
    }

    /// Writes changes to the log, and returns the unhealthy endpoints if they have changed.
    pub(super) fn take_changes<C: Connect>(
        &mut self,
        now: Instant,
        endpoints: &Endpoints<C>,
    ) -> Option<Vec<UnhealthyEndpoint>> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let cluster = &self.cluster;
        let mut unhealthy = Vec::new();
        for (id, checked) in &mut self.endpoints {
            let Some(addresses) = endpoints.addresses(*id) else { continue };
            let checker = checked.checker.lock();
            match (checker.health(), checked.unhealthy_since) {
                (Health::Unhealthy(reason), since) => {
                    if since.is_none() {
                        tracing::warn!(%cluster, endpoint = %addresses.first(), %reason, "unhealthy");
                    }
                    let since = *checked.unhealthy_since.get_or_insert(now);
                    unhealthy.push(UnhealthyEndpoint::new(
                        cluster.clone(),
                        addresses.clone(),
                        since,
                        reason.clone(),
                    ));
                }
                (_, Some(_)) => {
                    checked.unhealthy_since = None;
                    tracing::info!(%cluster, endpoint = %addresses.first(), "healthy again");
                }
                (_, None) => {}
            }
        }
        Some(unhealthy)
    }
}

impl Checked {
    fn new() -> Self {
        Self { checker: Arc::default(), task: None, unhealthy_since: None }
    }
}

fn connectivity(health: &Health) -> Connectivity {
    match health {
        Health::Unknown => Connectivity::Connecting,
        Health::Healthy => Connectivity::Ready,
        Health::Unhealthy(reason) => {
            Connectivity::TransientFailure(format!("its health check fails: {reason}").into())
        }
    }
}
