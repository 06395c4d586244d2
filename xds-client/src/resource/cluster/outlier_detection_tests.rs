//! Outlier detection's defaults and limits.

use std::time::Duration;

use mesh_core::config::{
    ConsecutiveEjection, FailurePercentageEjection, LocalOriginEjection, OutlierDetection,
    SuccessRateEjection,
};
use xds_proto::envoy::config::cluster::v3::{Cluster as Proto, OutlierDetection as ProtoOutlier};
use xds_proto::google::protobuf::{BoolValue, Duration as ProtoDuration};

use super::samples::eds;
use super::*;
use crate::resource::testing::{OK, Row, check, decode, millis, seconds, u32_value};

fn decoded(settings: Option<ProtoOutlier>) -> Option<OutlierDetection> {
    let cluster = Proto { outlier_detection: settings, ..eds() };
    let cluster = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &cluster).unwrap();
    cluster.settings.outlier_detection.clone()
}

fn outlier(cluster: &mut Proto) -> &mut ProtoOutlier {
    cluster.outlier_detection.get_or_insert_default()
}

/// The settings of an empty message, with this change.
fn changed(change: impl Fn(&mut OutlierDetection)) -> Option<OutlierDetection> {
    let mut expected = OutlierDetection::default();
    change(&mut expected);
    Some(expected)
}

fn after(threshold: u32, enforcing_percent: u32) -> Option<ConsecutiveEjection> {
    Some(ConsecutiveEjection { threshold, enforcing_percent })
}

/// Proves: CDS-14, LB-53.
#[test]
fn empty_message_switches_success_rate_on() {
    assert_eq!(decoded(None), None);
    let empty = decoded(Some(ProtoOutlier::default())).unwrap();
    let seconds_of =
        [empty.interval, empty.base_ejection_time, empty.max_ejection_time].map(|time| time.as_secs());
    assert_eq!((seconds_of, empty.max_ejection_percent), ([10, 30, 300], 10));
    assert_eq!((empty.max_ejection_time_jitter, empty.always_eject_one), (Duration::ZERO, false));
    let success_rate = SuccessRateEjection {
        stdev_factor: 1900,
        enforcing_percent: 100,
        minimum_hosts: 5,
        request_volume: 100,
    };
    assert_eq!((empty.success_rate, empty.failure_percentage), (Some(success_rate), None));
    assert_eq!((empty.consecutive_5xx, empty.consecutive_gateway_failures), (after(5, 100), None));
    assert_eq!(empty.local_origin, None);
    let off = ProtoOutlier { enforcing_success_rate: u32_value(0), ..Default::default() };
    assert_eq!(decoded(Some(off)), changed(|expected| expected.success_rate = None));
    let failure = ProtoOutlier { enforcing_failure_percentage: u32_value(100), ..Default::default() };
    let failure_percentage = Some(FailurePercentageEjection {
        threshold_percent: 85,
        enforcing_percent: 100,
        minimum_hosts: 5,
        request_volume: 50,
    });
    assert_eq!(decoded(Some(failure)), changed(|expected| expected.failure_percentage = failure_percentage));
    let long = ProtoOutlier { base_ejection_time: seconds(400), ..Default::default() };
    let times = decoded(Some(long)).map(|outlier| (outlier.base_ejection_time, outlier.max_ejection_time));
    assert_eq!(times, Some((Duration::from_secs(400), Duration::from_secs(400))));
}

/// A message with every field set.
fn full() -> ProtoOutlier {
    let value = u32_value;
    ProtoOutlier {
        interval: millis(500),
        base_ejection_time: seconds(1),
        max_ejection_time: seconds(2),
        max_ejection_time_jitter: seconds(3),
        max_ejection_percent: value(100),
        always_eject_one_host: Some(BoolValue { value: true }),
        success_rate_stdev_factor: value(1),
        enforcing_success_rate: value(2),
        success_rate_minimum_hosts: value(3),
        success_rate_request_volume: value(4),
        failure_percentage_threshold: value(5),
        enforcing_failure_percentage: value(6),
        failure_percentage_minimum_hosts: value(7),
        failure_percentage_request_volume: value(8),
        consecutive_5xx: value(9),
        enforcing_consecutive_5xx: value(10),
        consecutive_gateway_failure: value(11),
        enforcing_consecutive_gateway_failure: value(12),
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: value(13),
        enforcing_consecutive_local_origin_failure: value(14),
        enforcing_local_origin_success_rate: value(15),
        enforcing_failure_percentage_local_origin: value(16),
        ..Default::default()
    }
}

#[test]
fn every_setting_is_read() {
    let success_rate = |enforcing_percent| {
        Some(SuccessRateEjection { stdev_factor: 1, enforcing_percent, minimum_hosts: 3, request_volume: 4 })
    };
    let failure_percentage = |enforcing_percent| {
        let (threshold_percent, minimum_hosts, request_volume) = (5, 7, 8);
        Some(FailurePercentageEjection {
            threshold_percent,
            enforcing_percent,
            minimum_hosts,
            request_volume,
        })
    };
    let expected = changed(|expected| {
        expected.interval = Duration::from_millis(500);
        expected.base_ejection_time = Duration::from_secs(1);
        expected.max_ejection_time = Duration::from_secs(2);
        expected.max_ejection_time_jitter = Duration::from_secs(3);
        expected.max_ejection_percent = 100;
        expected.always_eject_one = true;
        expected.success_rate = success_rate(2);
        expected.failure_percentage = failure_percentage(6);
        expected.consecutive_5xx = after(9, 10);
        expected.consecutive_gateway_failures = after(11, 12);
        expected.local_origin = Some(LocalOriginEjection {
            success_rate: success_rate(15),
            failure_percentage: failure_percentage(16),
            consecutive_failures: after(13, 14),
        });
    });
    assert_eq!(decoded(Some(full())), expected);
    let together = ProtoOutlier { split_external_local_origin_errors: false, ..full() };
    assert_eq!(decoded(Some(together)).unwrap().local_origin, None);
    let never_idle = ProtoOutlier { interval: seconds(0), ..Default::default() };
    assert_eq!(decoded(Some(never_idle)).unwrap().interval, Duration::from_millis(1));
}

