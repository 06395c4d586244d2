//! Outlier detection, with gRPC's defaults (gRFC A50).

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as proto;
use envoy_types::pb::google::protobuf::UInt32Value;
use mesh_core::config::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};

use crate::resource::duration;
use crate::resource::invalid::{Checked, Invalid};

/// CDS-13, CDS-14: an empty message switches success rate on and leaves failure percentage off. Defaults: LB-53.
pub(super) fn read(settings: &proto::OutlierDetection) -> Checked<OutlierDetection> {
    let interval = duration::optional(settings.interval.as_ref(), "interval")?;
    let base = duration::optional(settings.base_ejection_time.as_ref(), "base_ejection_time")?;
    let max = duration::optional(settings.max_ejection_time.as_ref(), "max_ejection_time")?;
    let base_ejection_time = base.unwrap_or(Duration::from_secs(30));
    let enforcing_success = percent(settings.enforcing_success_rate, 100, "enforcing_success_rate")?;
    let enforcing_failure =
        percent(settings.enforcing_failure_percentage, 0, "enforcing_failure_percentage")?;
    let success_rate = SuccessRateEjection {
        stdev_factor: number(settings.success_rate_stdev_factor, 1900),
        enforcing_percent: enforcing_success,
        minimum_hosts: number(settings.success_rate_minimum_hosts, 5),
        request_volume: number(settings.success_rate_request_volume, 100),
    };
    let failure_percentage = FailurePercentageEjection {
        threshold_percent: percent(
            settings.failure_percentage_threshold,
            85,
            "failure_percentage_threshold",
        )?,
        enforcing_percent: enforcing_failure,
        minimum_hosts: number(settings.failure_percentage_minimum_hosts, 5),
        request_volume: number(settings.failure_percentage_request_volume, 50),
    };
    Ok(OutlierDetection {
        // Zero is valid, but would judge without end.
        interval: interval.unwrap_or(Duration::from_secs(10)).max(SHORTEST_INTERVAL),
        base_ejection_time,
        max_ejection_time: max.unwrap_or_else(|| base_ejection_time.max(Duration::from_secs(300))),
        max_ejection_percent: percent(settings.max_ejection_percent, 10, "max_ejection_percent")?,
        success_rate: (enforcing_success > 0).then_some(success_rate),
        failure_percentage: (enforcing_failure > 0).then_some(failure_percentage),
    })
}

fn number(value: Option<UInt32Value>, default: u32) -> u32 {
    value.map_or(default, |value| value.value)
}

fn percent(value: Option<UInt32Value>, default: u32, field: &str) -> Checked<u32> {
    match number(value, default) {
        percent @ 0..=100 => Ok(percent),
        other => Err(Invalid::at(field, format!("must be at most 100, found {other}"))),
    }
}

const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
