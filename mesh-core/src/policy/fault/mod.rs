//! Fault injection: which calls are delayed, which are aborted (gRFC A33).
//!
//! Delay and abort are drawn independently: with 20 % delayed and 5 % aborted, 24 % of the calls see a fault. A delayed call can
//! be aborted afterwards.

mod decision;
mod percentage;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;

pub(crate) use decision::Faults;
pub use percentage::Percentage;

/// Which calls are delayed, and which are aborted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultPolicy {
    /// Before anything is sent; `None`: never.
    pub delay: Option<Delay>,
    /// Without sending anything, after the delay; `None`: never.
    pub abort: Option<Abort>,
    /// How many calls may have a fault at a time; `None`: any number.
    pub max_active_faults: Option<MaxActiveFaults>,
}

impl FaultPolicy {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// With calls delayed.
    #[must_use]
    pub fn with_delay(self, delay: Delay) -> Self {
        Self { delay: Some(delay), ..self }
    }

    /// With calls aborted.
    #[must_use]
    pub fn with_abort(self, abort: Abort) -> Self {
        Self { abort: Some(abort), ..self }
    }

    /// With faults for so many calls at a time.
    #[must_use]
    pub fn with_max_active_faults(self, max: MaxActiveFaults) -> Self {
        Self { max_active_faults: Some(max), ..self }
    }
}

/// How many calls of the mesh may have a fault at a time, over all its fault filters; further calls get no fault.
/// Zero: no call gets one.
// HF-15
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxActiveFaults(pub u32);

/// How long and how often calls are delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub source: DelaySource,
    /// How often.
    pub percentage: Percentage,
}

/// Where the length of a delay comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelaySource {
    /// The configuration. Zero: not at all.
    Fixed(Duration),
    /// The call's headers: `x-envoy-fault-delay-request` in milliseconds, and
    /// `x-envoy-fault-delay-request-percentage`, which can only lower the percentage.
    // HF-12
    Headers,
}

/// With which status and how often calls are aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// With which status.
    pub source: AbortSource,
    /// How often.
    pub percentage: Percentage,
}

/// Where the status of an abort comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbortSource {
    /// The configuration.
    Status(AbortStatus),
    /// The call's headers: `x-envoy-fault-abort-request` (an HTTP status) before `x-envoy-fault-abort-grpc-request`, and
    /// `x-envoy-fault-abort-request-percentage`, which can only lower the percentage.
    // HF-12
    Headers,
}

/// The status that an aborted call ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbortStatus {
    /// An HTTP status.
    Http(StatusCode),
    /// A gRPC status code.
    Grpc(u32),
}

impl AbortStatus {
    /// An HTTP status; `None` outside of 200 to 599, where there is no abort.
    // HF-13
    pub fn http(status: u32) -> Option<Self> {
        let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status))?;
        StatusCode::from_u16(status).ok().map(Self::Http)
    }
}

/// How many calls have a fault, all filters together (HF-15). The limit is an argument: each filter has its own.
#[derive(Debug, Default)]
pub(crate) struct ActiveFaults(AtomicU32);

/// A call that has a fault; dropped when the fault is over.
#[derive(Debug)]
pub(crate) struct ActiveFault(Arc<ActiveFaults>);

impl ActiveFaults {
    /// Counts one more call with a fault. `None`: the limit is reached, and the call gets no fault.
    pub(crate) fn begin(self: &Arc<Self>, limit: Option<MaxActiveFaults>) -> Option<ActiveFault> {
        // dropping it takes the call out of the count again
        let fault = ActiveFault(self.clone());
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        limit.is_none_or(|MaxActiveFaults(limit)| before < limit).then_some(fault)
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
