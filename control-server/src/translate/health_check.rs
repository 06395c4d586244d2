//! Active health checks of a cluster, for mesh-tonic and Envoy.

use std::time::Duration;

use xds_proto::envoy::config::core::v3::HealthCheck as Made;
use xds_proto::envoy::config::core::v3::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck,
};
use xds_proto::envoy::r#type::v3::{CodecClientType, Int64Range};
use xds_proto::google::protobuf::UInt32Value;

use super::route::duration;
use crate::kinds::ProtoDuration;
use crate::kinds::mesh_policy::HealthCheck;

/// Always complete: clients refuse a check without these fields (LB-64).
pub(super) fn health_check(check: &HealthCheck) -> Made {
    let time = |given: Option<ProtoDuration>, default| Some(duration(given.map_or(default, |given| given.0)));
    let number = |given: Option<u32>, default| Some(UInt32Value { value: given.unwrap_or(default) });
    Made {
        timeout: time(check.timeout, TIMEOUT),
        interval: time(check.interval, INTERVAL),
        // Without calls Envoy's 60 s would keep endpoints unknown for longer than was asked for.
        no_traffic_interval: time(check.interval, INTERVAL),
        unhealthy_threshold: number(check.unhealthy_threshold, 3),
        healthy_threshold: number(check.healthy_threshold, 2),
        health_checker: checker(check),
        ..Made::default()
    }
}

fn checker(check: &HealthCheck) -> Option<HealthChecker> {
    if let Some(grpc) = &check.grpc {
        let service_name = grpc.service.clone();
        return Some(HealthChecker::GrpcHealthCheck(GrpcHealthCheck { service_name, ..Default::default() }));
    }
    if let Some(http) = &check.http {
        let only = |status: &u32| Int64Range { start: i64::from(*status), end: i64::from(*status) + 1 };
        return Some(HealthChecker::HttpHealthCheck(HttpHealthCheck {
            host: http.host.clone(),
            path: http.path.clone(),
            expected_statuses: http.expected_statuses.iter().map(only).collect(),
            // What listens at the port of a gRPC service speaks nothing else.
            codec_client_type: CodecClientType::Http2.into(),
            ..Default::default()
        }));
    }
    check.tcp.map(|_| HealthChecker::TcpHealthCheck(TcpHealthCheck::default()))
}

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
