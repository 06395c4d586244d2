//! Removal of endpoints that fail more than others (gRFC A50, Envoy's outlier detection).

use std::time::Duration;

/// Removal of endpoints that fail more than others (gRFC A50). Percentages are 0 to 100.
///
/// The default is what an empty message means in xDS: success rate and failures in a row are on, all else is off.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutlierDetection {
    /// How often endpoints are judged by what share of their calls fails, and may return: 10 s.
    pub interval: Duration,
    /// How long the first ejection lasts: 30 s. Each further one lasts longer by as much.
    pub base_ejection_time: Duration,
    /// How long an ejection may last: 300 s. Never less than [`base_ejection_time`](Self::base_ejection_time).
    pub max_ejection_time: Duration,
    /// Each ejection lasts longer by a random time up to this one, so that endpoints do not return all at once: 0 s.
    pub max_ejection_time_jitter: Duration,
    /// How much of the cluster may be ejected: 10.
    pub max_ejection_percent: u32,
    /// One endpoint may be ejected although it is more than [`max_ejection_percent`](Self::max_ejection_percent).
    pub always_eject_one: bool,
    /// By success rate; `None` is off.
    pub success_rate: Option<SuccessRateEjection>,
    /// By failure percentage; `None` is off.
    pub failure_percentage: Option<FailurePercentageEjection>,
    /// By server errors in a row: HTTP statuses of 500 and above, or the gRPC statuses that mean the same; `None` is
    /// off.
    pub consecutive_5xx: Option<ConsecutiveEjection>,
    /// By gateway errors in a row: HTTP statuses 502, 503 and 504, or the gRPC statuses that mean the same; `None` is
    /// off.
    pub consecutive_gateway_failures: Option<ConsecutiveEjection>,
    /// Failures to reach an endpoint are counted apart from its answers. `None`: they count as if the endpoint had
    /// answered with a gateway error.
    pub local_origin: Option<LocalOriginEjection>,
    /// A good health check ends an endpoint's ejection, where endpoints are
    /// [checked](super::ClusterSettings::health_check); by default it does.
    // LB-62
    pub good_check_ends_ejection: bool,
}

impl OutlierDetection {
    /// Settings that eject nothing: every algorithm is off.
    pub fn off() -> Self {
        Self { success_rate: None, consecutive_5xx: None, ..Self::default() }
    }

    /// Whether there is nothing to eject by.
    pub fn is_off(&self) -> bool {
        let local = self.local_origin.as_ref();
        !self.counts_rates()
            && self.consecutive_5xx.is_none()
            && self.consecutive_gateway_failures.is_none()
            && local.is_none_or(|local| local.consecutive_failures.is_none())
    }

    /// Whether anything is judged by the share of calls that fail.
    pub(crate) fn counts_rates(&self) -> bool {
        let local = self.local_origin.as_ref();
        self.success_rate.is_some()
            || self.failure_percentage.is_some()
            || local.is_some_and(|local| local.success_rate.is_some() || local.failure_percentage.is_some())
    }
}

impl Default for OutlierDetection {
    // LB-53, LB-62
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_time_jitter: Duration::ZERO,
            max_ejection_percent: 10,
            always_eject_one: false,
            success_rate: Some(SuccessRateEjection::default()),
            failure_percentage: None,
            consecutive_5xx: Some(ConsecutiveEjection::default()),
            consecutive_gateway_failures: None,
            local_origin: None,
            good_check_ends_ejection: true,
        }
    }
}

/// Ejects endpoints whose success rate is far below the cluster's mean.
// LB-55
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuccessRateEjection {
    /// Thousandths of a standard deviation that a rate may lie below the mean; 1,900 by default.
    pub stdev_factor: u32,
    /// How many of the found endpoints are ejected; 1 to 100.
    pub enforcing_percent: u32,
    /// Endpoints with enough calls that it takes; 5 by default.
    pub minimum_hosts: u32,
    /// Calls in an interval that make an endpoint count; 100 by default.
    pub request_volume: u32,
}

impl Default for SuccessRateEjection {
    fn default() -> Self {
        Self { stdev_factor: 1900, enforcing_percent: 100, minimum_hosts: 5, request_volume: 100 }
    }
}

/// Ejects endpoints that fail more than a share of their calls.
// LB-56
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailurePercentageEjection {
    /// Ejected above this; 0 to 100, 85 by default.
    pub threshold_percent: u32,
    /// How many of the found endpoints are ejected; 1 to 100.
    pub enforcing_percent: u32,
    /// Endpoints with enough calls that it takes; 5 by default.
    pub minimum_hosts: u32,
    /// Calls in an interval that make an endpoint count; 50 by default.
    pub request_volume: u32,
}

impl Default for FailurePercentageEjection {
    fn default() -> Self {
        Self { threshold_percent: 85, enforcing_percent: 100, minimum_hosts: 5, request_volume: 50 }
    }
}

/// Ejects an endpoint after a number of failures in a row, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsecutiveEjection {
    /// How many failures; 5 by default, at least 1.
    pub threshold: u32,
    /// How many of the found endpoints are ejected; 1 to 100.
    pub enforcing_percent: u32,
}

impl Default for ConsecutiveEjection {
    fn default() -> Self {
        Self { threshold: 5, enforcing_percent: 100 }
    }
}

/// Ejects endpoints that cannot be reached: connections that fail or break, answers that do not come in time.
///
/// An endpoint that answers, with whatever status, was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalOriginEjection {
    /// By the share of calls that reach the endpoint; `None` is off.
    pub success_rate: Option<SuccessRateEjection>,
    /// By the percentage of calls that do not reach it; `None` is off.
    pub failure_percentage: Option<FailurePercentageEjection>,
    /// By failures in a row; `None` is off.
    pub consecutive_failures: Option<ConsecutiveEjection>,
}
