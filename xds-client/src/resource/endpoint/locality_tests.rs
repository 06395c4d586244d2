//! Endpoints of a locality.

use std::num::NonZeroU32;

use mesh_core::config::{Endpoint, HealthStatus};
use serde_json::json;
use xds_proto::envoy::config::core::v3::{
    HealthStatus as ProtoHealth, address, socket_address::PortSpecifier,
};
use xds_proto::envoy::config::endpoint::v3::endpoint::AdditionalAddress;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use xds_proto::envoy::extensions::filters::http::gcp_authn::v3::Audience;

use super::samples::{additional, inner, two_priorities};
use super::{DecodeContext, EndpointsType};
use crate::bootstrap::FeatureGuards;
use crate::resource::testing::{
    OK, Row, address as at, broken_any, check, decode, metadata, pack_any, pipe, typed_metadata, u32_value,
    unknown_any,
};

fn first(message: &mut ClusterLoadAssignment) -> &mut LbEndpoint {
    &mut message.endpoints[0].lb_endpoints[0]
}

/// The first locality's endpoints after a change of the first one.
fn decoded(context: &DecodeContext, change: impl FnOnce(&mut LbEndpoint)) -> Vec<Endpoint> {
    let mut message = two_priorities();
    change(first(&mut message));
    let assignment = decode::<super::ClusterLoadAssignment>(&EndpointsType, context, &message).unwrap();
    assignment.set.priorities[0].localities[0].endpoints.iter().cloned().collect()
}

const ADDRESSES_AND_WEIGHTS: &[Row<ClusterLoadAssignment>] = &[
    ("EDS-07 unset weight", |m| first(m).load_balancing_weight = None, OK),
    (
        "EDS-07 weight 0",
        |m| first(m).load_balancing_weight = u32_value(0),
        Err(("endpoints[0].lb_endpoints[0].load_balancing_weight", "must not be 0")),
    ),
    ("EDS-07 sum at the limit", |m| first(m).load_balancing_weight = u32_value(u32::MAX - 1), OK),
    (
        "EDS-07 sum above the limit",
        |m| first(m).load_balancing_weight = u32_value(u32::MAX),
        Err(("endpoints[0].lb_endpoints[1].load_balancing_weight", "more than 4294967295")),
    ),
    (
        "EDS-08 no endpoint",
        |m| first(m).host_identifier = None,
        Err(("endpoints[0].lb_endpoints[0].endpoint", "must be set")),
    ),
    (
        "EDS-08 endpoint by name",
        |m| {
            first(m).host_identifier = Some(HostIdentifier::EndpointName("x".into()));
        },
        Err(("endpoints[0].lb_endpoints[0].endpoint", "must be set")),
    ),
    (
        "EDS-08 no address",
        |m| inner(first(m)).address = None,
        Err(("endpoints[0].lb_endpoints[0].endpoint.address", "must be set")),
    ),
    (
        "EDS-08 pipe",
        |m| inner(first(m)).address = pipe(),
        Err(("endpoints[0].lb_endpoints[0].endpoint.address.socket_address", "must be set")),
    ),
    (
        "EDS-08 host name",
        |m| inner(first(m)).address = at("localhost", 80),
        Err((
            "endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
            "\"localhost\" is not an IP",
        )),
    ),
    (
        "EDS-08 empty host",
        |m| inner(first(m)).address = at("", 80),
        Err(("endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address", "not an IP address")),
    ),
    (
        "EDS-08 port above 16 bits",
        |m| inner(first(m)).address = at("10.0.0.9", 65_616),
        Err((
            "endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value",
            "65616 is above 65535",
        )),
    ),
    (
        "EDS-08 named port",
        |m| {
            let mut named = at("10.0.0.9", 80).unwrap();
            if let Some(address::Address::SocketAddress(socket)) = &mut named.address {
                socket.port_specifier = Some(PortSpecifier::NamedPort("http".into()));
            }
            inner(first(m)).address = Some(named);
        },
        Err(("endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value", "must be set")),
    ),
    ("EDS-08 IPv6", |m| inner(first(m)).address = at("::1", 80), OK),
    (
        "EDS-09 same locality",
        |m| inner(first(m)).address = at("10.0.0.2", 80),
        Err(("endpoints[0].lb_endpoints[1].endpoint.address", "10.0.0.2:80 occurs twice")),
    ),
    (
        "EDS-09 other priority",
        |m| inner(first(m)).address = at("2001:db8:0::1", 80),
        Err(("endpoints[1].lb_endpoints[0].endpoint.address", "[2001:db8::1]:80 occurs twice")),
    ),
    ("EDS-09 other port", |m| inner(first(m)).address = at("10.0.0.2", 81), OK),
    (
        "EDS-09 an endpoint that is not used counts",
        |m| {
            inner(first(m)).address = at("10.0.0.2", 80);
            first(m).health_status = ProtoHealth::Unhealthy as i32;
        },
        Err(("endpoints[0].lb_endpoints[1].endpoint.address", "10.0.0.2:80 occurs twice")),
    ),
    (
        "EDS-09 across additional addresses",
        |m| {
            inner(first(m)).additional_addresses = vec![additional("::1", 80), additional("10.0.0.2", 80)];
        },
        Err(("endpoints[0].lb_endpoints[1].endpoint.address", "10.0.0.2:80 occurs twice")),
    ),
    (
        "EDS-09 within one endpoint",
        |m| {
            inner(first(m)).additional_addresses = vec![additional("10.0.0.1", 80)];
        },
        Err((
            "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[0].address",
            "10.0.0.1:80 occurs twice",
        )),
    ),
    (
        "EDS-10 unset",
        |m| inner(first(m)).additional_addresses = vec![AdditionalAddress::default()],
        Err(("endpoints[0].lb_endpoints[0].endpoint.additional_addresses[0].address", "must be set")),
    ),
    (
        "EDS-10 host name",
        |m| inner(first(m)).additional_addresses = vec![additional("::1", 1), additional("x", 80)],
        Err((
            "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[1].address.socket_address.address",
            "\"x\" is not an IP",
        )),
    ),
];

