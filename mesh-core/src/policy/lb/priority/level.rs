//! A priority as configured.

use crate::config::LocalityPolicy;
use crate::policy::lb::locality::WeightedLocalities;
use crate::policy::lb::update::are_same;
use crate::policy::lb::{Balancer, LbEndpoint, LbPriority, leaf};

use super::names::ChildName;
use super::undiscovered::Undiscovered;

/// A priority of the last update, and the name of its balancer.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) name: ChildName,
    pub(super) priority: LbPriority,
}

/// The effect of a changed priority on its balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelChange {
    /// None.
    Nothing,
    /// It gets an update.
    Localities,
    /// The endpoints are known now: another balancer replaces it, and the timers continue.
    Discovered,
    /// The policy has changed: another balancer replaces it, and takes over the connections and the timers.
    Policy,
    /// The connection settings have changed, or the endpoints are no longer known: a new balancer replaces it and makes new
    /// connections.
    Connections,
}

impl Level {
    /// A new balancer, without endpoints.
    pub(super) fn balancer(&self) -> Box<dyn Balancer> {
        let settings = &self.priority.settings;
        match settings.locality_policy {
            _ if !self.priority.is_discovered => Box::new(Undiscovered::default()),
            LocalityPolicy::Weighted => Box::new(WeightedLocalities::new(settings.clone())),
            LocalityPolicy::Flat => leaf(&settings.lb_policy),
        }
    }

    pub(super) fn change_from(&self, before: &Self) -> LevelChange {
        let (now, before) = (&self.priority, &before.priority);
        let is_policy_same = now.settings.lb_policy == before.settings.lb_policy
            && now.settings.locality_policy == before.settings.locality_policy;
        match (before.is_discovered, now.is_discovered) {
            (true, false) => LevelChange::Connections,
            _ if now.settings.connection != before.settings.connection => LevelChange::Connections,
            (false, true) => LevelChange::Discovered,
            _ if !is_policy_same => LevelChange::Policy,
            _ if are_same(&before.localities, &now.localities) => LevelChange::Nothing,
            _ => LevelChange::Localities,
        }
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &LbEndpoint> {
        self.priority.localities.iter().flat_map(|locality| &locality.endpoints)
    }
}
