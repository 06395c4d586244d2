//! Filters that are switched on and off; with a filter that is not the router, which is the only one there is.

use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::google::protobuf::{Any, Struct};
use envoy_types::util::pack_any;

use super::*;
use crate::resource::invalid::Invalid;
use crate::resource::listener::samples::{http_filter, router};
use crate::resource::testing::unknown_any;

const ROUTER: &str = REGISTRY[0].type_name;
const PASS: &str = "google.protobuf.Struct";
const PASS_OVERRIDE: &str = "google.protobuf.Value";

/// The router, and a filter that can be overridden.
const WITH_PASS: &[FilterType] = &[
    FilterType {
        type_name: ROUTER,
        sides: &[Side::Client, Side::Server],
        terminal: true,
        check: |extension| extension.well_formed::<Router>(),
        overrides: None,
    },
    FilterType {
        type_name: PASS,
        sides: &[Side::Client],
        terminal: false,
        check: |extension| extension.message::<Struct>().map(drop),
        overrides: Some((PASS_OVERRIDE, |_| Ok(()))),
    },
];

fn pass(name: &str, disabled: bool) -> ProtoFilter {
    ProtoFilter { disabled, ..http_filter(name, pack_any(Struct::default())) }
}

fn read(filters: &[ProtoFilter]) -> Result<Vec<HttpFilter>, Invalid> {
    chain::read(filters, Side::Client, WITH_PASS)
}

fn known(name: &str, type_name: &'static str, disabled: bool) -> HttpFilter {
    HttpFilter { name: name.into(), type_name, disabled }
}

/// What a route says of a filter with this entry: whether it is disabled, if anything.
fn said(any: &Any) -> Option<bool> {
    overrides::one(any, WITH_PASS).unwrap()
}

fn wrapped(config: Option<Any>, is_optional: bool, disabled: bool) -> Any {
    pack_any(FilterConfig { config, is_optional, disabled })
}

fn pass_override() -> Any {
    Any { type_url: format!("type.googleapis.com/{PASS_OVERRIDE}"), value: Vec::new() }
}

/// Decodes: LDS-11.
#[test]
fn disabled_filters_are_validated_and_run_where_routes_say_so() {
    let kept = read(&[pass("a", false), pass("b", true), router("r")]).unwrap();
    assert_eq!(kept, [known("a", PASS, false), known("b", PASS, true), known("r", ROUTER, false)]);
    let broken = Any { value: vec![0xff; 3], ..pack_any(Struct::default()) };
    let bad = |config| ProtoFilter { disabled: true, ..http_filter("b", config) };
    let rows = [
        ("broken", vec![bad(broken), router("r")], "http_filters[0].typed_config"),
        ("unknown", vec![bad(unknown_any()), router("r")], "http_filters[0]"),
        ("the router", vec![ProtoFilter { disabled: true, ..router("r") }], "http_filters[0].disabled"),
        ("no router", vec![pass("b", true)], "http_filters"),
    ];
    for (row, filters, field) in rows {
        assert_eq!(read(&filters).unwrap_err().field, field, "{row}");
    }
    let [enabled, disabled] = [known("f", PASS, false), known("f", PASS, true)];
    let host = FilterPlace { virtual_host: 1, route: None, cluster: None };
    let route = FilterPlace { route: Some(2), ..host };
    let cluster = FilterPlace { cluster: Some(3), ..route };
    let switch = |place, disabled| FilterSwitch { place, filter: "f".into(), disabled };
    let other = FilterSwitch { filter: "g".into(), ..switch(cluster, false) };
    // For a call of `cluster`: with the listener's filter enabled, and disabled.
    let rows = [
        ("nothing", vec![], [true, false]),
        ("others", vec![other, switch(FilterPlace { virtual_host: 0, ..host }, false)], [true, false]),
        ("the host says on", vec![switch(host, false)], [true, true]),
        ("the host says off", vec![switch(host, true)], [false, false]),
        ("the route wins", vec![switch(host, true), switch(route, false)], [true, true]),
        ("the cluster wins", vec![switch(cluster, true), switch(route, false)], [false, false]),
    ];
    for (row, switches, expected) in rows {
        let found = [&enabled, &disabled].map(|filter| FilterSwitch::runs(&switches, filter, cluster));
        assert_eq!(found, expected, "{row}");
    }
}

/// Decodes: RDS-20.
#[test]
fn entries_of_routes_switch_filters_on_and_off() {
    let rows = [
        ("an override", pass_override(), Some(false)),
        ("a wrapped one", wrapped(Some(pass_override()), false, false), Some(false)),
        ("a wrapped and disabled one", wrapped(Some(pass_override()), false, true), Some(true)),
        ("disabled without a configuration", wrapped(None, false, true), Some(true)),
        ("disabled, unknown and optional", wrapped(Some(unknown_any()), true, true), Some(true)),
        ("unknown and optional", wrapped(Some(unknown_any()), true, false), None),
        ("optional and empty", wrapped(None, true, false), None),
    ];
    for (row, any, expected) in rows {
        assert_eq!(said(&any), expected, "{row}");
    }
    let needed = wrapped(Some(unknown_any()), false, true);
    assert_eq!(overrides::one(&needed, WITH_PASS).unwrap_err().field, "config");
}
