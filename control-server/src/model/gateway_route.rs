//! Routes of the Gateway API.

use std::cmp::Reverse;

use super::attached::{self, OwnSettings};
use super::conflict::{Precedence, precedence};
use super::declaration::{self, find_service};
use super::index::Reader;
use super::key::Key;
use super::name::cluster_local;
use super::reference::{Destinations, Target, WeightedTarget};
use super::route::{Action, Mirror, Route, RouteMatch, RouteOrigin};
use super::viewer::{Distinctions, Viewer};
use super::{grpc_route, http_route, service};
use crate::kinds::gateway_route::{BackendRef, Reference, RuleParts, services};
use crate::kinds::grpc_route::Rule as GrpcRule;
use crate::kinds::http_route::Rule as HttpRule;
use crate::kinds::{Kind, Object, ObjectId, Spec};
use crate::yaml::FieldPath;

/// A rule of a route of any kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule<'o> {
    Grpc(&'o GrpcRule),
    Http(&'o HttpRule),
}

/// How specific a match is, by what counts first: the larger one goes first.
pub(super) type Specificity = [usize; 5];

impl<'o> Rule<'o> {
    pub(super) fn parts(self) -> RuleParts<'o> {
        match self {
            Self::Grpc(rule) => rule.parts(),
            Self::Http(rule) => rule.parts(),
        }
    }

    /// What `route`, which has everything but its matches, is for each match of the rule.
    fn routes(self, route: &Route, port: u32) -> Vec<(Specificity, Route)> {
        match self {
            Self::Grpc(rule) => grpc_route::routes(rule, route),
            Self::Http(rule) => http_route::routes(rule, route, port),
        }
    }

    /// What the rule itself says of timeout and retries.
    fn own_settings(self) -> OwnSettings<'o> {
        match self {
            Self::Grpc(_) => OwnSettings::default(),
            Self::Http(rule) => http_route::own_settings(rule),
        }
    }
}

/// The parents of a route that are services, with their places.
pub(super) fn parents(object: &Object) -> impl Iterator<Item = (usize, &Reference)> {
    let parents = match &object.spec {
        Spec::GrpcRoute(route) => route.parent_refs.as_slice(),
        Spec::HttpRoute(route) => route.parent_refs.as_slice(),
        _ => &[],
    };
    services(parents)
}

/// The rules of a route.
pub(super) fn rules(object: &Object) -> Vec<Rule<'_>> {
    match &object.spec {
        Spec::GrpcRoute(route) => route.rules.iter().map(Rule::Grpc).collect(),
        Spec::HttpRoute(route) => route.rules.iter().map(Rule::Http).collect(),
        _ => Vec::new(),
    }
}

/// Every object that is attached to a host, in the order in which they take precedence.
pub(super) fn all<'a>(host: &str, reader: &Reader<'a>) -> Vec<&'a Object> {
    let mut names: Vec<(String, String)> = Vec::new();
    names.extend(cluster_local(host).map(|(name, namespace)| (namespace.to_owned(), name.to_owned())));
    for part in declaration::all(host, reader) {
        let id = &part.object.id;
        names.push((id.namespace.clone(), id.name.clone()));
        names.push((id.namespace.clone(), host.to_owned()));
    }
    let mut found: Vec<&Object> = Vec::new();
    for (namespace, name) in names {
        for one in reader.objects(&Key::Parent(namespace, name)) {
            let is_meant = parents_of(&one.object, host, reader).next().is_some();
            if is_meant && !found.iter().any(|known| known.id == one.object.id) {
                found.push(&one.object);
            }
        }
    }
    found.sort_by(|left, right| precedence(left).cmp(&precedence(right)));
    found
}

/// The references of an object to a host.
fn parents_of<'o>(
    object: &'o Object,
    host: &str,
    reader: &Reader<'_>,
) -> impl Iterator<Item = &'o Reference> {
    let parents = parents(object).map(|(_, parent)| parent);
    parents.filter(move |parent| {
        let namespace = parent.namespace.as_ref().unwrap_or(&object.id.namespace);
        find_service(&parent.name, namespace, reader).as_deref() == Some(host)
    })
}

/// What tells the clients of a host with this object apart.
pub(super) fn distinguish(object: &Object, reader: &Reader<'_>, distinctions: &mut Distinctions) {
    if parents(object).any(|(_, parent)| !is_producer(parent, object)) {
        distinctions.namespace(&object.id.namespace);
    }
    let mut distinguish_backend = |backend: &BackendRef| {
        let namespace = backend.namespace.as_ref().unwrap_or(&object.id.namespace);
        if let Some(host) = find_service(&backend.name, namespace, reader) {
            service::distinguish_destination(&host, reader, distinctions);
        }
    };
    for rule in rules(object).into_iter().map(Rule::parts) {
        rule.backend_refs.iter().for_each(&mut distinguish_backend);
        rule.mirrored_to().iter().for_each(|(backend, _)| distinguish_backend(backend));
    }
}

/// The routes of a host's port and the objects that make them; `None` if none is attached.
///
/// Routes of the client's own namespace for a service of another one take the place of those of the service's namespace.
pub(super) fn routes(
    host: &str,
    port: u32,
    destinations: &Destinations<'_, '_>,
) -> Option<(Vec<Route>, Vec<ObjectId>)> {
    let objects = attached(host, port, destinations.viewer, destinations.reader);
    let mut ranked = Vec::new();
    for object in &objects {
        for (index, rule) in rules(object).into_iter().enumerate() {
            rank(object, rule, (index, port), destinations, &mut ranked);
        }
    }
    ranked.sort_by(|left, right| left.0.cmp(&right.0));
    let routes = ranked.into_iter().map(|(_, route)| route).collect();
    let ids: Vec<ObjectId> = objects.iter().map(|object| object.id.clone()).collect();
    (!ids.is_empty()).then_some((routes, ids))
}