/// Proves: EDS-07, EDS-08, EDS-09, EDS-10.
#[test]
fn addresses_and_weights() {
    check(&EndpointsType, &two_priorities(), ADDRESSES_AND_WEIGHTS);
    let context = DecodeContext::default();
    let endpoints = decoded(&context, |first| {
        first.load_balancing_weight = u32_value(7);
        inner(first).additional_addresses = vec![additional("::1", 81), additional("10.0.0.7", 80)];
    });
    let text = ["10.0.0.1:80", "[::1]:81", "10.0.0.7:80"].map(|text| text.parse().unwrap());
    assert_eq!(endpoints[0].addresses.as_slice(), text);
    assert_eq!(endpoints.iter().map(|e| e.weight.get()).collect::<Vec<_>>(), [7, 1]);
    assert_eq!(endpoints[1].weight, NonZeroU32::MIN);
}

/// Proves: EDS-11.
#[test]
fn health_decides_what_is_kept() {
    let rows = [
        (ProtoHealth::Unknown as i32, Some(HealthStatus::Unknown)),
        (ProtoHealth::Healthy as i32, Some(HealthStatus::Healthy)),
        (ProtoHealth::Draining as i32, Some(HealthStatus::Draining)),
        (ProtoHealth::Unhealthy as i32, None),
        (ProtoHealth::Timeout as i32, None),
        (ProtoHealth::Degraded as i32, None),
        (99, None),
    ];
    for (status, expected) in rows {
        let endpoints = decoded(&DecodeContext::default(), |first| first.health_status = status);
        match expected {
            Some(health) => assert_eq!((endpoints.len(), endpoints[0].health), (2, health), "{status}"),
            None => assert_eq!(endpoints.len(), 1, "{status}"),
        }
    }
}

