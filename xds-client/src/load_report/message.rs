//! Encodes reports.

use mesh_core::config::LocalityId;
use mesh_core::policy::load_report::{ClusterReport, LocalitySums, MetricSum, MetricSums};
use xds_proto::envoy::config::core::v3 as core;
use xds_proto::envoy::config::endpoint::v3 as proto;
use xds_proto::envoy::config::endpoint::v3::cluster_stats::DroppedRequests;
use xds_proto::envoy::service::load_stats::v3::LoadStatsRequest;
use xds_proto::google::protobuf::Duration as ProtoDuration;

// TR-65, BS-28
pub(super) fn node(node: &core::Node) -> LoadStatsRequest {
    LoadStatsRequest { node: Some(node.clone()), cluster_stats: Vec::new() }
}

// TR-66
pub(super) fn load(reports: Vec<ClusterReport>) -> LoadStatsRequest {
    LoadStatsRequest { node: None, cluster_stats: reports.into_iter().map(cluster).collect() }
}

fn cluster(report: ClusterReport) -> proto::ClusterStats {
    let ClusterReport { cluster, service_name, interval, sums, .. } = report;
    let dropped = sums.drops.iter();
    proto::ClusterStats {
        cluster_name: cluster.to_string(),
        // Empty if it is the cluster's name, as in CDS.
        cluster_service_name: if service_name == cluster { String::new() } else { service_name.to_string() },
        upstream_locality_stats: sums.localities.into_iter().map(locality).collect(),
        total_dropped_requests: sums.total_drops,
        dropped_requests: dropped
            .map(|(category, count)| DroppedRequests {
                category: category.to_string(),
                dropped_count: *count,
            })
            .collect(),
        load_report_interval: Some(ProtoDuration {
            seconds: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(interval.subsec_nanos()).unwrap_or_default(),
        }),
    }
}

fn locality((id, sums): (LocalityId, LocalitySums)) -> proto::UpstreamLocalityStats {
    let LocalityId { region, zone, sub_zone } = id;
    let MetricSums { cpu_utilization, mem_utilization, application_utilization, named, .. } = sums.metrics;
    proto::UpstreamLocalityStats {
        locality: Some(core::Locality { region, zone, sub_zone }),
        total_successful_requests: sums.succeeded,
        total_requests_in_progress: sums.in_progress,
        total_error_requests: sums.failed,
        total_issued_requests: sums.issued,
        cpu_utilization: cpu_utilization.map(unnamed),
        mem_utilization: mem_utilization.map(unnamed),
        application_utilization: application_utilization.map(unnamed),
        load_metric_stats: named
            .into_iter()
            .map(|(name, MetricSum { count, sum })| proto::EndpointLoadMetricStats {
                // TR-71
                metric_name: format!("named_metrics.{name}"),
                num_requests_finished_with_metric: count,
                total_metric_value: sum,
            })
            .collect(),
        ..proto::UpstreamLocalityStats::default()
    }
}

fn unnamed(MetricSum { count, sum }: MetricSum) -> proto::UnnamedEndpointLoadMetricStats {
    proto::UnnamedEndpointLoadMetricStats {
        num_requests_finished_with_metric: count,
        total_metric_value: sum,
    }
}
