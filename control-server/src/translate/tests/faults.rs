//! Faults.

use prost::{Message, Name};
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::Route;
use xds_proto::envoy::extensions::filters::common::fault::v3::FaultDelay;
use xds_proto::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier as DelayKind;
use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use xds_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use xds_proto::google::protobuf::Duration;

use super::{ORDERS, Resources, decode, document, routes, services, translate};
use crate::resources::ResourceKind;

const TO_ORDERS: &str = "route: [{destination: {host: orders}}]";

fn with_rules(rules: &str) -> Resources {
    let spec = format!("{{hosts: [orders], http: [{rules}]}}");
    translate(&(services() + &document("VirtualService", "orders", &spec)))
}

/// What the filter is told at a route.
fn at(route: &Route) -> Option<HttpFault> {
    let any = route.typed_per_filter_config.get("envoy.filters.http.fault")?;
    assert_eq!(any.type_url, HttpFault::type_url());
    Some(HttpFault::decode(&*any.value).unwrap())
}

fn fault(text: &str) -> HttpFault {
    let resources = with_rules(&format!("{{fault: {{{text}}}, {TO_ORDERS}}}"));
    let [route] = routes(&resources, ORDERS).try_into().unwrap();
    at(&route).unwrap()
}

fn filters(resources: &Resources, listener: &str) -> Vec<HttpFilter> {
    let listener: Listener = decode(resources, ResourceKind::Listener, listener);
    let any = listener.api_listener.unwrap().api_listener.unwrap();
    HttpConnectionManager::decode(&*any.value).unwrap().http_filters
}

fn share(of_a_million: u32) -> Option<FractionalPercent> {
    Some(FractionalPercent { numerator: of_a_million, denominator: DenominatorType::Million.into() })
}

#[test]
fn delay_and_abort_are_overrides_of_their_route() {
    let delay = |share, seconds, nanos| FaultDelay {
        percentage: share,
        fault_delay_secifier: Some(DelayKind::FixedDelay(Duration { seconds, nanos })),
    };
    let abort = |share, error_type| FaultAbort {
        percentage: share,
        error_type: Some(error_type),
        ..FaultAbort::default()
    };
    let rows = [
        (
            "delay: {percentage: {value: 50}, fixedDelay: 1.5s}",
            Some(delay(share(500_000), 1, 500_000_000)),
            None,
        ),
        ("delay: {percent: 7, fixedDelay: 3s}", Some(delay(share(70_000), 3, 0)), None),
        (
            "delay: {percent: 7, percentage: {value: 0.29}, fixedDelay: 3s}",
            Some(delay(share(2_900), 3, 0)),
            None,
        ),
        ("delay: {fixedDelay: 3s}", Some(delay(share(0), 3, 0)), None),
        (
            "abort: {percentage: {value: 100}, httpStatus: 503}",
            None,
            Some(abort(share(1_000_000), ErrorType::HttpStatus(503))),
        ),
        (
            "abort: {percentage: {value: 0.0001}, grpcStatus: UNAUTHENTICATED}",
            None,
            Some(abort(share(1), ErrorType::GrpcStatus(16))),
        ),
        ("abort: {grpcStatus: OK}", None, Some(abort(share(0), ErrorType::GrpcStatus(0)))),
        (
            "delay: {percentage: {value: 10}, fixedDelay: 1ms}, abort: {percentage: {value: 20}, grpcStatus: ABORTED}",
            Some(delay(share(100_000), 0, 1_000_000)),
            Some(abort(share(200_000), ErrorType::GrpcStatus(10))),
        ),
    ];
    for (text, delay, abort) in rows {
        assert_eq!(fault(text), HttpFault { delay, abort, ..HttpFault::default() }, "{text}");
    }
}

#[test]
fn only_listeners_with_a_fault_have_the_filter_and_it_injects_nothing_by_itself() {
    let rules = format!(
        "{{match: [{{uri: {{prefix: /a}}}}], fault: {{abort: {{percentage: {{value: 5}}, grpcStatus: INTERNAL}}}}, \
         {TO_ORDERS}}}, {{{TO_ORDERS}}}"
    );
    let resources = with_rules(&rules);
    let faults: Vec<bool> = routes(&resources, ORDERS).iter().map(|route| at(route).is_some()).collect();
    assert_eq!(faults, [true, false]);
    for name in ["orders", "orders.shop.svc.cluster.local:80"] {
        let [fault, router] = filters(&resources, name).try_into().unwrap();
        assert_eq!(
            (fault.name.as_str(), fault.is_optional, fault.disabled),
            ("envoy.filters.http.fault", false, false)
        );
        let Some(ConfigType::TypedConfig(any)) = fault.config_type else { panic!("{fault:?}") };
        assert_eq!(any.type_url, HttpFault::type_url());
        assert_eq!(HttpFault::decode(&*any.value).unwrap(), HttpFault::default());
        assert_eq!(router.name, "envoy.filters.http.router");
    }
    assert_eq!(filters(&resources, "users").len(), 1);
}

/// As Istio does: what a fault lets through is limited and tried again as ever.
#[test]
fn timeout_and_retries_stay_beside_a_fault() {
    let rule = format!(
        "{{fault: {{abort: {{percentage: {{value: 5}}, httpStatus: 503}}}}, timeout: 2s, retries: {{attempts: 3}}, {TO_ORDERS}}}"
    );
    let plain = format!("{{timeout: 2s, retries: {{attempts: 3}}, {TO_ORDERS}}}");
    let action = |rules: &str| routes(&with_rules(rules), ORDERS)[0].action.clone();
    assert_eq!(action(&rule), action(&plain));
}

#[test]
fn fault_of_a_delegate_wins_over_that_of_the_rule_that_delegates() {
    let delegate = |fault: &str| {
        let part = document("VirtualService", "part", &format!("{{http: [{{{fault} {TO_ORDERS}}}]}}"));
        let root = "{hosts: [orders], http: [{fault: {abort: {percentage: {value: 1}, httpStatus: 500}}, delegate: {name: \
                    part}}]}";
        let text = services() + &part + &document("VirtualService", "orders", root);
        let fault = at(&routes(&translate(&text), ORDERS)[0]).unwrap();
        fault.abort.unwrap().error_type.unwrap()
    };
    assert_eq!(delegate(""), ErrorType::HttpStatus(500));
    let own = "fault: {abort: {percentage: {value: 1}, httpStatus: 501}},";
    assert_eq!(delegate(own), ErrorType::HttpStatus(501));
}
