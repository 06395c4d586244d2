//! Clusters on a network in memory and on real endpoints.

mod aggregates;
mod connection_settings;
mod endpoints;
mod health;
mod idle;
mod lazy;
mod live;
mod network;
mod outliers;
mod rest;
mod return_in_one_step;
mod rotation_day;
mod virtual_time;
mod waiting_calls;

use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;

use super::Published;
use crate::config::{Cluster, ClusterSettings, Discovery, Endpoint, EndpointSet, Locality, Priority};
use crate::policy::lb::{Pick, PickContext};
use crate::runtime::accounting::{Accounting, Counts};

fn set(endpoints: Vec<Endpoint>) -> EndpointSet {
    let priorities = match endpoints.is_empty() {
        true => Vec::new(),
        false => vec![Priority { localities: vec![Arc::new(Locality::of(endpoints))] }],
    };
    EndpointSet { priorities, drops: Vec::new() }
}

fn cluster_of(set: EndpointSet) -> Cluster {
    Cluster {
        settings: Arc::new(ClusterSettings::new("test")),
        discovery: Discovery::Endpoints(Ok(Arc::new(set))),
    }
}

fn accounting() -> Arc<Accounting> {
    let (accounting, _) = Accounting::new(Instant::now(), &ClusterSettings::new("test"), &Counts::default());
    Arc::new(accounting)
}

fn pick<T>(published: &Published<T>, rng: &mut StdRng) -> Pick {
    let headers = http::HeaderMap::new();
    let context = PickContext::new("/", &headers);
    published.picker.pick(&context, rng)
}
