//! A service: all ports, routes and clusters of one host name, for each class of clients.

use std::sync::Arc;

use super::aliases::aliases;
use super::attached::{self, OwnSettings};
use super::cluster::{Cluster, clusters};
use super::declaration::{self, Declaration};
use super::endpoints::Workloads;
use super::gateway_route;
use super::index::Reader;
use super::mtls::MtlsPolicies;
use super::reference::{Destinations, Target, WeightedTarget};
use super::report::Report;
use super::route::{Action, Retry, Route, RouteMatch};
use super::rule::{self, Rule};
use super::viewer::{Distinctions, Viewer};
use super::{OnInvalid, Settings, name, virtual_service};
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::rate_limit_policy::RateLimitPolicy;
use crate::kinds::{Kind, ObjectId, Refused};
use crate::resources::ScopeSelector;
use crate::yaml::FieldPath;

/// A service, complete: its translation depends on nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    /// The whole name, in lower case.
    pub(crate) host: Arc<str>,
    /// What each class of clients sees, in the order in which the selectors are tried; the last one is for everybody else.
    /// `None`: the class does not see the service.
    pub(crate) views: Vec<(ScopeSelector, Option<ServiceView>)>,
}

impl Service {
    /// Makes the clusters of this name unavailable if clients would call their endpoints with TLS; returns whether there are any.
    pub(crate) fn withhold_tls(&mut self, cluster: &str, reason: &str) -> bool {
        let views = self.views.iter_mut().filter_map(|(_, view)| view.as_mut());
        let clusters = views.flat_map(|view| &mut view.clusters);
        let mut is_found = false;
        for one in clusters.filter(|one| one.name == cluster && one.tls.is_some()) {
            *one = Cluster::unavailable(one.name.clone(), reason.to_owned());
            is_found = true;
        }
        is_found
    }
}

/// A service as some clients see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceView {
    /// Shorter names that mean this service.
    pub(crate) aliases: Vec<String>,
    /// As declared; a name without a port means the first.
    pub(crate) ports: Vec<ServicePort>,
    /// For every port, of all endpoints and of each subset; and those for destinations that are missing.
    pub(crate) clusters: Vec<Cluster>,
    /// The objects that declare it; at least one.
    pub(crate) declared_by: Vec<ObjectId>,
    /// The `DestinationRule` objects that apply, the one with the policy first; and our own policies.
    pub(crate) ruled_by: Vec<ObjectId>,
    /// Limits of the calls that its clients send.
    pub(crate) rate_limits: Vec<(ObjectId, RateLimitPolicy)>,
}

/// A port and the routes of calls to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServicePort {
    pub(crate) number: u32,
    /// The first match wins; a call that matches none fails.
    pub(crate) routes: Vec<Route>,
    /// The objects that define the routes; empty: the default route.
    pub(crate) routed_by: Vec<ObjectId>,
}

/// Builds the service of a host; `None` if no object declares it.
pub(super) fn build(
    host: &Arc<str>,
    reader: &Reader<'_>,
    settings: &Settings,
    report: &mut Report,
) -> Option<Service> {
    if !reader.is_declared(host) {
        return None;
    }
    let mut distinctions = Distinctions::default();
    distinguish(host, reader, &mut distinctions);
    let overflow = distinctions.overflow();
    if let (true, Some(first)) = (overflow > 0, declaration::all(host, reader).first()) {
        let message = format!(
            "the routes and rules for {host} ask for too many different labels of clients: {overflow} of them never hold, and \
             calls fail unless --on-invalid says otherwise"
        );
        report.error(first.object, FieldPath::spec().field("hosts"), message);
    }
    let bar = bar(host, overflow, reader, settings);
    let viewers = distinctions.viewers();
    let last = viewers.len() - 1;
    let views = viewers.iter().enumerate().map(|(place, viewer)| {
        // The same is found for every class; it is reported once.
        let mut silent = Report::default();
        let report = if place == last { &mut *report } else { &mut silent };
        (viewer.selector(), view(host, viewer, bar.as_deref(), reader, settings, report))
    });
    Some(Service { host: Arc::clone(host), views: views.collect() })
}

/// Why no call may go to a host: what is meant for it cannot be honoured.
fn bar(host: &str, overflow: usize, reader: &Reader<'_>, settings: &Settings) -> Option<String> {
    if settings.on_invalid == OnInvalid::DefaultRoute {
        return None;
    }
    let too_many = || (overflow > 0).then(|| format!("{host} has too many conditions on labels of clients"));
    reader.refused(host, &HOST_KINDS).map(invalid).or_else(too_many)
}

/// Why no call may go to the endpoints of a host, whichever host's route sends it: a rule for it cannot be read, which may
/// demand TLS.
pub(super) fn unreadable_rule(host: &str, reader: &Reader<'_>, settings: &Settings) -> Option<String> {
    let refused = reader.refused(host, &[Kind::DestinationRule]);
    refused.filter(|_| settings.on_invalid == OnInvalid::Fail).map(invalid)
}

