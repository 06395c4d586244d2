//! Route configurations.

use std::time::Duration;

use xds_proto::envoy::config::route::v3::retry_policy::RetryBackOff;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::{Header, PolicySpecifier};
use xds_proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HashPolicy, MaxStreamDuration};
use xds_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use xds_proto::envoy::config::route::v3::{
    DirectResponseAction, RetryPolicy, Route, RouteAction, RouteConfiguration, VirtualHost, WeightedCluster,
    route,
};
use xds_proto::google::protobuf::{self, UInt32Value};

use super::{envoy, fault, headers, matcher};
use crate::model::{self, Service, ServicePort, Share};

/// The routes of one port, in a virtual host for any authority.
pub(super) fn translate(name: &str, service: &Service, port: &ServicePort) -> RouteConfiguration {
    let virtual_host = VirtualHost {
        name: format!("{}:{}", service.host, port.number),
        domains: vec!["*".to_owned()],
        routes: port.routes.iter().map(one).collect(),
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![virtual_host],
        ..RouteConfiguration::default()
    }
}

fn one(route: &model::Route) -> Route {
    Route {
        name: route.name.clone(),
        r#match: Some(matcher::translate(&route.matches)),
        action: Some(action(route)),
        typed_per_filter_config: route.fault.as_ref().map(fault::of_route).unwrap_or_default(),
        request_headers_to_add: headers::to_add(&route.headers.request),
        request_headers_to_remove: route.headers.request.removed.clone(),
        response_headers_to_add: headers::to_add(&route.headers.response),
        response_headers_to_remove: route.headers.response.removed.clone(),
        ..Route::default()
    }
}

fn action(route: &model::Route) -> route::Action {
    let (shares, hash_headers) = match &route.action {
        model::Action::Forward { shares, hash_headers } => (shares, hash_headers),
        model::Action::Respond { status } => {
            return route::Action::DirectResponse(DirectResponseAction {
                status: *status,
                ..DirectResponseAction::default()
            });
        }
    };
    // RDS-14: clients read the limit of a call here, and nowhere else.
    let max_stream_duration = route.timeout.map(|timeout| MaxStreamDuration {
        max_stream_duration: Some(duration(timeout)),
        ..MaxStreamDuration::default()
    });
    route::Action::Route(RouteAction {
        cluster_specifier: Some(cluster(shares)),
        timeout: Some(envoy::no_timeout()),
        max_stream_duration,
        retry_policy: route.retry.as_ref().map(retry),
        hash_policy: hash_headers.iter().map(|name| hash_policy(name)).collect(),
        ..RouteAction::default()
    })
}

fn cluster(shares: &[Share]) -> ClusterSpecifier {
    if let [only] = shares {
        return ClusterSpecifier::Cluster(only.cluster.clone());
    }
    let weight = |share: &Share| ClusterWeight {
        name: share.cluster.clone(),
        weight: Some(UInt32Value { value: share.weight }),
        request_headers_to_add: headers::to_add(&share.headers.request),
        request_headers_to_remove: share.headers.request.removed.clone(),
        response_headers_to_add: headers::to_add(&share.headers.response),
        response_headers_to_remove: share.headers.response.removed.clone(),
        ..ClusterWeight::default()
    };
    let clusters = shares.iter().map(weight).collect();
    ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..WeightedCluster::default() })
}

fn retry(retry: &model::Retry) -> RetryPolicy {
    // RDS-15: a back-off needs a base; the longest is ten times as long.
    let retry_back_off = retry.backoff.map(|base| RetryBackOff {
        base_interval: Some(duration(base)),
        max_interval: Some(duration(base.saturating_mul(10))),
    });
    RetryPolicy {
        retry_on: retry.conditions.join(","),
        num_retries: Some(UInt32Value { value: retry.retries }),
        retry_back_off,
        ..RetryPolicy::default()
    }
}

fn hash_policy(header: &str) -> HashPolicy {
    let header = Header { header_name: header.to_owned(), ..Header::default() };
    HashPolicy { policy_specifier: Some(PolicySpecifier::Header(header)), ..HashPolicy::default() }
}

pub(super) fn duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}
