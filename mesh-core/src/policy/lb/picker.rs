//! Choosing an endpoint for a call.

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

use crate::config::Name;

use super::EndpointId;

/// Chooses an endpoint for a call. Immutable; shared by all threads.
pub trait Picker: Debug + Send + Sync {
    /// Chooses. No allocation unless the answer is a failure.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick;
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
}

impl<'a> PickContext<'a> {
    /// A request without a hash.
    pub fn new(path: &'a str, headers: &'a http::HeaderMap) -> Self {
        Self { path, headers, hash: None }
    }
}

/// What a picker chose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Pick {
    /// This endpoint. Its connection was READY when the picker was made; if it has closed since, the call picks again.
    Endpoint(EndpointId),
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
}

/// Fails calls with this text.
#[derive(Debug)]
pub(super) struct Failing(pub(super) Arc<str>);

impl Picker for Failing {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        Pick::Fail(self.0.clone())
    }
}
