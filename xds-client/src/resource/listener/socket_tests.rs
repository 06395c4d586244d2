//! Listeners of servers.

use std::sync::Arc;
use std::time::Instant;

use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::listener::v3::{FilterChainMatch, Listener as Proto, ListenerFilter};
use xds_proto::envoy::extensions::transport_sockets::http_11_proxy::v3::Http11ProxyUpstreamTransport;
use xds_proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::{DownstreamTlsContext, UpstreamTlsContext};

use super::samples::{chain, manager, network_filter, socket};
use super::{DecodeContext, Listener, ListenerType, ResourceType};
use crate::resource::testing::{
    OK, Row, bool_value, broken_any, check, decode, pack_any, pipe, transport_socket, u32_value, unknown_any,
};

const SERVERS: &[Row<Proto>] = &[
    ("good", |_| {}, OK),
    (
        "LDS-13 listener filters",
        |m| m.listener_filters = vec![ListenerFilter::default()],
        Err(("listener_filters", "must be empty")),
    ),
    (
        "LDS-13 original destination",
        |m| m.use_original_dst = bool_value(true),
        Err(("use_original_dst", "must be false")),
    ),
    ("LDS-13 not original destination", |m| m.use_original_dst = bool_value(false), OK),
    ("LDS-14 no address", |m| m.address = None, Err(("address", "must be set"))),
    ("LDS-14 pipe", |m| m.address = pipe(), Err(("address.socket_address", "must be set"))),
    (
        "LDS-15 no filters",
        |m| m.filter_chains[0].filters.clear(),
        Err(("filter_chains[0].filters", "expected an HTTP connection manager")),
    ),
    (
        "LDS-15 no filters by default",
        |m| m.default_filter_chain.as_mut().unwrap().filters.clear(),
        Err(("default_filter_chain.filters", "expected an HTTP connection manager")),
    ),
    (
        "LDS-15 unknown type",
        |m| m.filter_chains[0].filters.insert(0, network_filter("x", unknown_any())),
        Err(("filter_chains[0].filters[0].typed_config", "type \"example.Unknown\" is not supported")),
    ),
    (
        "LDS-15 unknown type at the end",
        |m| m.filter_chains[0].filters.push(network_filter("x", unknown_any())),
        Err(("filter_chains[0].filters[0]", "must be the last filter")),
    ),
    (
        "LDS-15 no type",
        |m| m.filter_chains[0].filters[0].config_type = None,
        Err(("filter_chains[0].filters[0].typed_config", "must be set")),
    ),
    (
        "LDS-15 two managers",
        |m| m.filter_chains[0].filters.push(network_filter("x", pack_any(manager()))),
        Err(("filter_chains[0].filters[0]", "must be the last filter")),
    ),
    (
        "LDS-15 same name",
        |m| {
            m.filter_chains[0].filters =
                vec![network_filter("x", unknown_any()), network_filter("x", unknown_any())];
        },
        Err(("filter_chains[0].filters[1].name", "is used twice")),
    ),
    (
        "LDS-17 a chain that can never match is validated",
        |m| {
            m.filter_chains[0].filter_chain_match.as_mut().unwrap().destination_port = u32_value(1);
            m.filter_chains[0].filters.clear();
        },
        Err(("filter_chains[0].filters", "expected an HTTP connection manager")),
    ),
    ("LDS-16 default only", |m| m.filter_chains.clear(), OK),
    ("LDS-16 chain only", |m| m.default_filter_chain = None, OK),
    (
        "LDS-16 neither",
        |m| {
            m.filter_chains.clear();
            m.default_filter_chain = None;
        },
        Err(("filter_chains", "there is no filter chain")),
    ),
];

/// Proves: LDS-13, LDS-15, LDS-16.
/// Decodes: LDS-14.
#[test]
fn addresses_and_filters_of_servers() {
    check(&ListenerType, &socket(), SERVERS);
}

