//! Matches of a `GRPCRoute`.

use super::gateway_route::Specificity;
use super::route::{HeaderMatch, PathMatch, Route, RouteMatch};
use crate::kinds::gateway_route::{MatchType, ValueMatch};
use crate::kinds::grpc_route::{MethodMatch, RouteMatch as Match, Rule};

/// What a route is for each match of a rule. The longer service goes first, then the longer method, then more headers.
pub(super) fn routes(rule: &Rule, route: &Route) -> Vec<(Specificity, Route)> {
    let everything = [Match::default()];
    let matches = if rule.matches.is_empty() { &everything[..] } else { &rule.matches };
    let of = |(index, one): (usize, &Match)| {
        let origin = route.origin.as_ref().map(|origin| match rule.matches.is_empty() {
            true => origin.clone(),
            false => origin.of_match("matches", index),
        });
        (specificity(one), Route { matches: translate(one), origin, ..route.clone() })
    };
    matches.iter().enumerate().map(of).collect()
}

fn specificity(one: &Match) -> Specificity {
    let length = |text: fn(&MethodMatch) -> Option<&String>| {
        let exact = one.method.as_ref().filter(|method| method.r#type == MatchType::Exact);
        exact.and_then(text).map_or(0, String::len)
    };
    let service = length(|method| method.service.as_ref());
    [service, length(|method| method.method.as_ref()), one.headers.len(), 0, 0]
}

/// The headers of a match.
pub(super) fn headers(headers: &[ValueMatch]) -> Vec<HeaderMatch> {
    let header = |header: &ValueMatch| HeaderMatch {
        name: header.name.to_ascii_lowercase(),
        pattern: header.pattern(),
        is_inverted: false,
    };
    headers.iter().map(header).collect()
}

fn translate(one: &Match) -> RouteMatch {
    let path = one.method.as_ref().map_or_else(PathMatch::any, path);
    RouteMatch::new(path, headers(&one.headers))
}

fn path(method: &MethodMatch) -> PathMatch {
    let ignore_case = false;
    match (method.r#type, &method.service, &method.method) {
        (_, None, None) => PathMatch::any(),
        (MatchType::Exact, Some(service), Some(method)) => {
            PathMatch::Exact { path: format!("/{service}/{method}"), ignore_case }
        }
        (MatchType::Exact, Some(service), None) => {
            PathMatch::Prefix { prefix: format!("/{service}/"), ignore_case }
        }
        (MatchType::Exact, None, Some(method)) => {
            PathMatch::Regex(format!("/[^/]+/{}", regex::escape(method)))
        }
        (MatchType::RegularExpression, service, method) => {
            let part = |part: &Option<String>| {
                part.as_ref().map_or_else(|| "[^/]+".to_owned(), |regex| format!("(?:{regex})"))
            };
            PathMatch::Regex(format!("/{}/{}", part(service), part(method)))
        }
    }
}
