//! Rules of an `HTTPRoute`.

use std::time::Duration;

use super::attached::OwnSettings;
use super::gateway_route::Specificity;
use super::grpc_route::headers;
use super::route::{
    Action, Answers, PathMatch, PathRewrite, QueryMatch, Redirect, Retry, Rewrite, Route, RouteMatch,
};
use crate::kinds::gateway_route::{PathModifier, Replacement, RequestRedirect, Scheme, ValueMatch};
use crate::kinds::http_route::{PathType, Retry as RuleRetry, RouteMatch as Match, Rule};
use crate::kinds::{GatewayDuration, Pattern};

/// What the rule says of timeout and retries.
pub(super) fn own_settings(rule: &Rule) -> OwnSettings<'static> {
    let timeouts = rule.timeouts.unwrap_or_default();
    OwnSettings {
        timeout: timeouts.request.map(|timeout| timeout.0),
        retry: rule.retry.as_ref().map(|retry| Some(self::retry(retry))),
        ..OwnSettings::default()
    }
}

fn retry(of: &RuleRetry) -> Retry {
    let conditions = of.grpc_conditions().into_iter().chain(CONDITIONS).collect();
    Retry {
        backoff: of.backoff.map(|backoff| backoff.0),
        status_codes: of.codes.clone(),
        ..Retry::new(of.attempts.unwrap_or(1), conditions)
    }
}

/// What a route is for each match of a rule. An exact path goes first, then an expression, then the longest prefix; then a match with
/// a method, then more headers, then more query parameters.
pub(super) fn routes(rule: &Rule, route: &Route, port: u32) -> Vec<(Specificity, Route)> {
    let everything = [Match::default()];
    let matches = if rule.matches.is_empty() { &everything[..] } else { &rule.matches };
    let mut route = Route { answers: Answers::Http, cors: rule.parts().cors(), ..route.clone() };
    limit_attempts(&mut route, rule);
    let whole = route.origin.clone().filter(|_| !rule.matches.is_empty());
    let mut routes = Vec::new();
    for (index, one) in matches.iter().enumerate() {
        if let Some(whole) = &whole {
            route.origin = Some(whole.of_match("matches", index));
        }
        let specificity = specificity(one);
        routes.extend(of_match(rule, one, &route, port).into_iter().map(|route| (specificity, route)));
    }
    routes
}

fn limit_attempts(route: &mut Route, rule: &Rule) {
    let set = |timeout: GatewayDuration| -> Option<Duration> { (!timeout.0.is_zero()).then_some(timeout.0) };
    let limit = rule.timeouts.unwrap_or_default().backend_request.and_then(set);
    match &mut route.retry {
        Some(retry) if retry.per_try_timeout.is_none() => retry.per_try_timeout = limit,
        Some(_) => {}
        None => route.attempt_timeout = limit,
    }
}

fn specificity(one: &Match) -> Specificity {
    let (kind, length) = match one.path.r#type {
        PathType::Exact => (2, one.path.value.len()),
        PathType::RegularExpression => (1, one.path.value.len()),
        PathType::PathPrefix => (0, elements(&one.path.value).len()),
    };
    [kind, length, usize::from(one.method.is_some()), one.headers.len(), one.query_params.len()]
}

/// The routes of one match: two for a prefix, the path itself and what is below it. No client has to know prefixes by elements, and
/// each of the two replaces its own part.
fn of_match(rule: &Rule, one: &Match, route: &Route, port: u32) -> Vec<Route> {
    let parts = rule.parts();
    let modifier = match (parts.redirect(), parts.url_rewrite()) {
        (Some(redirect), _) => redirect.path.as_ref(),
        (None, rewrite) => rewrite.and_then(|rewrite| rewrite.path.as_ref()),
    };
    let route = |(path, replaced): (PathMatch, Option<PathRewrite>)| {
        let matches = RouteMatch {
            query: one.query_params.iter().map(query).collect(),
            method: one.method.map(|method| Pattern::Exact(method.name().to_owned())),
            ..RouteMatch::new(path, headers(&one.headers))
        };
        let mut route = Route { matches, ..route.clone() };
        match (parts.redirect(), parts.url_rewrite()) {
            (Some(to), _) => route.action = Action::Redirect(redirect(to, replaced, port)),
            (None, Some(rewrite)) => {
                route.rewrite = Rewrite { path: replaced, authority: rewrite.hostname.clone() };
            }
            (None, None) => {}
        }
        route
    };
    paths(one, modifier.map(PathModifier::replacement)).into_iter().map(route).collect()
}

/// The paths of a match, each with what takes its place.
fn paths(one: &Match, replacement: Option<Replacement<'_>>) -> Vec<(PathMatch, Option<PathRewrite>)> {
    let (value, ignore_case) = (&one.path.value, false);
    let whole = match replacement {
        Some(Replacement::Whole(path)) => Some(PathRewrite::Whole(or_root(path))),
        _ => None,
    };
    match one.path.r#type {
        PathType::Exact => vec![(PathMatch::Exact { path: value.clone(), ignore_case }, whole)],
        PathType::RegularExpression => vec![(PathMatch::Regex(value.clone()), whole)],
        PathType::PathPrefix => {
            let base = elements(value);
            let below = PathMatch::Prefix { prefix: format!("{base}/"), ignore_case };
            let itself = PathMatch::Exact { path: or_root(base), ignore_case };
            match replacement {
                Some(Replacement::Prefix(by)) => vec![
                    (itself, Some(PathRewrite::Matched(or_root(by)))),
                    (below, Some(PathRewrite::Matched(format!("{}/", elements(by))))),
                ],
                _ if base.is_empty() => vec![(below, whole)],
                _ => vec![(itself, whole.clone()), (below, whole)],
            }
        }
    }
}

/// A path without the slash at its end, which means nothing in a prefix.
fn elements(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn or_root(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

fn query(parameter: &ValueMatch) -> QueryMatch {
    QueryMatch { name: parameter.name.clone(), pattern: parameter.pattern() }
}

/// Where a redirect leads. Without a port of its own it is the one of the new scheme, else the one that was called.
fn redirect(to: &RequestRedirect, path: Option<PathRewrite>, called: u32) -> Redirect {
    let authority = to.hostname.clone().unwrap_or_default();
    let derived = match to.scheme {
        // With a host of its own, no port means the scheme's.
        Some(_) if !authority.is_empty() => None,
        Some(Scheme::Http) => Some(80),
        Some(Scheme::Https) => Some(443),
        None => Some(called).filter(|port| !authority.is_empty() && ![80, 443].contains(port)),
    };
    let scheme = match to.scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
        None => "",
    };
    Redirect {
        scheme: scheme.to_owned(),
        authority,
        port: to.port.or(derived),
        path,
        status: to.status_code.unwrap_or(302),
    }
}

/// What is retried besides the codes: connections that fail, as the Gateway API has it; and the codes themselves.
const CONDITIONS: [&str; 4] = ["connect-failure", "refused-stream", "reset", "retriable-status-codes"];