const TRANSPORT_SOCKETS: &[Row<Proto>] = &[
    (
        "LDS-20 raw buffer",
        |m| {
            m.filter_chains[0].transport_socket = transport_socket("raw_buffer", pack_any(RawBuffer {}));
        },
        OK,
    ),
    (
        "LDS-20 broken raw buffer",
        |m| {
            let broken = broken_any::<RawBuffer>();
            m.filter_chains[0].transport_socket = transport_socket("raw_buffer", broken);
        },
        Err(("filter_chains[0].transport_socket.typed_config", "RawBuffer: ")),
    ),
    (
        "LDS-20 TLS by default",
        |m| {
            let tls = pack_any(DownstreamTlsContext::default());
            m.default_filter_chain.as_mut().unwrap().transport_socket = transport_socket("tls", tls);
        },
        Err(("default_filter_chain.transport_socket.typed_config.common_tls_context", "must be set")),
    ),
    (
        "LDS-20 TLS of the other side",
        |m| {
            m.filter_chains[0].transport_socket =
                transport_socket("tls", pack_any(UpstreamTlsContext::default()));
        },
        Err(("filter_chains[0].transport_socket", "unrecognised transport socket")),
    ),
    (
        "LDS-20 a proxy, which is for clients",
        |m| {
            let proxy = pack_any(Http11ProxyUpstreamTransport::default());
            m.filter_chains[0].transport_socket = transport_socket("http_11_proxy", proxy);
        },
        Err(("filter_chains[0].transport_socket", "unrecognised transport socket")),
    ),
    (
        "LDS-20 unknown type",
        |m| m.filter_chains[0].transport_socket = transport_socket("tls", unknown_any()),
        Err(("filter_chains[0].transport_socket", "of type \"example.Unknown\"")),
    ),
    (
        "LDS-20 unknown name",
        |m| m.filter_chains[0].transport_socket = transport_socket("x", pack_any(RawBuffer {})),
        Err(("filter_chains[0].transport_socket", "\"envoy.transport_sockets.x\" of type")),
    ),
    (
        "LDS-20 name of another type",
        |m| m.filter_chains[0].transport_socket = transport_socket("tls", pack_any(RawBuffer {})),
        Err(("filter_chains[0].transport_socket", "unrecognised transport socket")),
    ),
    (
        "LDS-20 no type",
        |m| m.filter_chains[0].transport_socket = Some(Default::default()),
        Err(("filter_chains[0].transport_socket.typed_config", "must be set")),
    ),
];

/// Proves: LDS-20.
#[test]
fn no_transport_socket_becomes_plaintext() {
    check(&ListenerType, &socket(), TRANSPORT_SOCKETS);
}

/// Decodes: LDS-21.
#[test]
fn filter_chains_are_known_by_name() {
    let mut message = socket();
    message.filter_chains[0].name = "public".into();
    let unnamed = chain(Some(FilterChainMatch { destination_port: u32_value(1), ..Default::default() }));
    message.filter_chains.push(unnamed);
    message.default_filter_chain.as_mut().unwrap().name = "default".into();
    let listener: Arc<Listener> = decode(&ListenerType, &DecodeContext::default(), &message).unwrap();
    let Listener::Socket(socket) = &*listener else { panic!("{listener:?}") };
    let names: Vec<_> = socket.listener.all_chains().map(|chain| chain.name.as_deref()).collect();
    assert_eq!(names, [Some("public"), None, Some("default")]);
    assert!(socket.listener.all_chains().all(|chain| chain.http.filters.is_empty()));
}

fn range(text: &str) -> CidrRange {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    CidrRange { address_prefix: address.into(), prefix_len: length.parse().ok().and_then(u32_value) }
}

fn from(prefixes: &[&str]) -> FilterChainMatch {
    FilterChainMatch {
        source_prefix_ranges: prefixes.iter().copied().map(range).collect(),
        ..Default::default()
    }
}

fn to(prefixes: &[&str]) -> FilterChainMatch {
    FilterChainMatch { prefix_ranges: prefixes.iter().copied().map(range).collect(), ..Default::default() }
}

/// A listener whose chains have these matches.
fn with_matches(matches: Vec<FilterChainMatch>) -> Proto {
    Proto { filter_chains: matches.into_iter().map(|one| chain(Some(one))).collect(), ..socket() }
}

fn read(matches: Vec<FilterChainMatch>) -> Result<(), crate::resource::DecodeError> {
    use prost::Message;
    let bytes = with_matches(matches).encode_to_vec();
    ListenerType.decode(&DecodeContext::default(), None, &bytes.into()).map(drop)
}

