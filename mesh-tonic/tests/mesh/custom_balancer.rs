//! A balancer of a user, by the public surface alone.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint as Place, EndpointSet, Forward, LbPolicy, Locality,
    Priority,
};
use mesh_core::policy::lb::{
    Balancer, Command, Connectivity, CustomPolicy, EndpointId, LbUpdate, Pick, PickContext, Picker,
};
use mesh_core::runtime::FixedSource;
use rand::Rng;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{call, client, eventually};

/// Connects every endpoint, and sends all calls to the ready one of the greatest weight.
#[derive(Debug, Default)]
struct Heaviest {
    endpoints: BTreeMap<EndpointId, (u32, Connectivity)>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

impl Heaviest {
    fn best(&self) -> Option<EndpointId> {
        let ready = self.endpoints.iter().filter(|(_, (_, state))| matches!(state, Connectivity::Ready));
        ready.max_by_key(|(_, (weight, _))| *weight).map(|(id, _)| *id)
    }
}

impl Balancer for Heaviest {
    fn update(&mut self, _: Instant, update: LbUpdate, _: &mut dyn Rng) {
        let before = std::mem::take(&mut self.endpoints);
        for endpoint in update.into_localities().iter().flat_map(|locality| &locality.endpoints) {
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

#[derive(Debug)]
struct Only(Option<EndpointId>);

impl Picker for Only {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        self.0.map_or(Pick::Wait(None), Pick::Endpoint)
    }
}

#[tokio::test]
async fn balancer_of_a_user_chooses_endpoints_and_follows_updates() {
    let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await, Endpoint::start("c").await];
    let policy = CustomPolicy::new("heaviest", Heaviest::default);
    let config = |weights: [u32; 3]| {
        let places = endpoints.iter().zip(weights).map(|(endpoint, weight)| {
            let mut place = Place::new(endpoint.address);
            place.weight = NonZeroU32::new(weight).unwrap();
            place
        });
        let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(places.collect()))])]);
        let settings = ClusterSettings::new("greeter").with_lb_policy(LbPolicy::Custom(policy.clone()));
        let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
        Config::default().entry("greeter", Ok(cluster)).to(Forward::to("greeter")).build()
    };
    let source = FixedSource::new();
    source.set("greeter", config([1, 3, 2]));
    let mut client = client(&Mesh::new(source.clone()));
    eventually("all are connected", || endpoints.iter().all(|endpoint| endpoint.connections() == 1)).await;
    let served_by = async |client: &mut _, expected: &str| {
        for _ in 0..1_000 {
            if call(client).await.unwrap() == expected {
                break;
            }
        }
        for _ in 0..20 {
            assert_eq!(call(client).await.unwrap(), expected);
        }
    };
    served_by(&mut client, "b").await;

    source.set("greeter", config([5, 3, 2]));
    served_by(&mut client, "a").await;
    assert!(
        endpoints.iter().all(|endpoint| endpoint.connections() == 1),
        "an equal policy keeps its connections"
    );

    let [a, ..] = endpoints;
    a.stop().await;
    served_by(&mut client, "b").await;
}
