//! Which filters are known, and what becomes of their configurations; with a filter of a user besides ours.

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
    fn read(payload: &FilterPayload<'_>) -> Result<Self, FilterError> {
        if let Some(fields) = payload.fields() {
            return Ok(Self(fields.to_string()));
        }
        let text = String::from_utf8(payload.message().unwrap_or_default().to_vec());
        text.map(Self).map_err(|_| FilterError::at("text", "is not UTF-8"))
    }
}

impl HttpFilterType for PassType {
    fn type_name(&self) -> &str {
        PASS
    }

    fn decode(&self, payload: &FilterPayload<'_>) -> Result<Arc<dyn FilterConfig>, FilterError> {
        Ok(Arc::new(Pass::read(payload)?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some(PASS_OVERRIDE)
    }

    fn decode_override(&self, payload: &FilterPayload<'_>) -> Result<Arc<dyn ConfigValue>, FilterError> {
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

        fn decode(&self, _: &FilterPayload<'_>) -> Result<Arc<dyn FilterConfig>, FilterError> {
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

mod fault {
    use std::time::Duration;

    use mesh_core::filter::{
        Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, MaxActiveFaults, Percentage,
    };
    use xds_proto::envoy::extensions::filters::common::fault::v3::fault_delay::{
        FaultDelaySecifier, HeaderDelay,
    };
    use xds_proto::envoy::extensions::filters::common::fault::v3::{FaultDelay, FaultRateLimit};
    use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::{ErrorType, HeaderAbort};
    use xds_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
    use xds_proto::envoy::r#type::v3::FractionalPercent;

    use super::*;
    use crate::resource::testing::{millis, seconds, u32_value};

    fn percent(numerator: u32, denominator: i32) -> Option<FractionalPercent> {
        Some(FractionalPercent { numerator, denominator })
    }

    fn read(fault: &HttpFault) -> Result<FaultPolicy, Invalid> {
        let FilterOverride::Config(config) = one(&pack_any(fault.clone()), &registry())?.unwrap() else {
            panic!("it is a configuration")
        };
        let instance =
            chain(&[http_filter("f", pack_any(fault.clone())), router("r")], Side::Client, &registry())?;
        let policy: &FaultPolicy = config.downcast_ref().unwrap();
        assert_eq!(instance, [FilterInstance::new("f", policy.clone())], "the override has the same form");
        Ok(policy.clone())
    }

    fn delayed(source: Option<FaultDelaySecifier>, percentage: Option<FractionalPercent>) -> HttpFault {
        let delay = FaultDelay { percentage, fault_delay_secifier: source };
        HttpFault { delay: Some(delay), ..HttpFault::default() }
    }

    fn aborted(error_type: ErrorType, percentage: Option<FractionalPercent>) -> HttpFault {
        let abort = FaultAbort { percentage, error_type: Some(error_type), ..FaultAbort::default() };
        HttpFault { abort: Some(abort), ..HttpFault::default() }
    }

    fn fixed() -> Option<FaultDelaySecifier> {
        Some(FaultDelaySecifier::FixedDelay(millis(50).unwrap()))
    }

    /// Proves: HF-10, HF-13.
    #[test]
    fn delay_abort_and_limit_are_read() {
        let delay = |source, percentage| FaultPolicy::new().with_delay(Delay { source, percentage });
        let abort = |source, percentage| FaultPolicy::new().with_abort(Abort { source, percentage });
        let status = |status| AbortSource::Status(AbortStatus::http(status).unwrap());
        let fifty = DelaySource::Fixed(Duration::from_millis(50));
        let rows = [
            ("nothing", HttpFault::default(), FaultPolicy::default()),
            ("a delay", delayed(fixed(), percent(5, 0)), delay(fifty, Percentage::of_hundred(5))),
            ("no percentage", delayed(fixed(), None), delay(fifty, Percentage::default())),
            (
                "by headers",
                delayed(Some(FaultDelaySecifier::HeaderDelay(HeaderDelay {})), percent(5, 2)),
                delay(DelaySource::Headers, Percentage::of_million(5)),
            ),
            ("no time", delayed(None, percent(5, 0)), FaultPolicy::default()),
            (
                "an HTTP status",
                aborted(ErrorType::HttpStatus(503), percent(1, 1)),
                abort(status(503), Percentage::of_ten_thousand(1)),
            ),
            (
                "status 200",
                aborted(ErrorType::HttpStatus(200), percent(1, 0)),
                abort(status(200), Percentage::of_hundred(1)),
            ),
            ("status 199", aborted(ErrorType::HttpStatus(199), percent(100, 0)), FaultPolicy::default()),
            ("status 600", aborted(ErrorType::HttpStatus(600), percent(100, 0)), FaultPolicy::default()),
            (
                "a gRPC code",
                aborted(ErrorType::GrpcStatus(17), percent(100, 0)),
                abort(AbortSource::Status(AbortStatus::Grpc(17)), Percentage::ALL),
            ),
            (
                "abort by headers",
                aborted(ErrorType::HeaderAbort(HeaderAbort {}), percent(100, 0)),
                abort(AbortSource::Headers, Percentage::ALL),
            ),
            (
                "a limit, and fields that gRPC does not look at",
                HttpFault {
                    max_active_faults: u32_value(0),
                    upstream_cluster: "other".into(),
                    downstream_nodes: vec!["n".into()],
                    response_rate_limit: Some(FaultRateLimit::default()),
                    ..HttpFault::default()
                },
                FaultPolicy::new().with_max_active_faults(MaxActiveFaults(0)),
            ),
        ];
        for (row, fault, expected) in rows {
            assert_eq!(read(&fault).unwrap(), expected, "{row}");
        }
    }

    #[test]
    fn invalid_faults_are_refused_with_their_field() {
        let negative = Some(FaultDelaySecifier::FixedDelay(seconds(-1).unwrap()));
        let rows = [
            ("a bad denominator", delayed(fixed(), percent(1, 9)), "delay.percentage.denominator"),
            (
                "and of the abort",
                aborted(ErrorType::GrpcStatus(1), percent(1, 9)),
                "abort.percentage.denominator",
            ),
            ("a negative delay", delayed(negative, percent(1, 0)), "delay.fixed_delay"),
        ];
        for (row, fault, field) in rows {
            assert_eq!(read(&fault).unwrap_err().field, field, "{row}");
        }
        let broken = one(&broken_any::<HttpFault>(), &registry()).unwrap_err();
        assert!(broken.reason.contains("HTTPFault: "), "{broken:?}");
    }
}

mod header_mutation {
    use mesh_core::config::{AppendAction, HeaderMutations, MutationOrder};
    use mesh_core::filter::{HeaderMutationConfig, HeaderMutationOverride};
    use xds_proto::envoy::config::common::mutation_rules::v3::HeaderMutation as Rule;
    use xds_proto::envoy::config::common::mutation_rules::v3::header_mutation::{Action, RemoveOnMatch};
    use xds_proto::envoy::config::core::v3::{KeyValueAppend, KeyValueMutation, KeyValuePair};
    use xds_proto::envoy::extensions::filters::http::header_mutation::v3::{
        HeaderMutation, HeaderMutationPerRoute, Mutations,
    };
    use xds_proto::google::protobuf::{Value, value::Kind};

    use super::*;

    fn remove(name: &str) -> Vec<Rule> {
        vec![Rule { action: Some(Action::Remove(name.into())) }]
    }

    fn removed(name: &'static str) -> mesh_core::config::HeaderMutation {
        mesh_core::config::HeaderMutation::remove(http::HeaderName::from_static(name)).unwrap()
    }

    fn all() -> Mutations {
        Mutations {
            request_mutations: remove("a"),
            response_mutations: remove("b"),
            response_trailers_mutations: remove("c"),
            request_trailers_mutations: remove("d"),
            query_parameter_mutations: vec![KeyValueMutation { remove: "q".into(), append: None }],
        }
    }

    #[test]
    fn every_list_is_read_at_every_place() {
        let expected =
            HeaderMutations::new().request(removed("a")).response(removed("b")).trailers(removed("c"));
        let message =
            |wins| HeaderMutation { mutations: Some(all()), most_specific_header_mutations_wins: wins };
        for (wins, order) in
            [(false, MutationOrder::MostSpecificFirst), (true, MutationOrder::MostSpecificLast)]
        {
            let kept = super::read(&[http_filter("f", pack_any(message(wins))), router("r")]).unwrap();
            let config = HeaderMutationConfig::new(expected.clone(), order);
            assert_eq!(kept, [FilterInstance::new("f", config)]);
        }
        let config = said(&pack_any(HeaderMutationPerRoute { mutations: Some(all()) }));
        assert_eq!(config, Some(FilterOverride::config(HeaderMutationOverride(expected))));
        let empty = said(&pack_any(HeaderMutationPerRoute::default()));
        assert_eq!(empty, Some(FilterOverride::config(HeaderMutationOverride::default())));
        let keeps_empty = set("x", "");
        let mutations = Mutations { request_mutations: vec![keeps_empty], ..Mutations::default() };
        let config = said(&pack_any(HeaderMutationPerRoute { mutations: Some(mutations) }));
        let value = http::HeaderValue::from_static("");
        let set = mesh_core::config::HeaderMutation::set(
            http::HeaderName::from_static("x"),
            value,
            AppendAction::default(),
        );
        let expected = HeaderMutations::new().request(set.unwrap());
        assert_eq!(config, Some(FilterOverride::config(HeaderMutationOverride(expected))));
    }

    fn set(key: &str, value: &str) -> Rule {
        let header = Some(HeaderValue { key: key.into(), value: value.into(), raw_value: Vec::new() });
        Rule { action: Some(Action::Append(HeaderValueOption { header, ..Default::default() })) }
    }

    #[test]
    fn invalid_mutations_are_refused_with_their_field() {
        let request = |rule: Rule| Mutations { request_mutations: vec![rule], ..Mutations::default() };
        let append = |record| KeyValueMutation {
            append: Some(KeyValueAppend { record, ..Default::default() }),
            remove: String::new(),
        };
        let query =
            |mutation| Mutations { query_parameter_mutations: vec![mutation], ..Mutations::default() };
        let number = Some(Value { kind: Some(Kind::NumberValue(1.0)) });
        let rows = [
            ("no action", request(Rule::default()), "request_mutations[0]"),
            ("pseudo-header", request(set(":path", "/x")), "request_mutations[0].append.header.key"),
            ("host", request(set("Host", "x")), "request_mutations[0].append.header.key"),
            ("gRPC's own", request(set("grpc-timeout", "1S")), "request_mutations[0].append.header.key"),
            ("removal of host", request(remove("host")[0].clone()), "request_mutations[0].remove"),
            ("removal of nothing", request(remove("")[0].clone()), "request_mutations[0].remove"),
            ("a command", request(set("x", "%PROTOCOL%")), "request_mutations[0].append.header.value"),
            ("a lone percent sign", request(set("x", "5%")), "request_mutations[0].append.header.value"),
            ("a control character", request(set("x", "a\nb")), "request_mutations[0].append.header.value"),
            (
                "a long value",
                request(set("x", &"v".repeat(16_385))),
                "request_mutations[0].append.header.value",
            ),
            (
                "no matcher",
                request(Rule { action: Some(Action::RemoveOnMatch(RemoveOnMatch::default())) }),
                "request_mutations[0].remove_on_match.key_matcher",
            ),
            (
                "request trailers",
                Mutations { request_trailers_mutations: remove(":x"), ..Mutations::default() },
                "request_trailers_mutations[0].remove",
            ),
            ("query: nothing", query(KeyValueMutation::default()), "query_parameter_mutations[0]"),
            ("query: no record", query(append(None)), "query_parameter_mutations[0].append.record"),
            (
                "query: a number",
                query(append(Some(KeyValuePair { key: "k".into(), value: number }))),
                "query_parameter_mutations[0].append.record.value",
            ),
        ];
        for (row, mutations, field) in rows {
            let message = HeaderMutation { mutations: Some(mutations), ..Default::default() };
            let error = super::read(&[http_filter("f", pack_any(message)), router("r")]).unwrap_err();
            assert_eq!(
                error.field,
                format!("http_filters[0].typed_config.mutations.{field}"),
                "{row}: {error:?}"
            );
        }
    }
}
