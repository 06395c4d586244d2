//! Why an endpoint is ejected, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::OutlierDetection;
use crate::policy::lb::{Connectivity, EndpointId};

/// The algorithm that found an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DetectionMethod {
    /// A success rate far below the mean.
    SuccessRate,
    /// Too large a share of failed calls.
    FailurePercentage,
    /// Server errors in a row.
    Consecutive5xx,
    /// Gateway errors in a row.
    ConsecutiveGatewayFailure,
    /// Failures to reach the endpoint in a row.
    ConsecutiveLocalOriginFailure,
    /// As [`SuccessRate`](Self::SuccessRate), of reaching the endpoint.
    SuccessRateLocalOrigin,
    /// As [`FailurePercentage`](Self::FailurePercentage), of reaching the endpoint.
    FailurePercentageLocalOrigin,
}

impl DetectionMethod {
    /// All methods.
    pub const ALL: [Self; 7] = [
        Self::SuccessRate,
        Self::FailurePercentage,
        Self::Consecutive5xx,
        Self::ConsecutiveGatewayFailure,
        Self::ConsecutiveLocalOriginFailure,
        Self::SuccessRateLocalOrigin,
        Self::FailurePercentageLocalOrigin,
    ];

    /// Its name in metrics: gRPC's where gRPC has the method, else Envoy's.
    // OB-13
    pub fn name(self) -> &'static str {
        match self {
            Self::SuccessRate => "success_rate",
            Self::FailurePercentage => "failure_percentage",
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Self::SuccessRateLocalOrigin => "success_rate_local_origin",
            Self::FailurePercentageLocalOrigin => "failure_percentage_local_origin",
        }
    }
}

/// Why an endpoint was ejected.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EjectionReason {
    /// The algorithm that found it.
    pub method: DetectionMethod,
    /// The measured value: a percentage of its calls, or a number of failures in a row.
    pub measured: f64,
    /// The limit: the lowest success rate, or the highest number or percentage of failures.
    pub limit: f64,
}

impl EjectionReason {
    /// `method` measured a value beyond `limit`.
    pub fn new(method: DetectionMethod, measured: f64, limit: f64) -> Self {
        Self { method, measured, limit }
    }
}

impl fmt::Display for EjectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, measured, limit } = self;
        match method {
            DetectionMethod::SuccessRate => {
                write!(f, "{measured:.1} % of its calls succeeded, expected at least {limit:.1} %")
            }
            DetectionMethod::SuccessRateLocalOrigin => {
                write!(f, "{measured:.1} % of its calls reached it, expected at least {limit:.1} %")
            }
            DetectionMethod::FailurePercentage => {
                write!(f, "{measured:.1} % of its calls failed, allowed are {limit} %")
            }
            DetectionMethod::FailurePercentageLocalOrigin => {
                write!(f, "{measured:.1} % of its calls did not reach it, allowed are {limit} %")
            }
            DetectionMethod::Consecutive5xx => write!(f, "{measured} server errors in a row"),
            DetectionMethod::ConsecutiveGatewayFailure => write!(f, "{measured} gateway errors in a row"),
            DetectionMethod::ConsecutiveLocalOriginFailure => {
                write!(f, "{measured} calls in a row did not reach it")
            }
        }
    }
}

/// The ejection of an endpoint that gets no calls at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CurrentEjection {
    /// Which endpoint.
    pub id: EndpointId,
    /// Since when.
    pub since: Instant,
    /// Why.
    pub reason: EjectionReason,
    /// The ejection's length is the base time multiplied by this: it grows with each ejection, and shrinks with time.
    pub multiplier: u32,
}

/// The ejection of one endpoint.
#[derive(Debug)]
pub(super) struct Ejection {
    pub(super) since: Instant,
    pub(super) reason: EjectionReason,
    /// A random time that is added to its length.
    jitter: Duration,
    /// For the errors of calls, when no other endpoint is left.
    text: Arc<str>,
}

impl Ejection {
    pub(super) fn new(since: Instant, reason: EjectionReason, jitter: Duration) -> Self {
        Self { since, reason, jitter, text: format!("ejected by outlier detection: {reason}").into() }
    }

    /// The state that the balancer sees.
    pub(super) fn state(&self) -> Connectivity {
        Connectivity::TransientFailure(self.text.clone())
    }

    /// LB-58: whether the time is over.
    pub(super) fn is_over(&self, now: Instant, multiplier: u32, settings: &OutlierDetection) -> bool {
        let OutlierDetection { base_ejection_time: base, max_ejection_time: max, .. } = *settings;
        let time = base.saturating_mul(multiplier).min(base.max(max)).saturating_add(self.jitter);
        now.saturating_duration_since(self.since) > time
    }
}

/// How many endpoints there are, and how many of them are ejected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Population {
    pub(super) endpoints: usize,
    pub(super) ejected: usize,
}

/// Which share of ejected endpoints is compared with `max_ejection_percent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// gRPC's rule (LB-57): the share that is ejected now must be below the limit. So any limit above 0 allows one
    /// ejection.
    Now,
    /// Envoy's rule: the share after one more ejection must not be above the limit.
    WithOneMore,
}

impl Population {
    /// Whether one endpoint more may be ejected.
    pub(super) fn has_room(self, limit: Limit, settings: &OutlierDetection) -> bool {
        let most = settings.max_ejection_percent as usize * self.endpoints;
        let is_below = match limit {
            Limit::Now => self.ejected * 100 < most,
            Limit::WithOneMore => (self.ejected + 1) * 100 <= most,
        };
        is_below || (settings.always_eject_one && self.ejected == 0)
    }
}
