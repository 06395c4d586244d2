//! Outlier detection, with gRPC's defaults where gRPC has the field (gRFC A50), else with Envoy's.

use std::time::Duration;

use mesh_core::config::{
    ConsecutiveEjection, FailurePercentageEjection, LocalOriginEjection, OutlierDetection,
    SuccessRateEjection,
};
use xds_proto::envoy::config::cluster::v3 as proto;
use xds_proto::google::protobuf::UInt32Value;

use crate::resource::fields;
use crate::resource::invalid::{Checked, Invalid};

/// CDS-13, CDS-14: an empty message switches success rate on and leaves failure percentage off. Defaults: LB-53, LB-62.
pub(super) fn read(settings: &proto::OutlierDetection) -> Checked<OutlierDetection> {
    let mut detection = OutlierDetection::default();
    let interval = fields::optional_duration(settings.interval.as_ref(), "interval")?;
    let base = fields::optional_duration(settings.base_ejection_time.as_ref(), "base_ejection_time")?;
    let max = fields::optional_duration(settings.max_ejection_time.as_ref(), "max_ejection_time")?;
    let jitter =
        fields::optional_duration(settings.max_ejection_time_jitter.as_ref(), "max_ejection_time_jitter")?;
    // Zero is valid, but would sweep in a loop.
    detection.interval = interval.unwrap_or(detection.interval).max(SHORTEST_INTERVAL);
    detection.base_ejection_time = base.unwrap_or(detection.base_ejection_time);
    detection.max_ejection_time =
        max.unwrap_or_else(|| detection.base_ejection_time.max(detection.max_ejection_time));
    detection.max_ejection_time_jitter = jitter.unwrap_or_default();
    detection.max_ejection_percent =
        percent(settings.max_ejection_percent, detection.max_ejection_percent, "max_ejection_percent")?;
    detection.always_eject_one = settings.always_eject_one_host.is_some_and(|is_on| is_on.value);
    // LB-62
    detection.good_check_ends_ejection =
        settings.successful_active_health_check_uneject_host.is_none_or(|is_on| is_on.value);
    let enforcing = percent(settings.enforcing_success_rate, 100, "enforcing_success_rate")?;
    detection.success_rate = success_rate(settings, enforcing);
    let enforcing = percent(settings.enforcing_failure_percentage, 0, "enforcing_failure_percentage")?;
    detection.failure_percentage = failure_percentage(settings, enforcing)?;
    let enforcing = percent(settings.enforcing_consecutive_5xx, 100, "enforcing_consecutive_5xx")?;
    detection.consecutive_5xx = consecutive(settings.consecutive_5xx, enforcing);
    let field = "enforcing_consecutive_gateway_failure";
    let enforcing = percent(settings.enforcing_consecutive_gateway_failure, 0, field)?;
    detection.consecutive_gateway_failures = consecutive(settings.consecutive_gateway_failure, enforcing);
    let local = local_origin(settings)?;
    detection.local_origin = settings.split_external_local_origin_errors.then_some(local);
    Ok(detection)
}

/// LB-62: without `split_external_local_origin_errors` these fields are checked and have no effect.
fn local_origin(settings: &proto::OutlierDetection) -> Checked<LocalOriginEjection> {
    let field = "enforcing_local_origin_success_rate";
    let enforcing_success = percent(settings.enforcing_local_origin_success_rate, 100, field)?;
    let field = "enforcing_failure_percentage_local_origin";
    let enforcing_failure = percent(settings.enforcing_failure_percentage_local_origin, 0, field)?;
    let field = "enforcing_consecutive_local_origin_failure";
    let enforcing_row = percent(settings.enforcing_consecutive_local_origin_failure, 100, field)?;
    Ok(LocalOriginEjection {
        success_rate: success_rate(settings, enforcing_success),
        failure_percentage: failure_percentage(settings, enforcing_failure)?,
        consecutive_failures: consecutive(settings.consecutive_local_origin_failure, enforcing_row),
    })
}

fn success_rate(settings: &proto::OutlierDetection, enforcing_percent: u32) -> Option<SuccessRateEjection> {
    let default = SuccessRateEjection::default();
    (enforcing_percent > 0).then(|| SuccessRateEjection {
        stdev_factor: number(settings.success_rate_stdev_factor, default.stdev_factor),
        enforcing_percent,
        minimum_hosts: number(settings.success_rate_minimum_hosts, default.minimum_hosts),
        request_volume: number(settings.success_rate_request_volume, default.request_volume),
    })
}

fn failure_percentage(
    settings: &proto::OutlierDetection,
    enforcing_percent: u32,
) -> Checked<Option<FailurePercentageEjection>> {
    let default = FailurePercentageEjection::default();
    let threshold = settings.failure_percentage_threshold;
    let ejection = FailurePercentageEjection {
        threshold_percent: percent(threshold, default.threshold_percent, "failure_percentage_threshold")?,
        enforcing_percent,
        minimum_hosts: number(settings.failure_percentage_minimum_hosts, default.minimum_hosts),
        request_volume: number(settings.failure_percentage_request_volume, default.request_volume),
    };
    Ok((enforcing_percent > 0).then_some(ejection))
}

/// A threshold of 0 is off, as in Envoy.
fn consecutive(threshold: Option<UInt32Value>, enforcing_percent: u32) -> Option<ConsecutiveEjection> {
    let threshold = number(threshold, ConsecutiveEjection::default().threshold);
    (threshold > 0 && enforcing_percent > 0).then_some(ConsecutiveEjection { threshold, enforcing_percent })
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
