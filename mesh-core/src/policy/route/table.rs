//! The compiled form of all virtual hosts and routes.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use rand::Rng;

use crate::config::{Route, RouteMatch, VirtualHost};
use crate::policy::matcher::{HeaderView, PathMatcher, ends_segment};

use super::RequestHead;
use super::domain_index::DomainIndex;
use super::path_index::PathIndex;

/// All virtual hosts and their routes, compiled for lookup.
///
/// Build it once per configuration. A lookup costs about the same for one and for ten thousand domains, exact paths
/// and prefixes; regular expressions are tried in order, up to the first route that matches otherwise.
#[derive(Debug)]
pub(crate) struct RouteTable {
    domains: DomainIndex,
    hosts: Box<[Host]>,
}

/// The position of a route in the configured lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RouteIndex {
    /// The virtual host's position.
    pub host: usize,
    /// The route's position in that virtual host.
    pub route: usize,
}

/// Why no route matches a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoMatch {
    /// No virtual host serves the authority (RT-05).
    #[error("no virtual host serves the authority")]
    VirtualHost,
    /// No route of the virtual host matches (RT-20).
    #[error("no route matches")]
    Route,
}

#[derive(Debug)]
struct Host {
    paths: PathIndex,
    /// By position; `None` if the path alone decides.
    conditions: Box<[Option<Arc<Route>>]>,
}

impl RouteTable {
    /// Compiles virtual hosts in configured order.
    pub(crate) fn new(hosts: &[Arc<VirtualHost>]) -> Self {
        let host = |host: &Arc<VirtualHost>| Host {
            paths: PathIndex::new(&host.routes),
            conditions: host
                .routes
                .iter()
                .map(|route| has_conditions(route).then(|| route.clone()))
                .collect(),
        };
        Self { domains: DomainIndex::new(hosts), hosts: hosts.iter().map(host).collect() }
    }

    /// The first matching route (RT-06) of the virtual host with the best domain (RT-01). Draws once per fraction that
    /// is evaluated.
    ///
    /// # Errors
    /// [`NoMatch`] distinguishes a missing virtual host from a missing route.
    #[cfg(test)]
    pub(crate) fn select(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<RouteIndex, NoMatch> {
        let host = self.find_host(head.authority).ok_or(NoMatch::VirtualHost)?;
        self.select_route(host, head, rng).ok_or(NoMatch::Route)
    }

    /// The position of the virtual host that serves an authority; for a client whose authority never changes.
    pub(crate) fn find_host(&self, authority: &str) -> Option<usize> {
        self.domains.find(authority)
    }

    /// The first route of a virtual host that matches; `host` comes from [`find_host`](Self::find_host).
    pub(crate) fn select_route(
        &self,
        host: usize,
        head: &RequestHead<'_>,
        rng: &mut dyn Rng,
    ) -> Option<RouteIndex> {
        let Host { paths, conditions } = self.hosts.get(host)?;
        let mut candidates = paths.candidates(head.path);
        let route = candidates.find(|position| match &conditions[*position] {
            None => true,
            Some(route) => meets_conditions(route, head, rng),
        })?;
        Some(RouteIndex { host, route })
    }
}

fn has_conditions(route: &Route) -> bool {
    let matches = &route.matches;
    !matches.headers.is_empty()
        || matches.fraction.is_some()
        || has_query_or_kind(matches)
        || matches!(matches.path, PathMatcher::Regex(_) | PathMatcher::SeparatedPrefix { .. })
}

/// RT-07: what the path index has not tried, then all headers and parameters, then one draw.
fn meets_conditions(route: &Route, head: &RequestHead<'_>, rng: &mut dyn Rng) -> bool {
    let matches = &route.matches;
    let path_matches = match &matches.path {
        PathMatcher::Regex(regex) => regex.matches(head.path),
        PathMatcher::SeparatedPrefix { prefix, .. } => ends_segment(head.path, prefix.len()),
        PathMatcher::Exact { .. } | PathMatcher::Prefix { .. } => true,
    };
    path_matches
        && matches.headers.iter().all(|header| header.matches(head.headers))
        && (!has_query_or_kind(matches) || meets_query_and_kind(matches, head.query, head.headers))
        && matches.fraction.is_none_or(|fraction| fraction.draw(rng))
}

fn has_query_or_kind(matches: &RouteMatch) -> bool {
    matches.grpc_only || !matches.query_parameters.is_empty()
}

/// Whether a request's query and kind meet the conditions of a route.
pub(crate) fn meets_query_and_kind(
    matches: &RouteMatch,
    query: Option<&str>,
    headers: HeaderView<'_>,
) -> bool {
    let (is_grpc, has_query) = match headers {
        // RDS-06: gRPC has no queries, and never takes a route that asks for one. RDS-07: all of its calls are gRPC.
        HeaderView::Grpc(_) => (true, matches.query_parameters.is_empty()),
        HeaderView::Response(headers) => {
            let query = query.unwrap_or_default();
            let matches_query = matches.query_parameters.iter().all(|parameter| parameter.matches(query));
            (has_grpc_content_type(headers), matches_query)
        }
    };
    has_query && (is_grpc || !matches.grpc_only)
}

/// RT-19: Envoy's test, which no parameter after `;` passes.
fn has_grpc_content_type(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let rest = value.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}
