//! Header mutation.

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
    let expected = HeaderMutations::new().request(removed("a")).response(removed("b")).trailers(removed("c"));
    let message = |wins| HeaderMutation { mutations: Some(all()), most_specific_header_mutations_wins: wins };
    for (wins, order) in [(false, MutationOrder::MostSpecificFirst), (true, MutationOrder::MostSpecificLast)]
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
    let query = |mutation| Mutations { query_parameter_mutations: vec![mutation], ..Mutations::default() };
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
        ("a long value", request(set("x", &"v".repeat(16_385))), "request_mutations[0].append.header.value"),
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
