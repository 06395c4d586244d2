//! The messages of both directions.

use super::*;

/// Proves: TR-65.
#[test]
fn interval_is_a_positive_duration() {
    let some = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
    let table = [
        ("none", None, None),
        ("zero", some(0, 0), None),
        ("negative", some(-1, 0), None),
        ("negative nanoseconds", some(1, -1), None),
        ("too many nanoseconds", some(1, 1_000_000_000), None),
        ("a second and a half", some(1, 500_000_000), Some(Duration::from_millis(1500))),
        ("hardly any", some(0, 1), Some(Duration::from_millis(100))),
        ("the longest", some(i64::MAX, 999_999_999), Some(Duration::new(i64::MAX as u64, 999_999_999))),
    ];
    for (name, load_reporting_interval, expected) in table {
        let response = LoadStatsResponse { load_reporting_interval, ..LoadStatsResponse::default() };
        let found = Instructions::read(response).map(|instructions| instructions.interval);
        assert_eq!(found.as_ref().ok(), expected.as_ref(), "{name}");
        if let Err(error) = found {
            assert!(error.to_string().starts_with("load_reporting_interval of"), "{name}: {error}");
        }
    }
}

/// Proves: TR-65.
#[test]
fn server_names_clusters_or_wants_all() {
    let wanted = |clusters: &[&str], send_all_clusters| {
        let clusters = clusters.iter().map(ToString::to_string).collect();
        let load_reporting_interval = Some(ProtoDuration { seconds: 1, nanos: 0 });
        let response =
            LoadStatsResponse { clusters, send_all_clusters, load_reporting_interval, ..Default::default() };
        Instructions::read(response).unwrap().wanted
    };
    for (name, wanted, a, b) in [
        ("named", wanted(&["a"], false), true, false),
        ("all", wanted(&[], true), true, true),
        ("all, whatever is named", wanted(&["a"], true), true, true),
        ("nothing", wanted(&[], false), false, false),
    ] {
        assert_eq!((wanted.contains("a"), wanted.contains("b")), (a, b), "{name}");
    }
}

/// Proves: TR-66, TR-67, TR-71, TR-72.
#[test]
fn report_says_what_was_counted() {
    let sum = |count, sum| MetricSum { count, sum };
    let mut busy = LocalitySums::default();
    (busy.issued, busy.succeeded, busy.failed, busy.in_progress) = (7, 4, 2, 1);
    busy.metrics.cpu_utilization = Some(sum(2, 1.5));
    busy.metrics.named = [("queue".into(), sum(3, 9.0))].into();
    let mut quiet = LocalitySums::default();
    quiet.issued = 1;
    let id = LocalityId { region: "r".into(), zone: "z".into(), sub_zone: "s".into() };
    let mut sums = ClusterSums::default();
    sums.localities = [(id, busy), (LocalityId::default(), quiet)].into();
    sums.drops = [("lb".into(), 2)].into();
    sums.total_drops = 5;
    let report = |service: &str| {
        let mut report = ClusterReport::new("c", service, Duration::from_millis(2500));
        report.sums = sums.clone();
        report
    };
    let request = message::load(vec![report("service"), report("c")]);
    assert_eq!(request.node, None);
    let [stats, own] = &request.cluster_stats[..] else { panic!("{request:?}") };
    assert_eq!((&*stats.cluster_name, &*stats.cluster_service_name), ("c", "service"));
    assert_eq!(own.cluster_service_name, "", "a cluster's own name is not said again");
    assert_eq!(stats.load_report_interval, Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }));
    let drops: Vec<_> =
        stats.dropped_requests.iter().map(|drop| (&*drop.category, drop.dropped_count)).collect();
    assert_eq!((drops, stats.total_dropped_requests), (vec![("lb", 2)], 5));
    // localities are in order, and the empty one is the first
    let [empty, full] = &stats.upstream_locality_stats[..] else { panic!("{stats:?}") };
    assert_eq!((empty.locality.clone(), empty.total_issued_requests), (Some(Default::default()), 1));
    let place = full.locality.as_ref().unwrap();
    assert_eq!([&*place.region, &*place.zone, &*place.sub_zone], ["r", "z", "s"]);
    assert_eq!(
        [
            full.total_issued_requests,
            full.total_successful_requests,
            full.total_error_requests,
            full.total_requests_in_progress,
        ],
        [7, 4, 2, 1]
    );
    let cpu = full.cpu_utilization.as_ref().unwrap();
    assert_eq!((cpu.num_requests_finished_with_metric, cpu.total_metric_value), (2, 1.5));
    assert!(full.mem_utilization.is_none() && full.application_utilization.is_none());
    let [queue] = &full.load_metric_stats[..] else { panic!("{full:?}") };
    assert_eq!(
        (&*queue.metric_name, queue.num_requests_finished_with_metric, queue.total_metric_value),
        ("named_metrics.queue", 3, 9.0)
    );
}

/// Proves: BS-28, TR-65.
#[test]
fn first_request_has_the_node_of_load_reports_and_nothing_else() {
    let request = message::node(&Node::new("n1").to_load_report_proto());
    assert!(request.cluster_stats.is_empty());
    let node = request.node.unwrap();
    assert_eq!(node.id, "n1");
    assert!(node.client_features.iter().any(|feature| feature == "envoy.lrs.supports_send_all_clusters"));
}