fn invalid(refused: &Refused) -> String {
    format!("{} is invalid and has no earlier version", refused.id)
}

const HOST_KINDS: [Kind; 4] = [Kind::VirtualService, Kind::GrpcRoute, Kind::HttpRoute, Kind::DestinationRule];

/// What tells the clients of a host apart: who may see it, whose rules count, and which rules ask for the client's labels.
fn distinguish(host: &str, reader: &Reader<'_>, distinctions: &mut Distinctions) {
    distinguish_destination(host, reader, distinctions);
    for object in virtual_service::all(host, reader) {
        virtual_service::distinguish(object, reader, distinctions);
    }
    for object in gateway_route::all(host, reader) {
        gateway_route::distinguish(object, reader, distinctions);
    }
}

/// What tells the clients of a destination apart.
pub(super) fn distinguish_destination(host: &str, reader: &Reader<'_>, distinctions: &mut Distinctions) {
    let declaring = declaration::all(host, reader);
    let first = declaring.first().map(|part| &part.object.id.namespace);
    for part in &declaring {
        let namespace = &part.object.id.namespace;
        distinctions.export(part.export_to(), namespace);
        if Some(namespace) != first {
            distinctions.namespace(namespace);
            first.into_iter().for_each(|first| distinctions.namespace(first));
        }
    }
    for (object, rule) in rule::all(host, reader) {
        // The rules of the service's own namespace are for everybody else as well.
        if Some(&object.id.namespace) != first {
            distinctions.namespace(&object.id.namespace);
        }
        distinctions.export(&rule.export_to, &object.id.namespace);
        if !rule.client_labels().is_empty() {
            distinctions.namespace(&object.id.namespace);
            distinctions.labels(rule.client_labels());
        }
    }
}

fn view(
    host: &str,
    viewer: &Viewer,
    bar: Option<&str>,
    reader: &Reader<'_>,
    settings: &Settings,
    report: &mut Report,
) -> Option<ServiceView> {
    let declaration = Declaration::of(host, viewer, reader)?;
    let rule = Rule::of(&declaration, viewer, reader, settings);
    let mtls = MtlsPolicies::of(declaration.namespace(), reader, settings);
    let workloads = Workloads::new(&declaration, reader, report).with_mtls(mtls, settings);
    let mut clusters = clusters(&declaration, &rule, &workloads, report);
    if let Some(reason) = bar.map(str::to_owned).or_else(|| unreadable_rule(host, reader, settings)) {
        // Also for the routes of other hosts, and for clients that use them already.
        clusters = clusters.into_iter().map(|one| Cluster::unavailable(one.name, reason.clone())).collect();
    }
    let destinations = Destinations::new(host, viewer, reader, settings);
    let ports = declaration.ports();
    let ports = ports.iter().map(|port| self::port(host, port.number, bar, &destinations)).collect();
    clusters.extend(destinations.into_unavailable());
    Some(ServiceView {
        aliases: aliases(host, reader),
        ports,
        clusters,
        declared_by: declaration.ids(),
        ruled_by: rule.ids(),
        rate_limits: attached::rate_limits(&declaration, reader),
    })
}

/// A port with its routes: by the Gateway API, else by Istio, else to all endpoints. Where a part of that cannot be read, calls
/// fail if the settings say so.
fn port(host: &str, number: u32, bar: Option<&str>, destinations: &Destinations<'_, '_>) -> ServicePort {
    if let Some(reason) = bar {
        let action = destinations.refuse(reason.to_owned());
        return ServicePort {
            number,
            routes: vec![whole_route("invalid", action, None)],
            routed_by: Vec::new(),
        };
    }
    let by_gateway_api = gateway_route::routes(host, number, destinations);
    let routed = by_gateway_api.or_else(|| virtual_service::routes(host, number, destinations));
    let (routes, routed_by) =
        routed.unwrap_or_else(|| (default_route(host, number, destinations), Vec::new()));
    ServicePort { number, routes, routed_by }
}

fn default_route(host: &str, port: u32, destinations: &Destinations<'_, '_>) -> Vec<Route> {
    let target = Target::Service { host: host.to_owned(), port: Some(port), subset: String::new() };
    let all = WeightedTarget { target, weight: 1, headers: HeaderChanges::default() };
    let own = OwnSettings {
        default_retry: virtual_service::default_retry(destinations.settings),
        ..OwnSettings::default()
    };
    let (timeout, retry) = attached::of_calls(own, port, destinations);
    let action = destinations.forward(&[all]);
    let route = |action| Route { timeout, ..whole_route("default", action, retry) };
    action.map(route).into_iter().collect()
}

/// A route for every call.
fn whole_route(name: &str, action: Action, retry: Option<Retry>) -> Route {
    Route { retry, ..Route::new(name.to_owned(), RouteMatch::any(), action) }
}

/// The host of a name that an object of `namespace` uses.
pub(super) fn resolve(name: &str, namespace: &str, reader: &Reader<'_>) -> String {
    reader.find(name, namespace).unwrap_or_else(|| name::complete(name, namespace))
}
