//! Changes of headers at every level of a route configuration.

use http::{HeaderName, HeaderValue};
use mesh_core::config::{
    AppendAction, ClusterChoice, Forward, HeaderMutation, HeaderMutations, MutationOrder, RouteAction,
};
use xds_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use xds_proto::envoy::config::core::v3::{HeaderValue as ProtoValue, HeaderValueOption};
use xds_proto::envoy::config::route::v3::RouteConfiguration as Proto;

use super::samples::{forward, simple, weight, weighted};
use super::*;
use crate::resource::testing::{Row, bool_value, check, decode};

fn header(key: &str, value: &str) -> HeaderValueOption {
    let header = Some(ProtoValue { key: key.into(), value: value.into(), raw_value: Vec::new() });
    HeaderValueOption { header, ..Default::default() }
}

fn set(name: &'static str, value: &'static str, action: AppendAction) -> HeaderMutation {
    HeaderMutation::set(HeaderName::from_static(name), HeaderValue::from_static(value), action).unwrap()
}

fn removed(name: &'static str) -> HeaderMutation {
    HeaderMutation::remove(HeaderName::from_static(name)).unwrap()
}

/// The request mutations of a virtual host with this header.
fn read(option: HeaderValueOption) -> Vec<HeaderMutation> {
    let mut config = simple();
    config.virtual_hosts[0].request_headers_to_add = vec![option];
    let decoded: Arc<RouteConfiguration> =
        decode(&RouteConfigurationType, &DecodeContext::default(), &config).unwrap();
    decoded.virtual_hosts[0].headers.request.clone()
}

#[test]
fn every_level_has_its_own_changes_and_removes_before_it_adds() {
    let mut config = simple();
    macro_rules! fill {
        ($part:expr, $text:literal) => {{
            let part = $part;
            part.request_headers_to_add = vec![header("a", $text)];
            part.request_headers_to_remove = vec!["b".into()];
            part.response_headers_to_add = vec![header("c", $text)];
            part.response_headers_to_remove = vec!["d".into()];
        }};
    }
    fill!(&mut config, "config");
    fill!(&mut config.virtual_hosts[0], "host");
    fill!(&mut config.virtual_hosts[0].routes[0], "route");
    let mut cluster = weight("greeter", 1);
    fill!(&mut cluster, "cluster");
    forward(&mut config.virtual_hosts[0].routes[0]).cluster_specifier = weighted(vec![cluster]);
    config.most_specific_header_mutations_wins = true;
    let decoded: Arc<RouteConfiguration> =
        decode(&RouteConfigurationType, &DecodeContext::default(), &config).unwrap();
    let expected = |text| {
        let add = |name| set(name, text, AppendAction::AppendIfExistsOrAdd);
        let requests = HeaderMutations::new().request(removed("b")).request(add("a"));
        requests.response(removed("d")).response(add("c"))
    };
    let host = &decoded.virtual_hosts[0];
    let RouteAction::Forward(Forward { clusters: ClusterChoice::Weighted(clusters), .. }) =
        &host.routes[0].action
    else {
        panic!("{:?}", host.routes[0])
    };
    assert_eq!(*decoded.headers, expected("config"));
    assert_eq!(decoded.header_order, MutationOrder::MostSpecificLast);
    assert_eq!(host.headers, expected("host"));
    assert_eq!(host.routes[0].headers, expected("route"));
    assert_eq!(clusters[0].headers, expected("cluster"));
}

