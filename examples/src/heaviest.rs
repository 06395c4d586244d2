//! A load-balancing policy of a user: all calls go to the endpoint of the greatest weight that is connected.
//!
//! The policy is a [`Balancer`]: a state machine that is told of endpoints and of their connections, and hands out pickers. A mesh gets
//! it by [`LbPolicy::Custom`](mesh_core::config::LbPolicy), or, from a control plane, by [`HeaviestType`] in the options of the xDS client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use mesh_core::policy::lb::{
    Balancer, Command, Connectivity, CustomPolicy, EndpointId, LbUpdate, Pick, PickContext, Picker,
};
use rand::Rng;
use xds_client::resource::{ExtensionError, ExtensionPayload, LbPolicyType};

/// Connects every endpoint, and sends all calls to the ready one of the greatest weight.
#[derive(Debug, Default)]
pub struct Heaviest {
    /// Lighter endpoints are not used.
    least: u32,
    endpoints: BTreeMap<EndpointId, (u32, Connectivity)>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

impl Heaviest {
    /// The policy, which uses endpoints of at least this weight.
    pub fn policy(least: u32) -> CustomPolicy {
        CustomPolicy::configured("heaviest", least, |least| Self { least: *least, ..Self::default() })
    }

    fn best(&self) -> Option<EndpointId> {
        let ready = self.endpoints.iter().filter(|(_, (_, state))| matches!(state, Connectivity::Ready));
        ready.max_by_key(|(_, (weight, _))| *weight).map(|(id, _)| *id)
    }
}

impl Balancer for Heaviest {
    fn update(&mut self, _: Instant, update: LbUpdate, _: &mut dyn Rng) {
        let before = std::mem::take(&mut self.endpoints);
        for endpoint in update.into_localities().iter().flat_map(|locality| &locality.endpoints) {
            if endpoint.weight < self.least {
                continue;
            }
            let state = before.get(&endpoint.id).map(|(_, state)| state.clone());
            if state.is_none() {
                self.commands.push_back(Command::Connect(endpoint.id));
            }
            self.endpoints.insert(endpoint.id, (endpoint.weight, state.unwrap_or(Connectivity::Idle)));
        }
        self.is_changed = true;
    }

    fn on_connectivity(&mut self, _: Instant, id: EndpointId, state: Connectivity, _: &mut dyn Rng) {
        let Some((_, known)) = self.endpoints.get_mut(&id) else { return };
        if matches!(state, Connectivity::Idle) {
            self.commands.push_back(Command::Connect(id));
        }
        *known = state;
        self.is_changed = true;
    }

    fn exit_idle(&mut self, _: Instant, _: &mut dyn Rng) {}

    fn connectivity(&self) -> Connectivity {
        if self.best().is_some() { Connectivity::Ready } else { Connectivity::Connecting }
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _: Instant, _: &mut dyn Rng) {}

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        let is_changed = std::mem::take(&mut self.is_changed);
        is_changed.then(|| (self.connectivity(), Arc::new(Only(self.best())) as _))
    }
}

/// Picks one endpoint, or lets calls wait.
#[derive(Debug)]
struct Only(Option<EndpointId>);

impl Picker for Only {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        self.0.map_or(Pick::Wait(None), Pick::Endpoint)
    }
}

/// The policy as a control plane configures it: a `TypedStruct` of the type `mesh.examples.Heaviest`, with the field `least`.
#[derive(Debug, Clone, Copy)]
pub struct HeaviestType;

impl LbPolicyType for HeaviestType {
    fn type_name(&self) -> &str {
        "mesh.examples.Heaviest"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<CustomPolicy, ExtensionError> {
        let fields = payload.fields().ok_or_else(|| ExtensionError::new("expected a TypedStruct"))?;
        let Some(least) = fields.get("least") else { return Ok(Heaviest::policy(0)) };
        let least = least.as_u64().and_then(|least| u32::try_from(least).ok());
        let least = least.ok_or_else(|| ExtensionError::at("least", "expected a weight"))?;
        Ok(Heaviest::policy(least))
    }
}
