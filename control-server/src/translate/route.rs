//! Route configurations.

use std::time::Duration;

use xds_proto::envoy::config::core::v3::data_source::Specifier;
use xds_proto::envoy::config::core::v3::{DataSource, RuntimeFractionalPercent};
use xds_proto::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use xds_proto::envoy::config::route::v3::retry_policy::retry_host_predicate::ConfigType as HostPredicate;
use xds_proto::envoy::config::route::v3::retry_policy::retry_priority::ConfigType as PriorityConfig;
use xds_proto::envoy::config::route::v3::retry_policy::{RetryBackOff, RetryHostPredicate, RetryPriority};
use xds_proto::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration, RequestMirrorPolicy,
};
use xds_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use xds_proto::envoy::config::route::v3::{
    DirectResponseAction, HedgePolicy, RedirectAction, RetryPolicy, Route, RouteAction, RouteConfiguration,
    VirtualHost, WeightedCluster, route,
};
use xds_proto::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use xds_proto::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use xds_proto::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher};
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use xds_proto::google::protobuf::{self, UInt32Value};
use xds_proto::pack_any;

use super::{envoy, fault, hash_policy, headers, matcher, session};
use crate::model::{self, PathRewrite, Service, ServicePort, Share};

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
    let fault = route.fault.as_ref().map(fault::of_route);
    let filters = fault.into_iter().chain(route.session.as_ref().map(session::of_route));
    Route {
        name: route.name.clone(),
        r#match: Some(matcher::translate(&route.matches)),
        action: Some(action(route)),
        typed_per_filter_config: filters.collect(),
        request_headers_to_add: headers::to_add(&route.headers.request),
        request_headers_to_remove: route.headers.request.removed.clone(),
        response_headers_to_add: headers::to_add(&route.headers.response),
        response_headers_to_remove: route.headers.response.removed.clone(),
        ..Route::default()
    }
}

fn action(route: &model::Route) -> route::Action {
    let (shares, hash_keys) = match &route.action {
        model::Action::Forward { shares, hash_keys } => (shares, hash_keys),
        model::Action::Respond { status, body } => return respond(*status, body.as_deref()),
        model::Action::Redirect(to) => return route::Action::Redirect(redirect(to)),
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
        hedge_policy: route.retry.as_ref().filter(|retry| retry.is_hedged).map(|_| hedge()),
        hash_policy: hash_keys.iter().flat_map(hash_policy::translate).collect(),
        request_mirror_policies: route.mirrors.iter().map(mirror).collect(),
        ..rewrite(&route.rewrite)
    })
}

/// An action with nothing but the rewrite.
fn rewrite(rewrite: &model::Rewrite) -> RouteAction {
    let mut action = RouteAction::default();
    match &rewrite.path {
        Some(PathRewrite::Matched(path)) => action.prefix_rewrite.clone_from(path),
        Some(PathRewrite::Regex { regex, substitution }) => {
            let pattern = RegexMatcher { regex: regex.clone(), ..RegexMatcher::default() };
            let substitution = substitution.clone();
            action.regex_rewrite = Some(RegexMatchAndSubstitute { pattern: Some(pattern), substitution });
        }
        None => {}
    }
    action.host_rewrite_specifier = rewrite.authority.clone().map(HostRewriteSpecifier::HostRewriteLiteral);
    action
}

fn mirror(mirror: &model::Mirror) -> RequestMirrorPolicy {
    let numerator = mirror.share;
    let share = FractionalPercent { numerator, denominator: DenominatorType::Million.into() };
    RequestMirrorPolicy {
        cluster: mirror.cluster.clone(),
        runtime_fraction: Some(RuntimeFractionalPercent { default_value: Some(share), ..Default::default() }),
        ..RequestMirrorPolicy::default()
    }
}

fn respond(status: u32, body: Option<&[u8]>) -> route::Action {
    let body = body.map(|bytes| DataSource { specifier: Some(Specifier::InlineBytes(bytes.to_vec())) });
    route::Action::DirectResponse(DirectResponseAction { status, body })
}

fn redirect(to: &model::Redirect) -> RedirectAction {
    let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let status = match to.status {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    };
    RedirectAction {
        host_redirect: to.authority.clone(),
        path_rewrite_specifier: set(&to.path).map(PathRewriteSpecifier::PathRedirect),
        response_code: status.into(),
        scheme_rewrite_specifier: set(&to.scheme).map(SchemeRewriteSpecifier::SchemeRedirect),
        port_redirect: to.port.unwrap_or(0),
        ..RedirectAction::default()
    }
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
        per_try_timeout: retry.per_try_timeout.map(duration),
        retry_host_predicate: retry.to_other_endpoints.then(previous_hosts).into_iter().collect(),
        host_selection_retry_max_attempts: if retry.to_other_endpoints { REPICKS } else { 0 },
        retry_priority: retry.to_other_priorities.then(previous_priorities),
        ..RetryPolicy::default()
    }
}

/// Another attempt when the time of one is over.
fn hedge() -> HedgePolicy {
    HedgePolicy { hedge_on_per_try_timeout: true }
}

fn previous_hosts() -> RetryHostPredicate {
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(HostPredicate::TypedConfig(pack_any(PreviousHostsPredicate {}))),
    }
}

fn previous_priorities() -> RetryPriority {
    // As in Istio: the load is spread anew after every second attempt.
    let config = PreviousPrioritiesConfig { update_frequency: 2 };
    RetryPriority {
        name: "envoy.retry_priorities.previous_priorities".to_owned(),
        config_type: Some(PriorityConfig::TypedConfig(pack_any(config))),
    }
}

pub(super) fn duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// How often a retry looks for an endpoint that the call has not tried, as in Istio.
const REPICKS: i64 = 5;
