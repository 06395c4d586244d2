//! Known filters and their configurations, with a user's filter beside ours.

mod ext_authz;
mod fault;
mod header_mutation;
mod jwt_authn;
mod local_rate_limit;
mod rbac;
mod stateful_session;

use crate::resource::{ExtensionError, ExtensionPayload};
use std::sync::Arc;

use mesh_core::config::{FilterInstance, FilterOverride};
use mesh_core::filter::{BuildError, ConfigValue, FilterConfig, FilterContext, HttpFilter, Overrides};
use serde_json::json;
use xds_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use xds_proto::envoy::config::route::v3::FilterConfig as Wrapper;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as ProtoFilter;
use xds_proto::google::protobuf::Any;
use xds_proto::pack_any;

use super::*;
use crate::resource::invalid::Invalid;
use crate::resource::listener::samples::{http_filter, router};
use crate::resource::testing::{broken_any, typed_struct, unknown_any};
use crate::resource::transport_socket::Side;
use crate::resource::{DecodeContext, Decoding};

const PASS: &str = "example.Pass";
const PASS_OVERRIDE: &str = "example.PassOverride";

/// A filter of a user, configured by a text.
#[derive(Debug)]
struct PassType;

#[derive(Debug, PartialEq)]
struct Pass(String);

impl FilterConfig for Pass {
    fn build(&self, _: Overrides<'_>, _: &FilterContext) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(None)
    }
}

impl Pass {
    fn read(payload: &ExtensionPayload<'_>) -> Result<Self, ExtensionError> {
        if let Some(fields) = payload.fields() {
            return Ok(Self(fields.to_string()));
        }
        let text = String::from_utf8(payload.message().unwrap_or_default().to_vec());
        text.map(Self).map_err(|_| ExtensionError::at("text", "is not UTF-8"))
    }
}

