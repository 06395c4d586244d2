//! Load balancing: which endpoints get a connection, and which of them takes a call.
//!
//! A [`Balancer`] is a pure state machine over endpoint ids, one per cluster. Its inputs are endpoints, connectivity
//! and time; its outputs are commands to connect or disconnect endpoints, its next deadline, and the [`Picker`] to use from
//! now on. Pickers are immutable and shared by all threads.
//!
//! `balancer` makes a tree of balancers: one over the priorities, for each priority one over its localities, and for each
//! locality one of the configured policy. All of them have the same interface; a child gets only its part of an update. The
//! priorities of an aggregate cluster are those of its leaves, leaf after leaf (gRFC A37).
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
mod endpoint;
mod hashing;
mod latency;
mod least_request;
mod load;
mod locality;
mod members;
mod peak_ewma;
mod pick_first;
mod picker;
mod priority;
mod random;
mod ready;
mod round_robin;
mod shares;
mod slow_start;
mod subsetting;
#[cfg(test)]
mod tests;
mod update;
mod weighted_least_request;
mod weighted_round_robin;
mod weights;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::{LbPolicy, Name, WeightSource};

use connect_all::ConnectAll;
use least_request::LeastRequest;
use peak_ewma::PeakEwma;
use pick_first::PickFirst;
use random::Random;
use round_robin::RoundRobin;
use shares::Shares;
use subsetting::SubsetBalancer;
use weighted_least_request::WeightedLeastRequest;
use weighted_round_robin::WeightedRoundRobin;

pub use connectivity::Connectivity;
pub use custom::CustomPolicy;
pub use endpoint::{EndpointId, LbEndpoint, LbLocality, LbPriority, LbUpdate};
pub(crate) use latency::Moment;
pub use load::EndpointLoad;
pub(crate) use picker::with_drops;
pub use picker::{Pick, PickContext, Picker, UniformPick};
pub(crate) use update::distinct;

/// The balancer of a cluster: over its priorities, over the localities of each, and in each locality the policy of the
/// priority's settings.
///
/// With [`LocalityPolicy::Flat`](crate::config::LocalityPolicy::Flat) that policy spans all localities of a priority.
pub(crate) fn balancer() -> Box<dyn Balancer> {
    Box::new(priority::Priority::default())
}

/// A balancer of the configured policy: a leaf of the tree.
pub(crate) fn leaf(policy: &LbPolicy) -> Box<dyn Balancer> {
    match policy {
        LbPolicy::RoundRobin => Box::new(ConnectAll::new(RoundRobin::default())),
        LbPolicy::LeastRequest { choice_count } => {
            Box::new(ConnectAll::new(LeastRequest { choice_count: *choice_count }))
        }
        LbPolicy::WeightedRoundRobin(settings) => {
            let shares = Shares::new(settings.weights.clone(), settings.slow_start);
            Box::new(ConnectAll::weighted(WeightedRoundRobin::default(), shares))
        }
        LbPolicy::WeightedLeastRequest(settings) => {
            let shares = Shares::new(WeightSource::Configured, settings.slow_start);
            let spread = WeightedLeastRequest::new(settings, shares.are_equal());
            Box::new(ConnectAll::weighted(spread, shares))
        }
        LbPolicy::PeakEwma(settings) => {
            let shares = Shares::new(WeightSource::Equal, settings.slow_start);
            Box::new(ConnectAll::weighted(PeakEwma::new(settings), shares))
        }
        LbPolicy::Random => Box::new(ConnectAll::new(Random)),
        LbPolicy::PickFirst { shuffle } => Box::new(PickFirst::new(*shuffle)),
        LbPolicy::RingHash(settings) => hashing::ring_hash(settings),
        LbPolicy::Maglev(settings) => hashing::maglev(*settings),
        LbPolicy::Subsetting(settings) => Box::new(SubsetBalancer::new(settings)),
        LbPolicy::Custom(policy) => policy.balancer(),
    }
}

/// An instruction of a balancer to its driver.
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
    /// Sets the cluster's endpoints. Endpoints that were in the last update keep their id and their state; the balancer
    /// forgets endpoints that are no longer listed and sends no more commands for them. New ones start `Idle`.
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng);

    /// An endpoint's connection has changed. Ids that the balancer does not know are ignored.
    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng);

    /// A call waits for a connection although no endpoint is connecting: the balancer starts to connect.
    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng);

    /// The cluster's current state, the one that [`poll_picker`](Self::poll_picker) would return. Cheap: builds no picker.
    fn connectivity(&self) -> Connectivity;

    /// When the driver calls [`on_deadline`](Self::on_deadline), unless another input comes first.
    fn next_deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng);

    /// The next command. The driver calls it until it returns `None`, after every input.
    fn poll_command(&mut self) -> Option<Command>;

    /// The cluster's state and picker, if either has changed since the last call. One call after many inputs builds
    /// only one picker.
    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)>;

    /// The cluster whose endpoints the current picker picks: one leaf of an aggregate. `None`: there are no priorities, or
    /// the balancer does not distinguish them.
    fn selected(&self) -> Option<&Name> {
        None
    }

    /// Whether the driver has to discover the endpoints of this cluster. A leaf of an aggregate is not needed until the
    /// leaves before it have failed.
    fn needs(&self, _cluster: &str) -> bool {
        true
    }
}
