//! Finds outliers by their rates over an interval.

use crate::config::{FailurePercentageEjection, SuccessRateEjection};

use super::counters::Calls;
use super::ejection::{DetectionMethod, EjectionReason};

/// LB-55: endpoints whose success rate is far below the cluster's mean, each by its index in `calls`. Endpoints with too few
/// calls are left out.
pub(super) fn success_rate_outliers(
    calls: &[Calls],
    settings: &SuccessRateEjection,
    method: DetectionMethod,
) -> Vec<(usize, EjectionReason)> {
    let volume = u64::from(settings.request_volume).max(1);
    let judged = calls.iter().enumerate().filter(|(_, calls)| calls.total() >= volume);
    let rates: Vec<_> = judged.map(|(at, calls)| (at, rate(*calls))).collect();
    if rates.len() < settings.minimum_hosts as usize {
        return Vec::new();
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    // LB-55: over all endpoints, not over one less
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    let required = mean - variance.sqrt() * f64::from(settings.stdev_factor) / 1000.0;
    let outliers = rates.into_iter().filter(|(_, rate)| rate + ROUNDING < required);
    let percent = |share: f64| share * 100.0;
    outliers
        .map(|(at, rate)| (at, EjectionReason { method, measured: percent(rate), limit: percent(required) }))
        .collect()
}

fn rate(calls: Calls) -> f64 {
    calls.successes as f64 / calls.total() as f64
}

/// LB-56: endpoints that fail more than a fixed share of their calls, each by its index in `calls`. Endpoints with too few
/// calls are left out.
pub(super) fn failure_percentage_outliers(
    calls: &[Calls],
    settings: &FailurePercentageEjection,
    method: DetectionMethod,
) -> Vec<(usize, EjectionReason)> {
    let volume = u64::from(settings.request_volume).max(1);
    let judged: Vec<_> = calls.iter().enumerate().filter(|(_, calls)| calls.total() >= volume).collect();
    // gRPC's implementations and Envoy count the endpoints with enough calls, where A50 says "the number of addresses".
    if judged.len() < settings.minimum_hosts as usize {
        return Vec::new();
    }
    let threshold = u128::from(settings.threshold_percent);
    // LB-56: above, not at the threshold
    let is_outlier = |calls: &Calls| u128::from(calls.failures) * 100 > threshold * u128::from(calls.total());
    let outliers = judged.into_iter().filter(|(_, calls)| is_outlier(calls));
    outliers
        .map(|(at, calls)| {
            let measured = calls.failures as f64 * 100.0 / calls.total() as f64;
            (at, EjectionReason { method, measured, limit: f64::from(settings.threshold_percent) })
        })
        .collect()
}

/// Rates that are equal may differ from their mean by this much because of rounding, which must not eject an endpoint.
const ROUNDING: f64 = 1e-9;