/// Proves: LDS-17.
/// Decodes: LDS-18.
#[test]
fn chains_that_take_the_same_connections_are_refused() {
    let any = FilterChainMatch::default;
    let ports = |ports: &[u32]| FilterChainMatch { source_ports: ports.into(), ..any() };
    let names = |names: &[&str]| FilterChainMatch {
        server_names: names.iter().map(|&name| name.into()).collect(),
        ..any()
    };
    let protocol = |name: &str| FilterChainMatch { transport_protocol: name.into(), ..any() };
    let port = |port| FilterChainMatch { destination_port: u32_value(port), ..any() };
    let rows = [
        ("no match at all", any(), any(), false),
        ("an empty match and a port", any(), port(80), true),
        ("never-matching and equal", port(80), port(80), false),
        ("other ports", port(80), port(81), true),
        ("raw_buffer and unspecified", protocol("raw_buffer"), any(), true),
        ("same transport", protocol("tls"), protocol("tls"), false),
        ("same source port in a list", ports(&[1, 2, 3]), ports(&[9, 3]), false),
        ("other source ports", ports(&[1, 2]), ports(&[3]), true),
        ("source ports and none", ports(&[1]), any(), true),
        ("same name in other case", names(&["A.x", "b.x"]), names(&["a.X"]), false),
        ("other names", names(&["a.x"]), names(&["b.x"]), true),
        ("host bits", from(&["10.1.2.3/8"]), from(&["10.9.9.9/8"]), false),
        ("other length", from(&["10.0.0.0/8"]), from(&["10.0.0.0/9"]), true),
        ("length cut to 32", from(&["10.0.0.1/99"]), from(&["10.0.0.1/32"]), false),
        ("length cut to 128", from(&["::1/200"]), from(&["::1/128"]), false),
        ("absent length is 0", from(&["10.0.0.1"]), from(&["0.0.0.0/0"]), false),
        ("/0 is not unspecified", from(&["0.0.0.0/0"]), any(), true),
        ("/0 of both families", from(&["0.0.0.0/0"]), from(&["::/0"]), true),
        ("IPv6 host bits", to(&["2001:db8::1/32"]), to(&["2001:db8:ffff::/32"]), false),
        ("source and destination", to(&["10.0.0.0/8"]), from(&["10.0.0.0/8"]), true),
        ("one pair of many", to(&["10.0.0.0/8", "11.0.0.0/8"]), to(&["12.0.0.0/8", "11.0.0.0/8"]), false),
    ];
    for (row, first, second, accepted) in rows {
        match read(vec![first, port(1), second]) {
            Ok(()) => assert!(accepted, "{row}: accepted"),
            Err(error) => {
                assert!(!accepted, "{row}: {error}");
                assert_eq!(error.field, "filter_chains[2].filter_chain_match", "{row}");
                assert!(error.reason.contains("same connections as filter_chains[0]"), "{row}: {error}");
            }
        }
    }
    // Lists that share an element in every dimension but one do not overlap.
    let both = |source: &[&str], port: u32| FilterChainMatch { source_ports: vec![port], ..from(source) };
    assert!(read(vec![both(&["10.0.0.0/8", "11.0.0.0/8"], 1), both(&["11.0.0.0/8"], 2)]).is_ok());
    // The same twice within one chain is no conflict.
    assert!(read(vec![ports(&[1, 1])]).is_ok());
    let error = read(vec![from(&["10.0.0.0/8", "host/8"])]).unwrap_err();
    let field = "filter_chains[0].filter_chain_match.source_prefix_ranges[1].address_prefix";
    assert_eq!((error.field.as_str(), error.reason.as_str()), (field, "\"host\" is not an IP address"));
}

/// Proves: LDS-19.
#[test]
fn source_types_are_known() {
    for source_type in 0..3 {
        assert!(read(vec![FilterChainMatch { source_type, ..Default::default() }]).is_ok(), "{source_type}");
    }
    for source_type in [3, -1, i32::MAX] {
        let error = read(vec![FilterChainMatch { source_type, ..Default::default() }]).unwrap_err();
        assert_eq!(error.field, "filter_chains[0].filter_chain_match.source_type");
    }
}

/// Five lists of two hundred entries would expand to 3.2e11 combinations.
#[test]
fn small_listener_cannot_cost_much() {
    let numbers = || 0..200_u32;
    let prefixes = |octet: u32| numbers().map(|i| range(&format!("{octet}.{i}.0.0/16"))).collect::<Vec<_>>();
    let huge = FilterChainMatch {
        prefix_ranges: prefixes(10),
        source_prefix_ranges: prefixes(11),
        source_ports: numbers().collect(),
        server_names: numbers().map(|i| i.to_string()).collect(),
        application_protocols: numbers().map(|i| i.to_string()).collect(),
        ..Default::default()
    };
    let other = FilterChainMatch { destination_port: u32_value(1), ..huge.clone() };
    let start = Instant::now();
    assert!(read(vec![huge.clone(), other]).is_ok());
    assert!(read(vec![huge.clone(), huge]).is_err());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
