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

use super::{cors, envoy, family, fault, hash_policy, headers, matcher, session};
use crate::model::{self, PathRewrite, Service, ServicePort, Share};
use crate::state::ClientFamily;

/// The routes of one port for the clients of a family, in a virtual host for any authority.
pub(super) fn translate(
    name: &str,
    service: &Service,
    port: &ServicePort,
    family: ClientFamily,
) -> RouteConfiguration {
    let seen = port.routes.iter().filter_map(|route| family::seen(route, family));
    let virtual_host = VirtualHost {
        name: format!("{}:{}", service.host, port.number),
        domains: vec!["*".to_owned()],
        routes: seen.map(|route| one(&route, family)).collect(),
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![virtual_host],
        ..RouteConfiguration::default()
    }
}

fn one(route: &model::Route, family: ClientFamily) -> Route {
    let fault = route.fault.as_ref().map(fault::of_route);
    let filters = fault.into_iter().chain(route.session.as_ref().map(session::of_route));
    let cors = route.cors.as_ref().filter(|_| family == ClientFamily::Envoy).map(cors::of_route);
    let filters = filters.chain(cors);
    Route {
        name: route.name.clone(),
        r#match: Some(matcher::translate(&route.matches)),
        action: Some(action(route, family)),
        typed_per_filter_config: filters.collect(),
        request_headers_to_add: headers::to_add(&route.headers.request),
        request_headers_to_remove: route.headers.request.removed.clone(),
        response_headers_to_add: headers::to_add(&route.headers.response),
        response_headers_to_remove: route.headers.response.removed.clone(),
        ..Route::default()
    }
}

fn action(route: &model::Route, family: ClientFamily) -> route::Action {
    let answers_http = family::answers_http(route, family);
    let (shares, hash_keys) = match &route.action {
        model::Action::Forward { shares, .. } if answers_http && shares.iter().all(|one| one.is_missing) => {
            return respond(MISSING, None);
        }
        model::Action::Forward { shares, hash_keys } => (shares, hash_keys),
        model::Action::Respond { status, body } => return respond(*status, body.as_deref()),
        model::Action::Redirect(to) => return route::Action::Redirect(redirect(to)),
    };
    // Envoy ends requests of HTTP with 504 when this time is over, and with 408 at the other limit.
    let timeout = route.timeout.filter(|_| answers_http).map_or_else(envoy::no_timeout, duration);
    // Envoy limits attempts that are not retried, too; for others the limit of the only attempt is that of the call.
    let of_attempt = route.attempt_timeout.filter(|_| answers_http).map(only_attempt);
    // RDS-14: clients read the limit of a call here, and nowhere else.
    let limit = [route.timeout, route.attempt_timeout].into_iter().flatten().min();
    let max_stream_duration = limit.filter(|_| !answers_http).map(|limit| MaxStreamDuration {
        max_stream_duration: Some(duration(limit)),
        ..MaxStreamDuration::default()
    });
    route::Action::Route(RouteAction {
        cluster_specifier: Some(cluster(shares, answers_http)),
        timeout: Some(timeout),
        max_stream_duration,
        retry_policy: route.retry.as_ref().map(retry).or(of_attempt),
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
            action.regex_rewrite = Some(matched(regex, substitution));
        }
        Some(PathRewrite::Whole(path)) => action.regex_rewrite = Some(whole_path(path)),
        None => {}
    }
    action.host_rewrite_specifier = rewrite.authority.clone().map(HostRewriteSpecifier::HostRewriteLiteral);
    action
}

/// Replaces every match of an expression.
fn matched(regex: &str, substitution: &str) -> RegexMatchAndSubstitute {
    let pattern = RegexMatcher { regex: regex.to_owned(), ..RegexMatcher::default() };
    RegexMatchAndSubstitute { pattern: Some(pattern), substitution: substitution.to_owned() }
}

/// Replaces the whole path; a backslash in the new one stands for itself.
fn whole_path(path: &str) -> RegexMatchAndSubstitute {
    matched("^.+$", &path.replace('\\', r"\\"))
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
    let path = to.path.as_ref().map(|path| match path {
        PathRewrite::Whole(path) => PathRewriteSpecifier::PathRedirect(path.clone()),
        PathRewrite::Matched(path) => PathRewriteSpecifier::PrefixRewrite(path.clone()),
        PathRewrite::Regex { regex, substitution } => {
            PathRewriteSpecifier::RegexRewrite(matched(regex, substitution))
        }
    });
    RedirectAction {
        host_redirect: to.authority.clone(),
        path_rewrite_specifier: path,
        response_code: status.into(),
        scheme_rewrite_specifier: set(&to.scheme).map(SchemeRewriteSpecifier::SchemeRedirect),
        port_redirect: to.port.unwrap_or(0),
        ..RedirectAction::default()
    }
}

/// `fails_missing`: calls for what is missing end with a status of HTTP.
fn cluster(shares: &[Share], fails_missing: bool) -> ClusterSpecifier {
    if let [only] = shares {
        return ClusterSpecifier::Cluster(only.cluster.clone());
    }
    let missing = |share: &Share| (fails_missing && share.is_missing).then(|| fault::of_share(MISSING));
    let weight = |share: &Share| ClusterWeight {
        name: share.cluster.clone(),
        weight: Some(UInt32Value { value: share.weight }),
        request_headers_to_add: headers::to_add(&share.headers.request),
        request_headers_to_remove: share.headers.request.removed.clone(),
        response_headers_to_add: headers::to_add(&share.headers.response),
        response_headers_to_remove: share.headers.response.removed.clone(),
        typed_per_filter_config: missing(share).into_iter().collect(),
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
        retriable_status_codes: retry.status_codes.clone(),
        retry_host_predicate: retry.to_other_endpoints.then(previous_hosts).into_iter().collect(),
        host_selection_retry_max_attempts: if retry.to_other_endpoints { REPICKS } else { 0 },
        retry_priority: retry.to_other_priorities.then(previous_priorities),
        ..RetryPolicy::default()
    }
}

/// Limits the only attempt: without a condition nothing is retried.
fn only_attempt(limit: Duration) -> RetryPolicy {
    RetryPolicy { per_try_timeout: Some(duration(limit)), ..RetryPolicy::default() }
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

/// As the Gateway API has it for a backend that is missing.
const MISSING: u32 = 500;

/// How often a retry looks for an endpoint that the call has not tried, as in Istio.
const REPICKS: i64 = 5;