/// Proves: LB-62.
#[test]
fn failures_in_a_row_have_the_defaults_of_envoy() {
    let row = |settings| {
        let decoded = decoded(Some(settings)).unwrap();
        let local = decoded.local_origin.map(|local| local.consecutive_failures);
        (decoded.consecutive_5xx, decoded.consecutive_gateway_failures, local)
    };
    let split = ProtoOutlier { split_external_local_origin_errors: true, ..Default::default() };
    assert_eq!(row(split), (after(5, 100), None, Some(after(5, 100))));
    let local = decoded(Some(split)).unwrap().local_origin.unwrap();
    assert_eq!((local.success_rate, local.failure_percentage), (Some(SuccessRateEjection::default()), None));
    let gateway = ProtoOutlier { enforcing_consecutive_gateway_failure: u32_value(40), ..Default::default() };
    assert_eq!(row(gateway), (after(5, 100), after(5, 40), None));
    let zero = ProtoOutlier {
        consecutive_5xx: u32_value(0),
        consecutive_gateway_failure: u32_value(0),
        enforcing_consecutive_gateway_failure: u32_value(100),
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: u32_value(0),
        ..Default::default()
    };
    assert_eq!(row(zero), (None, None, Some(None)));
    let unenforced = ProtoOutlier {
        enforcing_consecutive_5xx: u32_value(0),
        split_external_local_origin_errors: true,
        enforcing_consecutive_local_origin_failure: u32_value(0),
        ..Default::default()
    };
    assert_eq!(row(unenforced), (None, None, Some(None)));
}

const OUTLIERS: &[Row<Proto>] = &[
    ("interval", |m| outlier(m).interval = seconds(-1), Err(("outlier_detection.interval", "-1 s"))),
    (
        "interval too long",
        |m| outlier(m).interval = seconds(315_576_000_001),
        Err(("outlier_detection.interval", "315576000001 s")),
    ),
    (
        "nanoseconds",
        |m| outlier(m).interval = Some(ProtoDuration { seconds: 0, nanos: -1 }),
        Err(("outlier_detection.interval", "-1 ns")),
    ),
    (
        "base",
        |m| outlier(m).base_ejection_time = seconds(-1),
        Err(("outlier_detection.base_ejection_time", "-1 s")),
    ),
    (
        "max",
        |m| outlier(m).max_ejection_time = seconds(-1),
        Err(("outlier_detection.max_ejection_time", "-1 s")),
    ),
    ("zero", |m| outlier(m).base_ejection_time = seconds(0), OK),
    (
        "percent",
        |m| outlier(m).max_ejection_percent = u32_value(101),
        Err(("outlier_detection.max_ejection_percent", "at most 100, found 101")),
    ),
    (
        "enforcing success",
        |m| outlier(m).enforcing_success_rate = u32_value(101),
        Err(("outlier_detection.enforcing_success_rate", "at most 100")),
    ),
    (
        "threshold",
        |m| outlier(m).failure_percentage_threshold = u32_value(101),
        Err(("outlier_detection.failure_percentage_threshold", "at most 100")),
    ),
    (
        "enforcing failure",
        |m| outlier(m).enforcing_failure_percentage = u32_value(u32::MAX),
        Err(("outlier_detection.enforcing_failure_percentage", "at most 100")),
    ),
    (
        "enforcing_consecutive_5xx",
        |m| outlier(m).enforcing_consecutive_5xx = u32_value(101),
        Err(("outlier_detection.enforcing_consecutive_5xx", "at most 100")),
    ),
    (
        "enforcing_consecutive_gateway_failure",
        |m| outlier(m).enforcing_consecutive_gateway_failure = u32_value(101),
        Err(("outlier_detection.enforcing_consecutive_gateway_failure", "at most 100")),
    ),
    (
        "enforcing_consecutive_local_origin_failure",
        |m| outlier(m).enforcing_consecutive_local_origin_failure = u32_value(101),
        Err(("outlier_detection.enforcing_consecutive_local_origin_failure", "at most 100")),
    ),
    (
        "enforcing_local_origin_success_rate",
        |m| outlier(m).enforcing_local_origin_success_rate = u32_value(101),
        Err(("outlier_detection.enforcing_local_origin_success_rate", "at most 100")),
    ),
    (
        "enforcing_failure_percentage_local_origin",
        |m| outlier(m).enforcing_failure_percentage_local_origin = u32_value(101),
        Err(("outlier_detection.enforcing_failure_percentage_local_origin", "at most 100")),
    ),
    (
        "jitter",
        |m| outlier(m).max_ejection_time_jitter = seconds(-1),
        Err(("outlier_detection.max_ejection_time_jitter", "-1 s")),
    ),
    (
        "one hundred",
        |m| {
            outlier(m).max_ejection_percent = u32_value(100);
            outlier(m).enforcing_success_rate = u32_value(100);
            outlier(m).failure_percentage_threshold = u32_value(100);
            outlier(m).enforcing_failure_percentage = u32_value(100);
        },
        OK,
    ),
];

/// Proves: CDS-13.
#[test]
fn durations_and_percentages_have_limits() {
    check(&ClusterType, &eds(), OUTLIERS);
}
