//! `VirtualService` objects as routes.

use std::sync::Arc;

use super::attached::{self, OwnSettings};
use super::delegate;
use super::index::Reader;
use super::key::Key;
use super::matches::expand;
use super::name::is_wildcard;
use super::reference::{Destinations, WeightedTarget};
use super::route::{Action, Mirror, PathRewrite, Redirect, Retry, Rewrite, Route, RouteOrigin};
use super::viewer::{Distinctions, Export, Viewer};
use super::{Settings, service};
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::virtual_service::{
    Headers, HttpFault, HttpMatch, HttpRetry, HttpRoute, Redirect as HttpRedirect, Rewrite as HttpRewrite,
    VirtualService,
};
use crate::kinds::{Object, ObjectId, Spec};
use crate::yaml::FieldPath;

/// Every object that routes a host, of all namespaces: those with its name first, then wildcards by how specific they are.
pub(super) fn all<'a>(host: &str, reader: &Reader<'a>) -> Vec<&'a Object> {
    let is_meant = |object: &&Object| {
        let hosts = spec(object).map(|service| service.hosts.as_slice()).unwrap_or_default();
        // A short name may mean another host.
        hosts
            .iter()
            .any(|one| is_wildcard(one) || reader.find(one, &object.id.namespace).as_deref() == Some(host))
    };
    reader.for_host(host, Key::RoutedHost).filter(is_meant).collect()
}

/// What tells the clients of a host with this object apart.
pub(super) fn distinguish(object: &Object, reader: &Reader<'_>, distinctions: &mut Distinctions) {
    let Some(service) = spec(object) else { return };
    distinctions.export(&service.export_to, &object.id.namespace);
    for http in &service.http {
        distinguish_route(http, &object.id.namespace, reader, distinctions);
        if let Some(delegate) = delegate_of(object, http, reader)
            && let Some(service) = spec(delegate)
        {
            let namespace = &delegate.id.namespace;
            service.http.iter().for_each(|http| distinguish_route(http, namespace, reader, distinctions));
        }
    }
}

fn distinguish_route(
    http: &HttpRoute,
    namespace: &str,
    reader: &Reader<'_>,
    distinctions: &mut Distinctions,
) {
    for one in &http.r#match {
        distinctions.namespace(&one.source_namespace);
        distinctions.labels(&one.source_labels);
    }
    let mirrored = http.mirrored_to().into_iter().map(|(destination, _)| destination);
    for destination in http.route.iter().map(|route| &route.destination).chain(mirrored) {
        let host = service::resolve(&destination.host, namespace, reader);
        service::distinguish_destination(&host, reader, distinctions);
    }
}

/// The object that routes a host for a client: the most specific host counts; then what is exported to the client's
/// namespace alone before what is exported to several and what is public; then precedence.
pub(super) fn of_host<'a>(host: &str, viewer: &Viewer, reader: &Reader<'a>) -> Option<&'a Object> {
    let visible = all(host, reader).into_iter().filter_map(|object| {
        let service = spec(object)?;
        let namespace = &object.id.namespace;
        let breadth = match Export::of(&service.export_to) {
            Export::Public => 2,
            Export::Listed => u8::from(service.export_to != ["."]),
        };
        viewer
            .sees(&service.export_to, namespace)
            .then(|| ((specificity(service, host, namespace, reader), breadth), object))
    });
    visible.min_by_key(|(rank, _)| *rank).map(|(_, object)| object)
}

/// Less for a more specific host.
fn specificity(service: &VirtualService, host: &str, namespace: &str, reader: &Reader<'_>) -> usize {
    let of = |name: &String| match is_wildcard(name) {
        true => super::name::covers(&name.to_ascii_lowercase(), host).then(|| usize::MAX - name.len()),
        false => (reader.find(name, namespace).as_deref() == Some(host)).then_some(0),
    };
    service.hosts.iter().filter_map(of).min().unwrap_or(usize::MAX)
}

