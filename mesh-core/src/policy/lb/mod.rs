//! Load balancing: which endpoints get a connection, and which of them takes a call.
//!
//! A [`Balancer`] is a pure state machine over endpoint ids, one per cluster. It hears of endpoints, connectivity
//! and time; it says which endpoints to connect or to let go, when to be woken, and which [`Picker`] to use from now
//! on. Pickers are immutable and shared by all threads.
//!
//! `balancer` makes a tree of them: a priority balancer, per priority one over its localities, per locality one for
//! the policy. All levels have the same interface; an update that reaches a child holds the child's part only. The
//! priorities of an aggregate cluster are those of its leaves, one leaf's after the other's (gRFC A37).
//!
//! ```text
//!              update / on_connectivity / on_deadline
//!   driver ------------------------------------------> Balancer
//!          <------------------------------------------
//!              poll_command   next_deadline   poll_picker
//! ```

mod connect_all;
mod connectivity;
mod custom;
mod difference;
mod distinct;
mod drop;
mod endpoint;
mod failure;
mod id_map;
mod least_request;
mod locality;
mod members;
mod pick_first;
mod picker;
mod priority;
mod ready;
mod ring_hash;
mod round_robin;
mod shuffle;
#[cfg(test)]
mod tests;
mod weight;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::{LbPolicy, Name};

use connect_all::ConnectAll;
use least_request::LeastRequest;
use pick_first::PickFirst;
use ring_hash::RingHash;
use round_robin::RoundRobin;

pub use connectivity::Connectivity;
pub use custom::CustomPolicy;
pub(crate) use distinct::distinct;
pub(crate) use drop::with_drops;
pub use endpoint::{EndpointId, EndpointLoad, LbEndpoint, LbLocality, LbPriority, LbUpdate};
pub use picker::{Pick, PickContext, Picker};

/// The balancer of a cluster: priorities, in each of them localities, in each of those the policy that the priority's
/// settings name.
///
/// With [`LocalityPolicy::Flat`](crate::config::LocalityPolicy::Flat) that policy spans all localities of a priority.
pub(crate) fn balancer() -> Box<dyn Balancer> {
    Box::new(priority::Priority::default())
}

/// The policy at the bottom of the tree.
fn leaf(policy: &LbPolicy) -> Box<dyn Balancer> {
    match policy {
        LbPolicy::RoundRobin => Box::new(ConnectAll::new(RoundRobin::default())),
        LbPolicy::LeastRequest { choice_count } => {
            Box::new(ConnectAll::new(LeastRequest { choice_count: *choice_count }))
        }
        LbPolicy::PickFirst { shuffle } => Box::new(PickFirst::new(*shuffle)),
        LbPolicy::RingHash(sizes) => Box::new(RingHash::new(*sizes)),
        LbPolicy::Custom(policy) => policy.balancer(),
    }
}

/// What a balancer wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Make a connection to this endpoint, unless there is one or one is being made.
    Connect(EndpointId),
    /// This endpoint's connection is no longer needed: drain it. Its state is `Idle` from now on.
    Disconnect(EndpointId),
}

/// A cluster's balancer: a pure state machine, driven by the cluster's task.
pub trait Balancer: Debug + Send {
    /// The cluster's endpoints from now on. Endpoints that were there before keep their id and their state; those
    /// no longer listed are forgotten and get no more commands. New ones start `Idle`.
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng);

    /// An endpoint's connection has changed. Ids that the balancer does not know are ignored.
    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng);

    /// A call waits for a connection although nothing is connecting: leave idleness.
    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng);

    /// The cluster's state now, as [`poll_picker`](Self::poll_picker) would give it. Cheap: no picker is built.
    fn connectivity(&self) -> Connectivity;

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before.
    fn next_deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng);

    /// The next thing to do. Call until `None` after every input.
    fn poll_command(&mut self) -> Option<Command>;

    /// The cluster's state and picker, if either has changed since the last call. One call after many inputs builds
    /// one picker.
    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)>;

    /// The cluster whose endpoints the picker picks now, by the settings of its priority: one leaf of an aggregate.
    /// `None`: there are no priorities, or the balancer does not tell them apart.
    fn selected(&self) -> Option<&Name> {
        None
    }

    /// Whether a cluster's endpoints are to be found out. A leaf of an aggregate is not needed until the leaves before it
    /// have failed.
    fn needs(&self, _cluster: &str) -> bool {
        true
    }
}
