//! The translation of `outlierDetection`.

use prost::Message;
use xds_proto::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::google::protobuf::{Duration, UInt32Value};

use super::clusters::only;

fn cluster(fields: &str) -> Cluster {
    only(&format!("outlierDetection: {{{fields}}}"))
}

fn read(value: Option<UInt32Value>) -> Option<u32> {
    value.map(|value| value.value)
}

/// Threshold and enforcement of server errors, of gateway errors and of failures to reach an endpoint.
fn rows(outlier: &OutlierDetection) -> [(Option<u32>, Option<u32>); 3] {
    [
        (read(outlier.consecutive_5xx), read(outlier.enforcing_consecutive_5xx)),
        (read(outlier.consecutive_gateway_failure), read(outlier.enforcing_consecutive_gateway_failure)),
        (
            read(outlier.consecutive_local_origin_failure),
            read(outlier.enforcing_consecutive_local_origin_failure),
        ),
    ]
}

fn row(threshold: u32) -> (Option<u32>, Option<u32>) {
    (Some(threshold), Some(if threshold > 0 { 100 } else { 0 }))
}

const NO_ROW: (Option<u32>, Option<u32>) = (None, None);

#[test]
fn failures_in_a_row_are_enforced_as_istio_does() {
    let expected = [
        // Istio's default
        ("", [row(5), row(0), NO_ROW]),
        ("consecutive5xxErrors: 7", [row(7), row(0), NO_ROW]),
        ("consecutiveErrors: 7", [row(7), row(0), NO_ROW]),
        ("consecutiveGatewayErrors: 3", [row(5), row(3), NO_ROW]),
        ("consecutive5xxErrors: 0, consecutiveGatewayErrors: 2", [row(0), row(2), NO_ROW]),
        ("consecutiveLocalOriginFailures: 4", [row(5), row(0), NO_ROW]),
        ("splitExternalLocalOriginErrors: true", [row(5), row(0), row(5)]),
        ("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4", [row(5), row(0), row(4)]),
        ("splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0", [row(5), row(0), row(0)]),
    ];
    for (fields, expected) in expected {
        let outlier = cluster(fields).outlier_detection.unwrap();
        assert_eq!(rows(&outlier), expected, "{fields}");
        assert_eq!(read(outlier.enforcing_success_rate), Some(0), "{fields}");
        let is_split = fields.contains("split");
        assert_eq!(outlier.split_external_local_origin_errors, is_split, "{fields}");
        assert_eq!(read(outlier.enforcing_local_origin_success_rate), is_split.then_some(0), "{fields}");
    }
    assert_eq!(cluster("consecutive5xxErrors: 0").outlier_detection, None, "turned off");
    let split = "consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true";
    let outlier = cluster(split).outlier_detection.unwrap();
    assert_eq!(rows(&outlier), [row(0), row(0), row(5)]);
    assert_eq!(
        read(outlier.enforcing_failure_percentage),
        None,
        "which would count what the endpoint answers"
    );
}

#[test]
fn failures_in_a_row_become_a_share_of_failures_for_other_grpc_clients() {
    let fields = "consecutive5xxErrors: 7, interval: 3s, baseEjectionTime: 500ms, maxEjectionPercent: 40";
    let outlier = cluster(fields).outlier_detection.unwrap();
    assert_eq!(read(outlier.enforcing_failure_percentage), Some(100));
    assert_eq!(read(outlier.failure_percentage_threshold), Some(85));
    assert_eq!(read(outlier.failure_percentage_minimum_hosts), Some(1));
    assert_eq!(outlier.interval.unwrap(), Duration { seconds: 3, nanos: 0 });
    assert_eq!(outlier.base_ejection_time.unwrap(), Duration { seconds: 0, nanos: 500_000_000 });
    assert_eq!(read(outlier.max_ejection_percent), Some(40));
    for (fields, volume) in [
        (fields, 7),
        ("", 5),
        ("consecutiveGatewayErrors: 3", 3),
        ("consecutive5xxErrors: 0, consecutiveGatewayErrors: 2", 2),
    ] {
        let outlier = cluster(fields).outlier_detection.unwrap();
        assert_eq!(read(outlier.failure_percentage_request_volume), Some(volume), "{fields}");
    }
}

#[test]
fn panic_threshold_is_explicit_wherever_there_is_outlier_detection() {
    let threshold = |cluster: Cluster| Some(cluster.common_lb_config?.healthy_panic_threshold?.value);
    assert_eq!(threshold(cluster("")), Some(0.0));
    assert_eq!(threshold(cluster("minHealthPercent: 30")), Some(30.0));
    assert_eq!(threshold(only("loadBalancer: {simple: ROUND_ROBIN}")), None);
}

#[test]
fn error_codes_become_a_matcher_for_envoy() {
    let options = |fields: &str| {
        let [(_, any)] = cluster(fields)
            .typed_extension_protocol_options
            .into_iter()
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        HttpProtocolOptions::decode(&*any.value).unwrap()
    };
    assert_eq!(options("").outlier_detection, None);
    let outlier = options("outlierDetectionHttpErrorCodes: [429, 503]").outlier_detection.unwrap();
    let text = format!("{outlier:?}");
    assert!(text.contains(":status") && text.contains("\"429|503\""), "{text}");
}
