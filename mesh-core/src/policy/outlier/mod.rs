//! Outlier detection: endpoints that fail more than others get no calls for a while (gRFC A50, Envoy's outlier detection).
//!
//! The request path counts how each attempt ended at its endpoint, without a lock and without the settings. The
//! `Detector` of a cluster, a pure state machine, finds outliers in these counts: by rates once per interval, by failures in
//! a row as soon as `Counters::record` reports that a threshold is reached. The balancer sees an ejected endpoint as
//! [`TransientFailure`](super::lb::Connectivity::TransientFailure), whatever the state of its connection, which stays open.
//!
//! ```text
//!                 too many failures, and few enough are ejected
//!             +---------------------------------------------------+
//!             |                                                   v
//!   SERVING (the balancer sees the connection's state)   EJECTED (the balancer sees a failure)
//!             ^                                                   |
//!             +---------------------------------------------------+
//!                 first sweep after base time * multiplier
//! ```
//!
//! Algorithms of gRFC A50 follow A50, those that only Envoy has follow Envoy. So the maximum of ejections is checked in two
//! ways: an outlier by rates is ejected while less than `max_ejection_percent` of the endpoints are; an outlier by failures
//! in a row is ejected only if the share does not exceed `max_ejection_percent` afterwards.
// LB-60

mod consecutive;
mod counters;
mod detector;
mod ejection;
mod ejection_counts;
mod rates;
#[cfg(test)]
mod tests;

pub use counters::FailureKind;
pub(crate) use counters::{CallResult, Counters};
pub(crate) use detector::{Change, Detector};
pub(crate) use ejection::CurrentEjection;
pub use ejection::{DetectionMethod, EjectionReason};
pub use ejection_counts::{EjectionCounts, MethodCounts, Unenforced};
