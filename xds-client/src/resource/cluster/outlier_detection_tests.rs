//! Outlier detection's defaults and limits.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::{Cluster as Proto, OutlierDetection as ProtoOutlier};
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use mesh_core::config::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};

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

const SUCCESS_RATE: SuccessRateEjection =
    SuccessRateEjection { stdev_factor: 1900, enforcing_percent: 100, minimum_hosts: 5, request_volume: 100 };

fn default() -> OutlierDetection {
    OutlierDetection {
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        max_ejection_percent: 10,
        success_rate: Some(SUCCESS_RATE),
        failure_percentage: None,
    }
}

/// Decodes: CDS-14, LB-53.
#[test]
fn empty_message_switches_success_rate_on() {
    assert_eq!(decoded(None), None);
    assert_eq!(decoded(Some(ProtoOutlier::default())), Some(default()));
    let off = ProtoOutlier { enforcing_success_rate: u32_value(0), ..Default::default() };
    assert_eq!(decoded(Some(off)), Some(OutlierDetection { success_rate: None, ..default() }));
    let failure = ProtoOutlier { enforcing_failure_percentage: u32_value(100), ..Default::default() };
    let failure_percentage = Some(FailurePercentageEjection {
        threshold_percent: 85,
        enforcing_percent: 100,
        minimum_hosts: 5,
        request_volume: 50,
    });
    assert_eq!(decoded(Some(failure)), Some(OutlierDetection { failure_percentage, ..default() }));
    let long = ProtoOutlier { base_ejection_time: seconds(400), ..Default::default() };
    let times = decoded(Some(long)).map(|outlier| (outlier.base_ejection_time, outlier.max_ejection_time));
    assert_eq!(times, Some((Duration::from_secs(400), Duration::from_secs(400))));
}

#[test]
fn every_setting_is_read() {
    let value = u32_value;
    let all = ProtoOutlier {
        interval: millis(500),
        base_ejection_time: seconds(1),
        max_ejection_time: seconds(2),
        max_ejection_percent: value(100),
        success_rate_stdev_factor: value(1),
        enforcing_success_rate: value(2),
        success_rate_minimum_hosts: value(3),
        success_rate_request_volume: value(4),
        failure_percentage_threshold: value(5),
        enforcing_failure_percentage: value(6),
        failure_percentage_minimum_hosts: value(7),
        failure_percentage_request_volume: value(8),
        ..Default::default()
    };
    let expected = OutlierDetection {
        interval: Duration::from_millis(500),
        base_ejection_time: Duration::from_secs(1),
        max_ejection_time: Duration::from_secs(2),
        max_ejection_percent: 100,
        success_rate: Some(SuccessRateEjection {
            stdev_factor: 1,
            enforcing_percent: 2,
            minimum_hosts: 3,
            request_volume: 4,
        }),
        failure_percentage: Some(FailurePercentageEjection {
            threshold_percent: 5,
            enforcing_percent: 6,
            minimum_hosts: 7,
            request_volume: 8,
        }),
    };
    assert_eq!(decoded(Some(all)), Some(expected));
    let never_idle = ProtoOutlier { interval: seconds(0), ..Default::default() };
    assert_eq!(decoded(Some(never_idle)).unwrap().interval, Duration::from_millis(1));
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
