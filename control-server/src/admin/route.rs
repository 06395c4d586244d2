//! `/v1/route`: which route a client takes for a call, decided by the client's own decoder and route table over the bytes that
//! it was sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::config::{ClusterChoice, Forward, Route, RouteAction, VirtualHost};
use mesh_core::policy::explain::{Mismatch, explain};
use mesh_core::policy::matcher::HeaderView;
use serde::{Deserialize, Serialize};
use xds_client::resource::{
    DecodeContext, ResourceType, RouteConfiguration, RouteConfigurationType, Unwrapped, decode,
};
use xds_proto::google::protobuf::Any;

use crate::discovery::ConfigState;
use crate::places::{Place, Places};
use crate::resources::{EncodedResource, ResourceKind};

use super::Admin;
use super::endpoints::EndpointSource;
use super::error::Failure;
use super::route_text::{matches_text, mismatch_text};
use super::viewer::{Viewer, ViewerQuery, listener_name, route_name};

/// The way of a call through a client's routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteAnswer {
    /// The authority that the client routes by.
    pub authority: String,
    /// The path of the call.
    pub path: String,
    /// The listener that the target names.
    pub listener: UsedResource,
    /// The route configuration that the listener names.
    pub routes: UsedResource,
    /// The virtual host that serves the authority; empty: none does, and the call fails.
    pub virtual_host: String,
    /// The routes before the one that takes the call, or all of them if none does.
    pub passed_over: Vec<PassedRoute>,
    /// The route that takes the call; null: none does, and the call fails.
    pub route: Option<ChosenRoute>,
    /// What makes the answer less certain: the client has refused the resource, or has not asked for it.
    pub notes: Vec<String>,
}

/// A resource that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedResource {
    /// Its name.
    pub name: String,
    /// The version that the answer is about.
    pub version: String,
    /// Its state at the client, if a connected client is asked about and was sent it.
    pub state: Option<ConfigState>,
}

/// A route that does not take the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedRoute {
    /// From 0.
    pub position: usize,
    /// Its name; may be empty.
    pub name: String,
    /// Its conditions.
    pub matches: String,
    /// The first condition that does not hold.
    pub reason: String,
    /// All conditions hold, and it takes this many of a million such calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_per_million: Option<u32>,
    /// The rule behind it; null for a route that is there without one.
    pub rule: Option<Place>,
}

/// The route that takes the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChosenRoute {
    /// From 0.
    pub position: usize,
    /// Its name; may be empty.
    pub name: String,
    /// Its conditions.
    pub matches: String,
    /// The rule behind it; null for a route that is there without one.
    pub rule: Option<Place>,
    /// `forward`, or the action that makes the call fail.
    pub action: String,
    /// Where the call may go.
    pub clusters: Vec<ClusterShare>,
    /// The limit of the whole call in seconds; null without one, 0: none.
    pub timeout_seconds: Option<f64>,
}

/// A cluster and its share of a route's calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterShare {
    /// Its name.
    pub cluster: String,
    /// Its weight.
    pub weight: u32,
    /// The sum of the weights.
    pub of: u32,
    /// How many endpoints are served for it; null if clients resolve a name.
    pub endpoints: Option<usize>,
    /// It is not served to this client: calls to it fail.
    pub missing: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// A target as clients name it.
    host: String,
    /// `/shop.Orders/Get`, or a path of HTTP.
    method: String,
    /// `name:value` or `name=value`, one on each line.
    #[serde(default)]
    headers: String,
    /// `grpc`, or `http` for calls whose rules see every header.
    #[serde(default)]
    protocol: Protocol,
    #[serde(flatten)]
    viewer: ViewerQuery,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    Grpc,
    Http,
}

