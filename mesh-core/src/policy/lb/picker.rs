//! Chooses an endpoint for a call, and drops calls before that.

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

use crate::config::{DropCategory, Name, RoutingPriority};

use super::{Connectivity, EndpointId};

/// Chooses an endpoint for a call. Immutable; shared by all threads.
pub trait Picker: Debug + Send + Sync {
    /// Chooses. No allocation unless the answer is a failure.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick;

    /// Whether every call waits, or every call fails. `None`, the default: it depends on the call.
    ///
    /// Calls that wait already stay asleep when a picker is published that makes every call wait; calls that wait for ready
    /// also when it makes every call fail.
    fn uniform(&self) -> Option<UniformPick> {
        None
    }
}

/// What a picker does with every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UniformPick {
    /// Every call waits, and has no endpoint to connect: [`Pick::Wait`] of `None`.
    Wait,
    /// Every call fails: [`Pick::Fail`].
    Fail,
}

/// The request's properties that a pick may depend on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PickContext<'a> {
    /// The request's path.
    pub path: &'a str,
    /// The request's headers.
    pub headers: &'a http::HeaderMap,
    /// The request's hash by the route's hash policies; `None`: the route has none or none applied.
    pub hash: Option<u64>,
    /// The priority of the request, by its route.
    pub priority: RoutingPriority,
}

impl<'a> PickContext<'a> {
    /// A request without a hash.
    pub fn new(path: &'a str, headers: &'a http::HeaderMap) -> Self {
        Self { path, headers, hash: None, priority: RoutingPriority::Default }
    }
}

/// What a picker chose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Pick {
    /// This endpoint. Its connection was READY when the picker was made; if it has closed since, the call picks again.
    Endpoint(EndpointId),
    /// This endpoint, as with [`Endpoint`](Self::Endpoint), and another one is to be connected meanwhile.
    EndpointInstead {
        /// Takes the call.
        endpoint: EndpointId,
        /// An idle endpoint to connect, for later calls.
        idle: EndpointId,
    },
    /// No endpoint yet: the call waits for the next picker. The id is an idle endpoint to connect, if there is one.
    Wait(Option<EndpointId>),
    /// No endpoint can be reached: the call fails with this text, unless it waits for ready. The text has the last error of
    /// an endpoint.
    Fail(Arc<str>),
    /// The control plane's drop policy of this category drops the call: it fails without a retry, even if it waits for ready.
    // RT-46
    Drop(Name),
}

/// Makes calls wait for the next picker.
#[derive(Debug)]
pub(super) struct Waiting;

impl Picker for Waiting {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        Pick::Wait(None)
    }

    fn uniform(&self) -> Option<UniformPick> {
        Some(UniformPick::Wait)
    }
}

/// Fails calls with this text.
#[derive(Debug)]
pub(super) struct Failing(pub(super) Arc<str>);

impl Picker for Failing {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        Pick::Fail(self.0.clone())
    }

    fn uniform(&self) -> Option<UniformPick> {
        Some(UniformPick::Fail)
    }
}

/// LB-31: the last error of an endpoint, if there is one, and the update's note.
pub(super) fn no_endpoint(last_error: Option<&str>, note: Option<&str>) -> Arc<str> {
    match (last_error, note) {
        (Some(error), Some(note)) => format!("no endpoint is connected, the last error was: {error}; {note}"),
        (Some(error), None) => format!("no endpoint is connected, the last error was: {error}"),
        (None, Some(note)) => format!("there are no endpoints: {note}"),
        (None, None) => "there are no endpoints".to_owned(),
    }
    .into()
}

/// A picker that drops a share of the calls before `picker` picks.
///
/// LB-22: calls are dropped only while the cluster is ready; otherwise, and without drops, the result is `picker` itself.
pub(crate) fn with_drops(
    drops: &[DropCategory],
    state: &Connectivity,
    picker: Arc<dyn Picker>,
) -> Arc<dyn Picker> {
    match state {
        Connectivity::Ready if !drops.is_empty() => Arc::new(DropPicker { drops: drops.into(), picker }),
        _ => picker,
    }
}

#[derive(Debug)]
struct DropPicker {
    drops: Box<[DropCategory]>,
    picker: Arc<dyn Picker>,
}

impl Picker for DropPicker {
    /// LB-22: one draw per category, in order.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        match self.drops.iter().find(|drop| drop.fraction.draw(rng)) {
            Some(drop) => Pick::Drop(drop.category.clone()),
            None => self.picker.pick(context, rng),
        }
    }
}
