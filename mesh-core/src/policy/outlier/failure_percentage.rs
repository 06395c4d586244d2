//! Endpoints that fail more than a fixed share of their calls.
// LB-56

use crate::config::FailurePercentageEjection;

use super::counters::Calls;
use super::ejection::{DetectionMethod, EjectionReason};

/// The outliers among endpoints, each by its place. Endpoints with too few calls are left out.
pub(super) fn outliers(
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