/// The objects whose routes count for calls of a client to a port.
pub(super) fn attached<'a>(host: &str, port: u32, viewer: &Viewer, reader: &Reader<'a>) -> Vec<&'a Object> {
    let name = declaration::Declaration::of(host, viewer, reader).and_then(|found| {
        found.ports().into_iter().find(|one| one.number == port).map(|one| one.name.to_owned())
    });
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for object in all(host, reader) {
        let parents = parents_of(object, host, reader);
        let mut parents = parents.filter(|parent| is_for_port(parent, port, name.as_deref())).peekable();
        if parents.peek().is_none() {
            continue;
        }
        if parents.any(|parent| is_producer(parent, object)) {
            producers.push(object);
        } else if viewer.is_of(&object.id.namespace) {
            consumers.push(object);
        }
    }
    let mut counting = if consumers.is_empty() { producers } else { consumers };
    // Of several kinds on one port the most specific one counts, and they are never mixed.
    if counting.iter().any(|object| object.id.kind == Kind::GrpcRoute) {
        counting.retain(|object| object.id.kind == Kind::GrpcRoute);
    }
    counting
}

/// Whether a parent is for a port of the service, by its number and its name.
pub(super) fn is_for_port(parent: &Reference, number: u32, name: Option<&str>) -> bool {
    parent.port.is_none_or(|wanted| wanted == number)
        && parent.section_name.as_deref().is_none_or(|wanted| Some(wanted) == name)
}

/// Whether the parent is in the route's own namespace, so that the route is for all its clients.
pub(super) fn is_producer(parent: &Reference, object: &Object) -> bool {
    parent.namespace.as_ref().is_none_or(|namespace| *namespace == object.id.namespace)
}

/// Whether a route may use a service of another namespace.
pub(super) fn is_granted(object: &Object, namespace: &str, name: &str, reader: &Reader<'_>) -> bool {
    let grants = reader.objects(&Key::Grants(namespace.to_owned()));
    namespace == object.id.namespace
        || grants.iter().any(|one| match &one.object.spec {
            Spec::ReferenceGrant(grant) => {
                grant.lets_route_use_service(object.id.kind, &object.id.namespace, name)
            }
            _ => false,
        })
}

/// The target of a backend: a service with one port has that one.
pub(super) fn target(object: &Object, backend: &BackendRef, destinations: &Destinations<'_, '_>) -> Target {
    let (reader, namespace) =
        (destinations.reader, backend.namespace.as_ref().unwrap_or(&object.id.namespace));
    if !is_granted(object, namespace, &backend.name, reader) {
        let (name, id) = (&backend.name, &object.id);
        return Target::Missing(format!("no ReferenceGrant of {namespace} lets {id} use {name}"));
    }
    let host = find_service(&backend.name, namespace, reader);
    let host = host.unwrap_or_else(|| super::name::complete(&backend.name, namespace));
    let declaration = declaration::Declaration::of(&host, destinations.viewer, reader);
    let only = || declaration.as_ref().and_then(declaration::Declaration::only_port);
    Target::Service { host, port: backend.port.or_else(only), subset: String::new() }
}

/// The order of routes: how specific the match is; then precedence of the object, and the order in it.
type Rank<'a> = (Reverse<Specificity>, Precedence<'a>, usize, usize);

fn rank<'a>(
    object: &'a Object,
    rule: Rule<'a>,
    (rule_index, port): (usize, u32),
    destinations: &Destinations<'_, '_>,
    ranked: &mut Vec<(Rank<'a>, Route)>,
) {
    let parts = rule.parts();
    let targets: Vec<WeightedTarget> = parts
        .backend_refs
        .iter()
        .map(|backend| WeightedTarget {
            target: target(object, backend, destinations),
            weight: backend.weight.unwrap_or(1),
            headers: backend.header_changes(),
        })
        .collect();
    let mut action =
        destinations.forward(&targets).unwrap_or(Action::Respond { status: NO_BACKEND, body: None });
    let headers = action.place_headers(parts.header_changes());
    let mirrored = parts.mirrored_to().into_iter();
    let mirrors: Vec<Mirror> = mirrored
        .filter_map(|(backend, share)| destinations.mirror(&target(object, &backend, destinations), share))
        .collect();
    let name = parts.name.cloned().unwrap_or_default();
    let own = OwnSettings { route: Some(&object.id), rule: &name, ..rule.own_settings() };
    let (timeout, retry) = attached::of_calls(own, port, destinations);
    let route = Route::new(name, RouteMatch::any(), action);
    let field = FieldPath::spec().field("rules").index(rule_index);
    let origin = Some(RouteOrigin { object: object.id.clone(), field });
    let route = Route { headers, mirrors, timeout, retry, session: parts.session(), origin, ..route };
    for (place, (specificity, mut route)) in rule.routes(&route, port).into_iter().enumerate() {
        if route.matches.may_be_unseen() {
            route.unseen = Some(destinations.refuse(unseen(&object.id)));
        }
        ranked.push(((Reverse(specificity), precedence(object), rule_index, place), route));
    }
}

/// Why calls fail that a client cannot tell from those that a route is for.
pub(super) fn unseen(id: &ObjectId) -> String {
    format!("{id} matches what the client does not see of a request")
}

/// As the Gateway API has it for a rule without a backend.
const NO_BACKEND: u32 = 500;