/// The routes of a host's port and the objects that make them; `None` if no object makes one.
pub(super) fn routes(
    host: &str,
    port: u32,
    destinations: &Destinations<'_, '_>,
) -> Option<(Vec<Route>, Vec<ObjectId>)> {
    let object = of_host(host, destinations.viewer, destinations.reader)?;
    let mut routed_by = vec![object.id.clone()];
    let mut routes = Vec::new();
    let rule = |id: &ObjectId, index| RouteOrigin {
        object: id.clone(),
        field: FieldPath::spec().field("http").index(index),
    };
    for (index, http) in spec(object)?.http.iter().enumerate() {
        if http.delegate.is_none() {
            routes.extend(translate(http, &rule(&object.id, index), port, destinations, None));
            continue;
        }
        let Some(delegate) = delegate_of(object, http, destinations.reader) else {
            // Nothing is known of these calls but that they must not go where the next rule sends them.
            let name = http.delegate.as_ref().map(|delegate| delegate.name.as_str()).unwrap_or_default();
            let action =
                destinations.refuse(format!("the VirtualService {name} of {} is missing", object.id));
            routes.extend(translate(http, &rule(&object.id, index), port, destinations, Some(action)));
            continue;
        };
        let (rules, left_out) = spec(delegate).map(|rules| delegate::merge(http, rules)).unwrap_or_default();
        // The rules that are left, at their positions in the delegate.
        let positions = (0..).filter(|index| left_out.iter().all(|one| one.route != *index));
        for (http, index) in rules.iter().zip(positions) {
            let origin = rule(&delegate.id, index);
            let merged = translate(http, &origin, port, destinations, None);
            // Its matches are those of two objects together.
            routes.extend(merged.into_iter().map(|route| Route { origin: Some(origin.clone()), ..route }));
        }
        routed_by.push(delegate.id.clone());
    }
    // An object without a route for this port and client does not apply there.
    (!routes.is_empty()).then_some((routes, routed_by))
}

/// The object that has the rules of a route.
pub(super) fn delegate_of<'a>(
    object: &Object,
    http: &HttpRoute,
    reader: &Reader<'a>,
) -> Option<&'a Arc<Object>> {
    let delegate = http.delegate.as_ref()?;
    let namespace = delegate.namespace.clone().unwrap_or_else(|| object.id.namespace.clone());
    reader.objects(&Key::Delegate(namespace, delegate.name.clone())).first().map(|one| &one.object)
}

pub(super) fn spec(object: &Object) -> Option<&VirtualService> {
    match &object.spec {
        Spec::VirtualService(service) => Some(service),
        _ => None,
    }
}

/// One Istio rule as routes: one for each match, and more if a match has to be split. `action` replaces the rule's own.
fn translate(
    http: &HttpRoute,
    origin: &RouteOrigin,
    port: u32,
    destinations: &Destinations<'_, '_>,
    action: Option<Action>,
) -> Vec<Route> {
    let id = &origin.object;
    let namespace = id.namespace.as_str();
    let everything = [HttpMatch::default()];
    let matches = if http.r#match.is_empty() { &everything[..] } else { &http.r#match };
    let holds = |(_, one): &(usize, &HttpMatch)| is_for(one, port, destinations.viewer);
    let matches: Vec<(usize, &HttpMatch)> = matches.iter().enumerate().filter(holds).collect();
    if matches.is_empty() {
        return Vec::new();
    }
    let action = action.or_else(|| self::action(http, namespace, port, destinations));
    let Some(mut action) = action else { return Vec::new() };
    let headers = action.place_headers(changes(http.headers.as_ref()));
    let named = matches.into_iter().flat_map(|(index, one)| {
        let name = [http.name.as_str(), one.name.as_str()];
        let name = name.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(".");
        expand(one).into_iter().map(move |matches| (index, name.clone(), matches))
    });
    let mirrored = http.mirrored_to().into_iter();
    let mirror = |(one, share)| destinations.mirror(&destinations.target(one, namespace, port), share);
    let mirrors: Vec<Mirror> = mirrored.filter_map(mirror).collect();
    let own = OwnSettings {
        route: Some(id),
        rule: &http.name,
        timeout: http.timeout.map(|timeout| timeout.0),
        retry: http.retries.as_ref().map(retry),
        default_retry: default_retry(destinations.settings),
    };
    let (timeout, retry) = attached::of_calls(own, port, destinations);
    let origin_of = |index| match http.r#match.is_empty() {
        true => origin.clone(),
        false => origin.of_match("match", index),
    };
    let route = |(index, name, matches)| Route {
        origin: Some(origin_of(index)),
        timeout,
        retry: retry.clone(),
        fault: http.fault.as_ref().map(HttpFault::fault),
        headers: headers.clone(),
        rewrite: http.rewrite.as_ref().map(rewrite).unwrap_or_default(),
        mirrors: mirrors.clone(),
        ..Route::new(name, matches, action.clone())
    };
    named.map(route).collect()
}

