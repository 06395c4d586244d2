//! Load balancing: which endpoints get a connection, and which of them takes a call.
//!
//! A [`Balancer`] is a pure state machine over endpoint ids, one per cluster. It hears of endpoints, connectivity
//! and time; it says which endpoints to connect or to let go, when to be woken, and which [`Picker`] to use from now
//! on. Pickers are immutable and shared by all threads.
//!
//! ```text
//!              update / on_connectivity / on_deadline
//!   driver ------------------------------------------> Balancer
//!          <------------------------------------------
//!              poll_command   next_deadline   poll_picker
//! ```

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use rand::Rng;

use crate::config::{EndpointAddresses, LocalityId, Name};

/// An endpoint's slot in its cluster: stable while the endpoint stays in the cluster, whatever moves around it, and
/// used again after it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

/// gRPC's connectivity states, of an endpoint or of a cluster.
#[derive(Debug, Clone)]
pub enum Connectivity {
    /// No connection, and none wanted.
    Idle,
    /// A connection is being made.
    Connecting,
    /// Connected.
    Ready,
    /// The last attempt failed, for this reason; backing off. After the backoff an endpoint becomes `Idle`.
    TransientFailure(Arc<str>),
}

/// What a balancer knows of an endpoint.
#[derive(Debug, Clone)]
pub struct LbEndpoint {
    /// Its slot.
    pub id: EndpointId,
    /// What identifies it across updates.
    pub addresses: EndpointAddresses,
    /// Its share, for policies that use weights; not zero.
    pub weight: u32,
    /// Its position on a hash ring; `None`: its first address.
    pub hash_key: Option<Name>,
    /// Counters that the request path writes and pickers read.
    pub load: Arc<EndpointLoad>,
}

/// Counters that the request path writes and pickers read.
#[derive(Debug, Default)]
pub struct EndpointLoad {
    /// Calls that have been sent and not ended.
    pub in_flight: AtomicU32,
}

/// The endpoints of one locality.
#[derive(Debug, Clone)]
pub struct LbLocality {
    /// Unique within a priority.
    pub id: LocalityId,
    /// Its share of the priority's calls; not zero.
    pub weight: u32,
    /// May be empty.
    pub endpoints: Vec<LbEndpoint>,
}

/// The endpoints of a cluster: localities by priority, highest first.
#[derive(Debug, Clone, Default)]
pub struct LbUpdate {
    /// Empty: the cluster has no endpoints and every pick fails.
    pub priorities: Vec<Vec<LbLocality>>,
    /// Added to the error of a pick that fails, for example why there are no endpoints (A74's resolution note).
    pub note: Option<Arc<str>>,
}

/// What a balancer wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before.
    fn next_deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng);

    /// The next thing to do. Call until `None` after every input.
    fn poll_command(&mut self) -> Option<Command>;

    /// The cluster's state and picker, if either has changed since the last call.
    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)>;
}

/// Chooses an endpoint for a call. Immutable; shared by all threads.
pub trait Picker: Debug + Send + Sync {
    /// Chooses. No allocation unless the answer is a failure.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick;
}

/// What a pick may depend on.
#[derive(Debug, Clone, Copy)]
pub struct PickContext<'a> {
    /// The request's path.
    pub path: &'a str,
    /// The request's headers.
    pub headers: &'a http::HeaderMap,
    /// The request's hash by the route's hash policies; `None`: the route has none or none applied.
    pub hash: Option<u64>,
}

/// What a picker chose.
#[derive(Debug, Clone)]
pub enum Pick {
    /// This endpoint. Its connection was READY when the picker was made; if it is gone, pick again.
    Endpoint(EndpointId),
    /// Nothing yet: wait for the next picker. Names an idle endpoint to connect, if there is one.
    Wait(Option<EndpointId>),
    /// No endpoint can be reached: fail, unless the call waits for ready. Why, with the last endpoint error.
    Fail(Arc<str>),
    /// The call is dropped by the control plane's wish, whatever the call wants: fail, no retry (RT-46).
    Drop(Name),
}