pub(super) async fn ask(
    State(admin): State<Admin>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<RouteAnswer>, Failure> {
    let Query(question) = question.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let viewer = Viewer::new(&admin, &question.viewer)?;
    let headers = headers(&question.headers)?;
    let authority = listener_name(&question.host);
    // As clients do: the query of a path is no part of it.
    let path = question.method.split(['?', '#']).next().unwrap_or_default();
    let path = format!("/{}", path.trim_start_matches('/'));
    let mut notes = Vec::new();
    let (listener, used_listener) = used(&admin, &viewer, ResourceKind::Listener, authority, &mut notes)
        .ok_or_else(|| viewer.unknown_service(authority))?;
    let name = route_name(&listener).ok_or_else(|| {
        Failure::not_found(format!("the listener {authority} names no route configuration"))
    })?;
    let (routes, used_routes) = used(&admin, &viewer, ResourceKind::Route, &name, &mut notes)
        .ok_or_else(|| Failure::not_found(format!("the route configuration {name} is not served")))?;
    let hosts = virtual_hosts(&routes)?;
    let view = match question.protocol {
        Protocol::Grpc => HeaderView::Grpc(&headers),
        Protocol::Http => HeaderView::Response(&headers),
    };
    let found = explain(&hosts, authority, &path, view);
    let host = found.host.and_then(|host| hosts.get(host));
    let places = admin.pipeline().places.clone();
    let rule = |position: usize| rule(&routes, position, &places);
    let route_at = |position: usize| host.and_then(|host| host.routes.get(position));
    let passed_over = found.passed_over.iter().filter_map(|one| {
        let route = route_at(one.route)?;
        let share =
            if let Mismatch::Share(share) = one.mismatch { Some(share.as_per_million()) } else { None };
        Some(PassedRoute {
            position: one.route,
            name: route.name.clone(),
            matches: matches_text(&route.matches),
            reason: mismatch_text(&route.matches, &one.mismatch),
            share_per_million: share,
            rule: rule(one.route),
        })
    });
    Ok(Json(RouteAnswer {
        authority: authority.to_owned(),
        path,
        listener: used_listener,
        virtual_host: host.map(|host| host.name.clone()).unwrap_or_default(),
        passed_over: passed_over.collect(),
        route: found.route.and_then(|position| {
            Some(ChosenRoute { rule: rule(position), ..chosen(position, route_at(position)?, &viewer) })
        }),
        routes: used_routes,
        notes,
    }))
}

/// A resource as the client was sent it, or else as it would be.
fn used(
    admin: &Admin,
    viewer: &Viewer,
    kind: ResourceKind,
    name: &str,
    notes: &mut Vec<String>,
) -> Option<(Arc<EncodedResource>, UsedResource)> {
    let sent = viewer.stream.and_then(|stream| admin.registry.sent(stream, kind, name));
    let of = |resource: &EncodedResource, state| UsedResource {
        name: name.to_owned(),
        version: resource.version.to_string(),
        state,
    };
    let Some(sent) = sent else {
        let resource = viewer.resource(kind, name)?;
        if viewer.stream.is_some() {
            let kind = kind.short_name();
            notes.push(format!("the client was not sent {kind} {name}: this is what it would be sent"));
        }
        let used = of(&resource, None);
        return Some((resource, used));
    };
    let (kind, version) = (kind.short_name(), &sent.resource.version);
    match sent.state {
        ConfigState::Error => notes.push(format!(
            "the client has refused this version ({version}) of {kind} {name} and goes on with an earlier one: {}",
            sent.reason
        )),
        ConfigState::Stale => {
            notes.push(format!("the client has not accepted this version ({version}) of {kind} {name} yet"));
        }
        ConfigState::Synced | ConfigState::NotSent => {}
    }
    let used = of(&sent.resource, Some(sent.state));
    Some((sent.resource, used))
}

fn virtual_hosts(routes: &EncodedResource) -> Result<Vec<Arc<VirtualHost>>, Failure> {
    let refused =
        |reason: String| Failure::internal(format!("clients would refuse {}: {reason}", routes.name));
    let type_url = RouteConfigurationType.type_url().to_owned();
    let any = Any { type_url, value: routes.bytes.to_vec() };
    let decoded = decode(&RouteConfigurationType, &DecodeContext::default(), any);
    let Unwrapped::Resource(decoded) = decoded.map_err(|error| refused(error.to_string()))? else {
        return Err(refused("it is no resource".to_owned()));
    };
    let value = decoded.value.downcast::<RouteConfiguration>();
    value.map(|routes| routes.virtual_hosts.clone()).map_err(|_| refused("it is of another type".to_owned()))
}

fn rule(routes: &EncodedResource, position: usize, places: &Places) -> Option<Place> {
    let rule = routes.rules.as_ref()?.get(position)?.as_ref()?;
    Some(places.of_field(&rule.object, &rule.field))
}

fn chosen(position: usize, route: &Route, viewer: &Viewer) -> ChosenRoute {
    let (action, forward) = match &route.action {
        RouteAction::Forward(forward) => ("forward", Some(forward)),
        RouteAction::NonForwarding => ("non_forwarding_action", None),
        RouteAction::Unsupported(what) => (*what, None),
        _ => ("unknown", None),
    };
    ChosenRoute {
        position,
        name: route.name.clone(),
        matches: matches_text(&route.matches),
        rule: None,
        action: action.to_owned(),
        clusters: forward.map(|forward| shares(forward, viewer)).unwrap_or_default(),
        timeout_seconds: forward
            .and_then(|forward| forward.max_stream_duration)
            .map(|timeout| timeout.as_secs_f64()),
    }
}

fn shares(forward: &Forward, viewer: &Viewer) -> Vec<ClusterShare> {
    let clusters: Vec<(&str, u32)> = match &forward.clusters {
        ClusterChoice::One(name) => vec![(name, 1)],
        ClusterChoice::Weighted(entries) => entries.iter().map(|one| (&*one.name, one.weight)).collect(),
        _ => Vec::new(),
    };
    let of = clusters.iter().map(|(_, weight)| *weight).sum();
    let share = |(name, weight): (&str, u32)| {
        let resource = viewer.resource(ResourceKind::Cluster, name);
        let endpoints = resource.as_ref().map(|resource| EndpointSource::of(resource));
        ClusterShare {
            cluster: name.to_owned(),
            weight,
            of,
            endpoints: match endpoints {
                Some(EndpointSource::Endpoints(name)) => Some(viewer.endpoint_count(&name)),
                Some(EndpointSource::Dns(_)) => None,
                None => Some(0),
            },
            missing: resource.is_none(),
        }
    };
    clusters.into_iter().map(share).collect()
}

fn headers(text: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let bad = || Failure::bad_request(format!("found the header {line:?}, expected NAME:VALUE"));
        let (name, value) = line.split_once([':', '=']).ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| bad())?);
    }
    Ok(headers)
}