/// Whether a match can hold for calls of a client to a port.
fn is_for(one: &HttpMatch, port: u32, viewer: &Viewer) -> bool {
    one.is_servable()
        && one.port.is_none_or(|wanted| wanted == port)
        && viewer.has(&one.source_labels)
        && (one.source_namespace.is_empty() || viewer.is_of(&one.source_namespace))
}

fn action(
    http: &HttpRoute,
    namespace: &str,
    port: u32,
    destinations: &Destinations<'_, '_>,
) -> Option<Action> {
    if let Some(response) = &http.direct_response {
        return Some(Action::Respond { status: response.status, body: response.body() });
    }
    if let Some(to) = &http.redirect {
        return Some(Action::Redirect(redirect(to)));
    }
    let weight = |weight: u32| if http.route.len() == 1 { 1 } else { weight };
    let targets = http.route.iter().map(|route| WeightedTarget {
        target: destinations.target(&route.destination, namespace, port),
        weight: weight(route.weight),
        headers: changes(route.headers.as_ref()),
    });
    destinations.forward(&targets.collect::<Vec<_>>())
}

fn redirect(to: &HttpRedirect) -> Redirect {
    Redirect {
        scheme: to.scheme.clone(),
        authority: to.authority.clone(),
        port: to.port,
        path: Some(to.uri.clone()).filter(|path| !path.is_empty()).map(PathRewrite::Whole),
        status: to.redirect_code.unwrap_or(301),
    }
}

fn rewrite(of: &HttpRewrite) -> Rewrite {
    let regex = of
        .uri_regex_rewrite
        .as_ref()
        .map(|one| PathRewrite::Regex { regex: one.r#match.clone(), substitution: one.rewrite.clone() });
    let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let path = regex.or_else(|| set(&of.uri).map(PathRewrite::Matched));
    Rewrite { path, authority: set(&of.authority) }
}

fn changes(headers: Option<&Headers>) -> HeaderChanges {
    headers.map(Headers::changes).unwrap_or_default()
}

/// The retries of a rule, as far as gRPC clients support its conditions; `None`: they are turned off.
fn retry(retries: &HttpRetry) -> Option<Retry> {
    // RDS-15: 0 would be refused.
    let attempts = u32::try_from(retries.attempts?).ok().filter(|attempts| *attempts > 0)?;
    let on = retries.retry_on.as_deref().filter(|on| !on.is_empty());
    let conditions = HttpRetry::grpc_conditions(on.unwrap_or(DEFAULT_CONDITIONS));
    let per_try_timeout = retries.per_try_timeout.map(|timeout| timeout.0);
    (!conditions.is_empty()).then(|| Retry {
        backoff: retries.backoff.map(|backoff| backoff.0),
        per_try_timeout: per_try_timeout.filter(|timeout| !timeout.is_zero()),
        to_other_endpoints: retries.retry_ignore_previous_hosts == Some(true),
        to_other_priorities: retries.retry_remote_localities == Some(true),
        ..Retry::new(attempts, conditions)
    })
}

/// Istio's, where nothing else says how calls are retried.
pub(super) fn default_retry(settings: &Settings) -> Option<Retry> {
    let retries = settings.default_retries;
    (retries > 0).then(|| Retry::new(retries, HttpRetry::grpc_conditions(DEFAULT_CONDITIONS)))
}

const DEFAULT_CONDITIONS: &str = "connect-failure,refused-stream,unavailable,cancelled";
