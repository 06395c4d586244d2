//! The task that checks one connected endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{CheckConnection, EndpointAddresses, EndpointCheck, HealthCheck, Name};
use crate::policy::health::{CheckResult, Traffic, first_pause};
use crate::policy::lb::{EndpointId, EndpointLoad};
use crate::runtime::balance::mailbox::{Event, Mailbox};
use crate::runtime::balance::slot::StreamTarget;
use crate::runtime::balance::{Pool, Slot};
use crate::runtime::circuit_breaker::ClusterLoad;
use crate::runtime::connect::Connect;
use crate::runtime::health::{ProbeTarget, probe, shares_connections};

use super::{CheckCounts, SharedChecker, Surroundings};

/// Checks one endpoint while it is connected.
pub(super) struct CheckTask<C: Connect> {
    id: EndpointId,
    number: u64,
    settings: Arc<HealthCheck>,
    checker: Arc<SharedChecker>,
    counts: CheckCounts,
    cluster: Arc<ClusterLoad>,
    load: Arc<EndpointLoad>,
    connections: StreamTarget<C::Connection>,
    addresses: EndpointAddresses,
    target: ProbeTarget,
    pool: Arc<Pool<C>>,
    mailbox: Arc<Mailbox<C::Connection>>,
}

impl<C: Connect> CheckTask<C> {
    pub(super) fn new(
        (id, number): (EndpointId, u64),
        slot: &Slot<C::Connection>,
        cluster: &Name,
        settings: Arc<HealthCheck>,
        checker: Arc<SharedChecker>,
        counts: CheckCounts,
        surroundings: &Surroundings<'_, C>,
    ) -> Self {
        let target = ProbeTarget {
            addresses: Vec::new(),
            hostname: slot.hostname.clone(),
            tls: surroundings.tls.cloned(),
            connection: surroundings.connection.clone(),
            proxy: None,
            host: cluster.clone(),
            own_host: None,
        };
        Self {
            id,
            number,
            settings,
            checker,
            counts,
            cluster: slot.accounting.load.clone(),
            load: slot.load.clone(),
            connections: slot.target(),
            addresses: slot.addresses.clone(),
            target,
            pool: surroundings.pool.clone(),
            mailbox: surroundings.mailbox.clone(),
        }
    }

    pub(super) async fn run(mut self) {
        if *self.checker.lock().health() == crate::policy::health::Health::Unknown {
            let pause = first_pause(&self.settings, &mut rand::rng());
            tokio::time::sleep(pause).await;
        }
        loop {
            let result = self.check().await;
            self.counts.add(&result);
            let is_good = result == CheckResult::Good;
            let (is_changed, mut pause) = {
                let mut checker = self.checker.lock();
                let is_changed = checker.on_result(&self.settings, result).is_some();
                (is_changed, checker.pause(&self.settings, &mut rand::rng()))
            };
            // LB-62: a good check ends an ejection.
            if is_changed || (is_good && self.load.outcomes.is_ejected()) {
                self.mailbox.push(Event::Checked(self.id, self.number));
            }
            while let Some(part) = pause.next(self.traffic()) {
                tokio::time::sleep(part).await;
            }
        }
    }

    fn traffic(&self) -> Traffic {
        if self.cluster.is_used() { Traffic::Some } else { Traffic::None }
    }

    async fn check(&mut self) -> CheckResult {
        let details = self.connections.details();
        let through_proxies = self.target.connection.through_proxies;
        self.target.proxy = details.as_ref().and_then(|details| details.proxy).filter(|_| through_proxies);
        let own = details.and_then(|details| details.health_check.clone()).unwrap_or_default();
        if own.is_disabled {
            return CheckResult::Good;
        }
        let is_elsewhere = own.address.is_some() || own.port.is_some();
        self.target.addresses = self.addresses_of(&own);
        self.target.own_host = own.hostname;
        let may_share = self.settings.connection == CheckConnection::Reused
            && !is_elsewhere
            && shares_connections(&self.settings.probe);
        // A connection that is full says nothing about health: then the check makes its own.
        let place = if may_share { self.connections.reserve_now() } else { None };
        let asked = probe(&self.settings.probe, &self.target, place, &*self.pool.connector);
        match tokio::time::timeout(self.settings.timeout, asked).await {
            Ok(result) => result,
            Err(_) => CheckResult::Failed(format!("no answer within {:?}", self.settings.timeout).into()),
        }
    }

    fn addresses_of(&self, own: &EndpointCheck) -> Vec<SocketAddr> {
        let at = |address: &SocketAddr| {
            let ip = own.address.unwrap_or_else(|| address.ip());
            SocketAddr::new(ip, own.port.unwrap_or_else(|| address.port()))
        };
        let mut addresses: Vec<_> = self.addresses.as_slice().iter().map(at).collect();
        addresses.dedup();
        addresses
    }
}
