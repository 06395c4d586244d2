//! Outlier detection: endpoints that fail more than others get no calls for a while (gRFC A50, Envoy's outlier detection).
//!
//! The request path records how each attempt has ended at its endpoint; that takes no lock and needs no
//! settings. The `Detector` of a cluster, a pure state machine, judges endpoints by that: by rates once per interval,
//! and by failures in a row as soon as `Counters::record` says so. It stands between connections and the balancer:
//! an ejected endpoint is [`TransientFailure`](super::lb::Connectivity::TransientFailure) to the balancer, whatever
//! its connection does, and the connection stays (LB-60).
//!
//! ```text
//!                 too many failures, and few enough are ejected
//!             +---------------------------------------------------+
//!             |                                                   v
//!   SERVING (the balancer hears of the connection)    EJECTED (the balancer hears of a failure)
//!             ^                                                   |
//!             +---------------------------------------------------+
//!                 first sweep after base time * multiplier
//! ```
//!
//! What gRFC A50 defines is as there; what only Envoy has is as in Envoy. So the two limits of how much may be ejected
//! differ: by rates, one more endpoint goes while less than `max_ejection_percent` are ejected; by failures in a row, it
//! goes only if it fits.

mod counters;
mod detector;
mod ejection;
mod ejection_counts;
mod failure_percentage;
mod limit;
mod row;
mod success_rate;
#[cfg(test)]
mod tests;

pub use counters::FailureKind;
pub(crate) use counters::{CallResult, Counters};
pub(crate) use detector::{Change, Detector};
pub(crate) use ejection::CurrentEjection;
pub use ejection::{DetectionMethod, EjectionReason};
pub use ejection_counts::{EjectionCounts, MethodCounts, Unenforced};