const METADATA: &[Row<ClusterLoadAssignment>] = &[
    (
        "RV-08 does not parse",
        |m| {
            first(m).metadata = typed_metadata("a", json!({}), broken_any::<Audience>());
        },
        Err(("endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata[\"a\"]", "Audience: ")),
    ),
    (
        "RV-08 of a locality",
        |m| {
            m.endpoints[1].metadata = typed_metadata("a", json!({}), broken_any::<Audience>());
        },
        Err(("endpoints[1].metadata.typed_filter_metadata[\"a\"]", "Audience: ")),
    ),
    (
        "RV-09 no URL",
        |m| first(m).metadata = typed_metadata("a", json!({}), pack_any(Audience::default())),
        Err(("endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata[\"a\"].url", "must not be empty")),
    ),
    (
        "RV-09 host name",
        |m| {
            first(m).metadata = typed_metadata("a", json!({}), pack_any(at("proxy", 1).unwrap()));
        },
        Err((
            "endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata[\"a\"].socket_address.address",
            "\"proxy\" is not an IP",
        )),
    ),
];

/// Proves: RV-08, RV-09, EDS-14.
#[test]
fn host_name_and_metadata() {
    let new = DecodeContext::default();
    let guards = FeatureGuards { endpoint_hash_key_backward_compat: true, ..Default::default() };
    let old = DecodeContext { guards, ..Default::default() };
    let key = |value| metadata("envoy.lb", json!({"hash_key": value}));
    let hash_key = |context: &DecodeContext, metadata| {
        decoded(context, |first| first.metadata = metadata)[0].hash_key().map(|key| &**key).map(str::to_owned)
    };
    assert_eq!(hash_key(&new, key(json!("k"))).as_deref(), Some("k"));
    assert_eq!(hash_key(&old, key(json!("k"))), None);
    assert_eq!(hash_key(&new, key(json!(""))), None);
    assert_eq!(hash_key(&new, key(json!(1))), None);
    assert_eq!(hash_key(&new, metadata("other", json!({"hash_key": "k"}))), None);
    assert_eq!(&*decoded(&new, |first| inner(first).hostname = "h".into())[0].hostname, "h");

    let audience = |url: &str| pack_any(Audience { url: url.into(), ..Default::default() });
    let typed = |any| typed_metadata("envoy.lb", json!({"hash_key": "k"}), any);
    // RV-08: an unknown type leaves the untyped entry in force, a known one hides it.
    assert_eq!(hash_key(&new, typed(unknown_any())).as_deref(), Some("k"));
    assert_eq!(hash_key(&new, typed(audience("https://a"))), None);
    assert_eq!(hash_key(&new, typed(pack_any(at("::1", 1).unwrap()))), None);
    check(&EndpointsType, &two_priorities(), METADATA);
}

/// Proves: LB-79, RV-09.
#[test]
fn proxy_is_that_of_the_endpoint_or_else_of_its_locality() {
    const KEY: &str = "envoy.http11_proxy_transport_socket.proxy_address";
    let proxy = |port| typed_metadata(KEY, json!({}), pack_any(at("::1", port).unwrap()));
    let context = DecodeContext::default();
    let mut message = two_priorities();
    message.endpoints[0].metadata = proxy(1);
    first(&mut message).metadata = proxy(2);
    let found = decode::<super::ClusterLoadAssignment>(&EndpointsType, &context, &message).unwrap();
    let proxies = |priority: usize| -> Vec<Option<u16>> {
        let endpoints = found.set.priorities[priority].localities[0].endpoints.iter();
        endpoints.map(|one| Some(one.details.as_ref()?.proxy?.port())).collect()
    };
    assert_eq!(proxies(0), [Some(2), Some(1)]);
    assert!(proxies(1).iter().all(Option::is_none));
    let other = decoded(&context, |first| {
        first.metadata = typed_metadata("other", json!({}), pack_any(at("::1", 1).unwrap()))
    });
    assert_eq!(other[0].details, None, "under another key it is no proxy");
}