#[test]
fn values_and_actions_are_read_as_envoy_reads_them() {
    use AppendAction::*;
    let action =
        |action: HeaderAppendAction| HeaderValueOption { append_action: action.into(), ..header("x", "1") };
    let raw = ProtoValue { key: "x".into(), value: String::new(), raw_value: vec![0xc3, 0xa9] };
    #[expect(deprecated, reason = "control planes still send it")]
    let append = |value| HeaderValueOption { append: bool_value(value), ..header("x", "1") };
    let raw_expected = HeaderMutation::set(
        HeaderName::from_static("x"),
        HeaderValue::from_bytes(&[0xc3, 0xa9]).unwrap(),
        AppendIfExistsOrAdd,
    );
    let rows = [
        ("by default", header("X", "1"), vec![set("x", "1", AppendIfExistsOrAdd)]),
        ("if absent", action(HeaderAppendAction::AddIfAbsent), vec![set("x", "1", AddIfAbsent)]),
        (
            "overwrite or add",
            action(HeaderAppendAction::OverwriteIfExistsOrAdd),
            vec![set("x", "1", OverwriteIfExistsOrAdd)],
        ),
        ("overwrite", action(HeaderAppendAction::OverwriteIfExists), vec![set("x", "1", OverwriteIfExists)]),
        ("append: true", append(true), vec![set("x", "1", AppendIfExistsOrAdd)]),
        ("append: false", append(false), vec![set("x", "1", OverwriteIfExistsOrAdd)]),
        ("a percent sign", header("x", "5%%"), vec![set("x", "5%", AppendIfExistsOrAdd)]),
        ("bytes", HeaderValueOption { header: Some(raw), ..Default::default() }, vec![raw_expected.unwrap()]),
        ("empty", header("x", ""), vec![]),
        (
            "empty and kept",
            HeaderValueOption { keep_empty_value: true, ..header("x", "") },
            vec![set("x", "", AppendIfExistsOrAdd)],
        ),
    ];
    for (row, option, expected) in rows {
        assert_eq!(read(option), expected, "{row}");
    }
}

const REFUSED: &[Row<Proto>] = &[
    (
        "RT-66 a pseudo-header",
        |m| m.request_headers_to_add = vec![header(":path", "/x")],
        Err(("request_headers_to_add[0].header.key", "is never changed")),
    ),
    (
        "RT-66 host",
        |m| m.virtual_hosts[0].request_headers_to_remove = vec!["x".into(), "HOST".into()],
        Err(("virtual_hosts[0].request_headers_to_remove[1]", "belongs to the protocol")),
    ),
    (
        "RT-66 a gRPC header",
        |m| m.virtual_hosts[0].routes[0].response_headers_to_add = vec![header("grpc-status", "0")],
        Err(("virtual_hosts[0].routes[0].response_headers_to_add[0].header.key", "belongs to the protocol")),
    ),
    (
        "RT-66 a command, on a weighted cluster",
        |m| {
            let mut cluster = weight("greeter", 1);
            cluster.response_headers_to_add = vec![header("x", "%REQ(a)%")];
            forward(&mut m.virtual_hosts[0].routes[0]).cluster_specifier = weighted(vec![cluster]);
        },
        Err((
            "virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0].response_headers_to_add[0].header.value",
            "has a command",
        )),
    ),
    (
        "RT-66 no header",
        |m| m.response_headers_to_add = vec![HeaderValueOption::default()],
        Err(("response_headers_to_add[0].header", "must be set")),
    ),
    (
        "RT-66 1001 entries",
        |m| m.response_headers_to_remove = vec!["x".into(); 1001],
        Err(("response_headers_to_remove", "1001 entries are more than 1000")),
    ),
    (
        "RT-67 an unknown action",
        |m| m.request_headers_to_add = vec![HeaderValueOption { append_action: 9, ..header("x", "1") }],
        Err(("request_headers_to_add[0].append_action", "9 is not an action")),
    ),
    (
        "RT-67 both forms of an action",
        |m| {
            #[expect(deprecated, reason = "control planes still send it")]
            let option = HeaderValueOption { append: bool_value(true), append_action: 1, ..header("x", "1") };
            m.request_headers_to_add = vec![option];
        },
        Err(("request_headers_to_add[0].append", "cannot be set beside append_action")),
    ),
];

#[test]
fn changes_that_cannot_be_made_are_refused() {
    check(&RouteConfigurationType, &simple(), REFUSED);
}
