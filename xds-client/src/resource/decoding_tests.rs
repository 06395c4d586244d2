//! The cost of a resource's regular expressions.

use std::sync::Arc;

use prost::Message;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::route_action::HashPolicy;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::{Header, PolicySpecifier};
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{HeaderMatcher, RouteConfiguration as Routes};
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, StringMatcher};

use super::listener::samples::{api_around, chain, manager, network_filter, socket};
use super::route::samples::{forward, regex, route, simple};
use super::testing::{decode, pack_any};
use super::{DecodeContext, DecodeError, ListenerType, RouteConfiguration, RouteConfigurationType};

/// A route for each expression.
fn paths(expressions: impl IntoIterator<Item = String>) -> Routes {
    let mut config = simple();
    config.virtual_hosts[0].routes = expressions
        .into_iter()
        .map(|expression| {
            let mut route = route("", "greeter");
            route.r#match.as_mut().unwrap().path_specifier =
                Some(PathSpecifier::SafeRegex(regex(&expression)));
            route
        })
        .collect();
    config
}

fn decoded(context: &DecodeContext, config: &Routes) -> Result<Arc<RouteConfiguration>, DecodeError> {
    decode(&RouteConfigurationType, context, config)
}

/// Proves: SEC-06.
#[test]
fn resource_of_many_large_expressions_is_refused_before_all_are_compiled() {
    let config = paths((0..4000).map(|n| format!(r"/{n:04}/\pL{{1,3}}/\pN+/\pL+")));
    assert!(config.encoded_len() < 256 << 10);
    let context = DecodeContext::default();
    let error = decoded(&context, &config).unwrap_err().to_string();
    let compiled = context.regexes.compiled();
    assert!((10..1000).contains(&compiled), "{compiled}");
    assert!(error.starts_with("RouteConfiguration routes: virtual_hosts[0].routes["), "{error}");
    let count = format!(
        "safe_regex.regex: the resource's regular expressions up to this one, {compiled} different ones, take "
    );
    assert!(error.contains(&count), "{error}");
    assert!(error.ends_with("more than the limit of 16777216 (Options::max_regex_size)"), "{error}");
}

/// Proves: SEC-06.
#[test]
fn thousands_of_ordinary_expressions_are_accepted() {
    let context = DecodeContext::default();
    let config = paths((0..4000).map(|n| format!(r"/svc{n:04}/v\d+/\w{{1,20}}/.*")));
    decoded(&context, &config).unwrap();
    assert_eq!(context.regexes.compiled(), 4000);
}

#[test]
fn equal_expressions_are_compiled_once_within_and_between_resources() {
    let context = DecodeContext::default();
    let config = paths((0..4000).map(|n| format!("/svc{}/.*", n % 7)));
    let before = decoded(&context, &config).unwrap();
    assert_eq!(context.regexes.compiled(), 7);
    let after = decoded(&context, &paths((0..9).map(|n| format!("/svc{n}/.*")))).unwrap();
    assert_eq!(context.regexes.compiled(), 9, "two that were not there before");
    drop((before, after));
    decoded(&context, &config).unwrap();
    assert_eq!(context.regexes.compiled(), 16, "they were not in use any more");
}

/// A context that has room for one expression like the samples below.
fn narrow() -> DecodeContext {
    DecodeContext { max_regex_size: 16 << 10, ..DecodeContext::default() }
}

/// A listener of a server whose two filter chains have a route configuration each.
fn two_chains(configs: [Routes; 2]) -> Listener {
    let mut listener = socket();
    listener.default_filter_chain = None;
    listener.filter_chains = configs
        .map(|config| {
            let mut manager = manager();
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(config));
            let mut chain = chain(Some(Default::default()));
            chain.filters = vec![network_filter("http", pack_any(manager))];
            chain
        })
        .into();
    listener.filter_chains[1].filter_chain_match.as_mut().unwrap().transport_protocol = "raw_buffer".into();
    listener
}

/// Proves: SEC-06.
#[test]
fn expressions_count_wherever_they_are() {
    let large = |n: u32| format!(r"{n}\p{{Greek}}{{1,8}}");
    let path = |n| paths([large(n)]);
    let two_paths = paths([large(1), large(2)]);
    let header = |specifier| {
        let mut config = path(1);
        let matches = config.virtual_hosts[0].routes[0].r#match.as_mut().unwrap();
        let header_match_specifier = Some(specifier);
        matches.headers =
            vec![HeaderMatcher { name: "x".into(), header_match_specifier, ..Default::default() }];
        config
    };
    let string = StringMatcher {
        match_pattern: Some(MatchPattern::SafeRegex(regex(&large(2)))),
        ..Default::default()
    };
    #[expect(deprecated, reason = "control planes still send the old specifier")]
    let old_header = header(HeaderMatchSpecifier::SafeRegexMatch(regex(&large(2))));
    let mut rewrite = path(1);
    let regex_rewrite =
        Some(RegexMatchAndSubstitute { pattern: Some(regex(&large(1))), substitution: String::new() });
    forward(&mut rewrite.virtual_hosts[0].routes[0]).hash_policy = vec![HashPolicy {
        policy_specifier: Some(PolicySpecifier::Header(Header { header_name: "x".into(), regex_rewrite })),
        ..Default::default()
    }];
    let rows = [
        ("path", two_paths.clone()),
        ("header", header(HeaderMatchSpecifier::StringMatch(string))),
        ("old header", old_header),
        ("rewrite", rewrite),
    ];
    for (name, config) in rows {
        let error = decoded(&narrow(), &config).unwrap_err().to_string();
        assert!(error.contains("2 different ones"), "{name}: {error}");
    }
    assert!(decoded(&narrow(), &path(1)).is_ok());
    let listener = |listener: &Listener| decode::<super::Listener>(&ListenerType, &narrow(), listener);
    let mut inline = manager();
    inline.route_specifier = Some(RouteSpecifier::RouteConfig(two_paths));
    let error = listener(&api_around(inline)).unwrap_err().to_string();
    assert!(error.contains("2 different ones"), "{error}");
    let error = listener(&two_chains([path(1), path(2)])).unwrap_err().to_string();
    assert!(error.contains("filter_chains[1]") && error.contains("2 different ones"), "{error}");
    assert!(listener(&two_chains([path(1), path(1)])).is_ok());
}
