//! Routes as the clients of a family get them.
//!
//! | family | sees of a request | so that |
//! | --- | --- | --- |
//! | Envoy | everything | every route is as it is written |
//! | gRPC's own | path, headers | its calls are POST and have no query: a route for others is left out |
//! | mesh-rs | path, headers | its calls may be of HTTP: those that a route cannot be told to be for fail |
//!
//! A client skips a route with conditions that it does not know, and the next route takes the calls. So no client gets such a route.

use std::borrow::Cow;

use crate::model::{Action, Answers, Route, RouteMatch};
use crate::state::ClientFamily;

/// Whether families get different routes.
pub(super) fn differ(routes: &[Route]) -> bool {
    routes
        .iter()
        .any(|route| asks_for_more(&route.matches) || route.cors.is_some() || route.answers == Answers::Http)
}

/// The route for a family; `None`: none of its calls is meant.
pub(super) fn seen(route: &Route, family: ClientFamily) -> Option<Cow<'_, Route>> {
    if family == ClientFamily::Envoy || !asks_for_more(&route.matches) {
        return Some(Cow::Borrowed(route));
    }
    let seen = RouteMatch { query: Vec::new(), method: None, scheme: None, ..route.matches.clone() };
    if family == ClientFamily::Grpc {
        let is_meant = !route.matches.is_never_grpc();
        return is_meant.then(|| Cow::Owned(Route { matches: seen, ..route.clone() }));
    }
    let action = route.unseen.clone()?;
    Some(Cow::Owned(Route::new(route.name.clone(), seen, action)))
}

fn asks_for_more(matches: &RouteMatch) -> bool {
    !matches.query.is_empty() || matches.method.is_some() || matches.scheme.is_some()
}

/// Whether a call of the route fails on its own account in Envoy, for which the filter of faults has to be there.
pub(super) fn fails_a_share(route: &Route, family: ClientFamily) -> bool {
    let is_missing = match &route.action {
        Action::Forward { shares, .. } => shares.len() > 1 && shares.iter().any(|share| share.is_missing),
        _ => false,
    };
    answers_http(route, family) && is_missing
}

/// Whether the client itself answers requests of HTTP.
pub(super) fn answers_http(route: &Route, family: ClientFamily) -> bool {
    family == ClientFamily::Envoy && route.answers == Answers::Http
}
