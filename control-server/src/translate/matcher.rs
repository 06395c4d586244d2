//! Matches of routes.

use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use xds_proto::google::protobuf::BoolValue;

use crate::kinds::Pattern;
use crate::model;

pub(super) fn translate(matches: &model::RouteMatch) -> RouteMatch {
    let (path, ignore_case) = path(&matches.path);
    let pseudo = [(":method", &matches.method), (":scheme", &matches.scheme)];
    let pseudo = pseudo.into_iter().filter_map(|(name, pattern)| {
        let (name, pattern) = (name.to_owned(), pattern.clone()?);
        Some(header(&model::HeaderMatch { name, pattern, is_inverted: false }))
    });
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: ignore_case.then_some(BoolValue { value: false }),
        headers: pseudo.chain(matches.headers.iter().map(header)).collect(),
        query_parameters: matches.query.iter().map(query).collect(),
        ..RouteMatch::default()
    }
}

fn query(parameter: &model::QueryMatch) -> QueryParameterMatcher {
    let specifier = match &parameter.pattern {
        Pattern::Present => QueryParameterMatchSpecifier::PresentMatch(true),
        pattern => QueryParameterMatchSpecifier::StringMatch(text(pattern)),
    };
    QueryParameterMatcher { name: parameter.name.clone(), query_parameter_match_specifier: Some(specifier) }
}

/// A pattern over a text that is there.
pub(super) fn text(pattern: &Pattern) -> StringMatcher {
    let pattern = match pattern {
        Pattern::Present => MatchPattern::SafeRegex(regex(".*")),
        Pattern::Exact(text) => MatchPattern::Exact(text.clone()),
        Pattern::Prefix(text) => MatchPattern::Prefix(text.clone()),
        Pattern::Regex(text) => MatchPattern::SafeRegex(regex(text)),
    };
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}

fn path(path: &model::PathMatch) -> (PathSpecifier, bool) {
    match path {
        model::PathMatch::Exact { path, ignore_case } => (PathSpecifier::Path(path.clone()), *ignore_case),
        model::PathMatch::Prefix { prefix, ignore_case } => {
            (PathSpecifier::Prefix(prefix.clone()), *ignore_case)
        }
        model::PathMatch::Regex(regex) => (PathSpecifier::SafeRegex(self::regex(regex)), false),
    }
}

#[expect(
    deprecated,
    reason = "every version of every client reads these fields; gRPC from before 2023 does not know `string_match`"
)]
fn header(header: &model::HeaderMatch) -> HeaderMatcher {
    let specifier = match &header.pattern {
        Pattern::Present => HeaderMatchSpecifier::PresentMatch(true),
        // Envoy takes an empty exact value for "is there".
        Pattern::Exact(value) if value.is_empty() => HeaderMatchSpecifier::SafeRegexMatch(regex(EMPTY)),
        Pattern::Exact(value) => HeaderMatchSpecifier::ExactMatch(value.clone()),
        Pattern::Prefix(value) => HeaderMatchSpecifier::PrefixMatch(value.clone()),
        Pattern::Regex(value) => HeaderMatchSpecifier::SafeRegexMatch(regex(value)),
    };
    HeaderMatcher {
        name: header.name.clone(),
        invert_match: header.is_inverted,
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }
}

fn regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..RegexMatcher::default() }
}

/// Matches an empty text only; an expression itself must not be empty.
const EMPTY: &str = "^$";