impl HttpFilterType for PassType {
    fn type_name(&self) -> &str {
        PASS
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        Ok(Arc::new(Pass::read(payload)?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some(PASS_OVERRIDE)
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        Ok(Arc::new(Pass::read(payload)?))
    }
}

fn registry() -> FilterRegistry {
    FilterRegistry::default().with(PassType)
}

fn any(type_name: &str, value: impl Into<Vec<u8>>) -> Any {
    Any { type_url: format!("type.googleapis.com/{type_name}"), value: value.into() }
}

fn pass(name: &str, disabled: bool) -> ProtoFilter {
    ProtoFilter { disabled, ..http_filter(name, any(PASS, name)) }
}

/// A listener's chain, to those who know these filters.
fn chain(
    filters: &[ProtoFilter],
    side: Side,
    registry: &FilterRegistry,
) -> Result<Vec<FilterInstance>, Invalid> {
    let context = DecodeContext { filters: registry.clone(), ..DecodeContext::default() };
    super::chain(filters, side, &Decoding::new(&context))
}

fn one(any: &Any, registry: &FilterRegistry) -> Result<Option<FilterOverride>, Invalid> {
    let context = DecodeContext { filters: registry.clone(), ..DecodeContext::default() };
    overrides::one(any, &Decoding::new(&context))
}

fn read(filters: &[ProtoFilter]) -> Result<Vec<FilterInstance>, Invalid> {
    chain(filters, Side::Client, &registry())
}

/// What a route says of a filter with this entry.
fn said(any: &Any) -> Option<FilterOverride> {
    one(any, &registry()).unwrap()
}

fn wrapped(config: Option<Any>, is_optional: bool, disabled: bool) -> Any {
    pack_any(Wrapper { config, is_optional, disabled })
}

/// Proves: LDS-11.
#[test]
fn disabled_filters_are_validated_and_kept_as_disabled() {
    let kept = read(&[pass("a", false), pass("b", true), router("r")]).unwrap();
    let instance = |name: &str| FilterInstance::new(name, Pass(name.to_owned()));
    assert_eq!(kept, [instance("a"), instance("b").disabled()]);
    let bad = |config| ProtoFilter { disabled: true, ..http_filter("b", config) };
    let rows = [
        ("broken", vec![bad(any(PASS, [0xff])), router("r")], "http_filters[0].typed_config.text"),
        ("unknown", vec![bad(unknown_any()), router("r")], "http_filters[0]"),
        ("the router", vec![ProtoFilter { disabled: true, ..router("r") }], "http_filters[0].disabled"),
        ("no router", vec![pass("b", true)], "http_filters"),
    ];
    for (row, filters, field) in rows {
        assert_eq!(read(&filters).unwrap_err().field, field, "{row}");
    }
}

/// Proves: RDS-20.
#[test]
fn entries_of_routes_switch_filters_on_and_off() {
    let config = || any(PASS_OVERRIDE, "x");
    let on = || Some(FilterOverride::config(Pass("x".to_owned())));
    let off = || Some(FilterOverride::Disabled);
    let rows = [
        ("an override", config(), on()),
        ("a wrapped one", wrapped(Some(config()), false, false), on()),
        ("a wrapped and disabled one", wrapped(Some(config()), false, true), off()),
        ("disabled without a configuration", wrapped(None, false, true), off()),
        ("disabled, unknown and optional", wrapped(Some(unknown_any()), true, true), off()),
        ("unknown and optional", wrapped(Some(unknown_any()), true, false), None),
        ("optional and empty", wrapped(None, true, false), None),
    ];
    for (row, any, expected) in rows {
        assert_eq!(said(&any), expected, "{row}");
    }
    let needed = wrapped(Some(unknown_any()), false, true);
    assert_eq!(one(&needed, &registry()).unwrap_err().field, "config");
}

#[test]
fn filters_of_users_are_configured_by_messages_and_by_fields() {
    let fields =
        json!({"name": "x", "whole": 7, "half": 0.5, "none": null, "list": [1, "a"], "in": {"yes": true}});
    let entry = http_filter("f", typed_struct("xds.type.v3", PASS, fields));
    let kept = read(&[entry, router("r")]).unwrap();
    let expected = r#"{"half":0.5,"in":{"yes":true},"list":[1,"a"],"name":"x","none":null,"whole":7}"#;
    assert_eq!(kept, [FilterInstance::new("f", Pass(expected.to_owned()))]);
    let config = typed_struct("udpa.type.v1", PASS_OVERRIDE, json!({"a": 1}));
    assert_eq!(said(&config), Some(FilterOverride::config(Pass(r#"{"a":1}"#.to_owned()))));
    let broken = one(&any(PASS_OVERRIDE, [0xff]), &registry()).unwrap_err();
    assert_eq!((broken.field.as_str(), broken.reason.as_str()), ("text", "is not UTF-8"));
    let wrong_kind = one(&any(PASS, "x"), &registry()).unwrap_err();
    assert!(wrong_kind.reason.contains("is not for overrides"), "{wrong_kind:?}");
    let only_ours = chain(&[pass("a", false), router("r")], Side::Client, &FilterRegistry::default());
    assert!(only_ours.unwrap_err().reason.contains("is not supported, and it is not optional"));
}

#[test]
fn registered_kind_takes_the_place_of_one_for_the_same_type() {
    /// Reads nothing.
    #[derive(Debug)]
    struct Other(&'static str);

    impl HttpFilterType for Other {
        fn type_name(&self) -> &str {
            self.0
        }

        fn decode(&self, _: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
            Ok(Arc::new(Pass("other".to_owned())))
        }
    }

    let registry = registry().with(Other(PASS)).with(Other(ROUTER));
    let kept = chain(&[pass("a", false), router("r")], Side::Client, &registry).unwrap();
    assert_eq!(kept, [FilterInstance::new("a", Pass("other".to_owned()))]);
    // it cannot be overridden, and the kind that could is gone
    let error = one(&any(PASS_OVERRIDE, "x"), &registry).unwrap_err();
    assert!(error.reason.contains("is not supported"), "{error:?}");
    assert_ne!(registry, FilterRegistry::default());
    assert_eq!(FilterRegistry::default(), FilterRegistry::default());
}

/// Filters that act on calls alone are known on both sides.
#[test]
fn filters_of_both_sides_are_known_to_servers() {
    use xds_proto::envoy::extensions::filters::http::header_mutation::v3::HeaderMutation;
    let filters = [http_filter("f", pack_any(HeaderMutation::default())), router("r")];
    for side in [Side::Client, Side::Server] {
        assert_eq!(chain(&filters, side, &registry()).unwrap().len(), 1, "{side:?}");
    }
}

/// A filter that does something for clients is unknown to servers.
///
/// Proves: LDS-07.
#[test]
fn filters_of_clients_are_unknown_to_servers() {
    use xds_proto::envoy::extensions::filters::http::fault::v3::HttpFault;
    for config in [any(PASS, "x"), pack_any(HttpFault::default())] {
        let filters =
            |is_optional| [ProtoFilter { is_optional, ..http_filter("f", config.clone()) }, router("r")];
        let error = chain(&filters(false), Side::Server, &registry()).unwrap_err();
        assert!(error.reason.contains("on this side"), "{error:?}");
        assert_eq!(chain(&filters(true), Side::Server, &registry()).unwrap(), []);
    }
}
