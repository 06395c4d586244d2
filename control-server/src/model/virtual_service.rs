//! `VirtualService` objects as routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::conflict::{conflict, sort_by_precedence};
use super::delegate;
use super::matches::expand;
use super::memory::Memory;
use super::reference::{References, WeightedTarget};
use super::registry::ServiceRegistry;
use super::report::Report;
use super::route::{Action, Retry, Route};
use crate::finding::Findings;
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::virtual_service::{Headers, HttpFault, HttpMatch, HttpRetry, HttpRoute, VirtualService};
use crate::kinds::{Object, ObjectId, Spec};
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// The object that routes each host, and the delegates.
#[derive(Debug, Default)]
pub(super) struct VirtualServices {
    by_host: BTreeMap<String, Arc<Object>>,
    delegates: BTreeMap<(String, String), Arc<Object>>,
}

impl VirtualServices {
    /// Every host has the oldest object that names it. Objects in use are added to `used`.
    pub(super) fn new(
        objects: &[Sourced],
        references: References<'_>,
        memory: &Memory,
        used: &mut Vec<Sourced>,
        report: &mut Report,
    ) -> Self {
        let mut all = Self::default();
        let services = objects.iter().filter_map(|one| Some((one, spec(&one.object)?)));
        let (for_mesh, others): (Vec<_>, Vec<_>) = services.partition(|(_, service)| service.routes_calls());
        used.extend(others.into_iter().map(|(one, _)| one.clone()));
        let (delegates, roots): (Vec<_>, Vec<_>) =
            for_mesh.into_iter().partition(|(_, service)| service.is_delegate());
        for (one, service) in delegates {
            let findings = all.problems(&one.object, service, references);
            if let Some(chosen) = memory.choose(one, &findings, report) {
                let id = &chosen.object.id;
                all.delegates.insert((id.namespace.clone(), id.name.clone()), Arc::clone(&chosen.object));
                used.push(chosen);
            }
        }
        let mut chosen: Vec<Sourced> = roots
            .into_iter()
            .filter_map(|(one, service)| {
                memory.choose(one, &all.problems(&one.object, service, references), report)
            })
            .collect();
        sort_by_precedence(&mut chosen, |one| &one.object);
        for one in &chosen {
            all.claim(&one.object, references.registry, report);
        }
        used.append(&mut chosen);
        all
    }

    /// Every subset that a route names.
    pub(super) fn named_subsets(&self, references: References<'_>) -> BTreeSet<(String, String)> {
        let mut named = BTreeSet::new();
        for object in self.by_host.values().chain(self.delegates.values()) {
            let Some(service) = spec(object) else { continue };
            for route in service.http.iter().flat_map(|http| &http.route) {
                if route.destination.subset.is_some() {
                    let target = references.target(&route.destination, &object.id.namespace, 0);
                    named.insert((target.host, target.subset));
                }
            }
        }
        named
    }

    /// The object that routes a host.
    pub(super) fn of_host(&self, host: &str) -> Option<&Arc<Object>> {
        self.by_host.get(host)
    }

    /// The routes of a host's port and the objects that make them; `None` without an object.
    pub(super) fn routes(
        &self,
        host: &str,
        port: u32,
        references: References<'_>,
    ) -> Option<(Vec<Route>, Vec<ObjectId>)> {
        let object = self.by_host.get(host)?;
        let mut routed_by = vec![object.id.clone()];
        let mut routes = Vec::new();
        for http in &spec(object)?.http {
            let Some(delegate) = self.delegate(object, http) else {
                routes.extend(translate(http, &object.id.namespace, port, references));
                continue;
            };
            if let Some(merged) = spec(delegate).and_then(|delegate| delegate::merge(http, delegate).ok()) {
                let namespace = &delegate.id.namespace;
                routes.extend(merged.iter().flat_map(|http| translate(http, namespace, port, references)));
                routed_by.push(delegate.id.clone());
            }
        }
        Some((routes, routed_by))
    }

    fn delegate(&self, object: &Object, http: &HttpRoute) -> Option<&Arc<Object>> {
        let delegate = http.delegate.as_ref()?;
        let namespace = delegate.namespace.clone().unwrap_or_else(|| object.id.namespace.clone());
        self.delegates.get(&(namespace, delegate.name.clone()))
    }

    fn claim(&mut self, object: &Arc<Object>, registry: &ServiceRegistry, report: &mut Report) {
        let Some(service) = spec(object) else { return };
        for (index, host) in service.hosts.iter().enumerate() {
            let Some(host) = registry.find(host, &object.id.namespace) else { continue };
            if let Some(winner) = self.by_host.get(host) {
                let message = conflict(&winner.id, "routes this host already");
                report.error(object, FieldPath::spec().field("hosts").index(index), message);
            } else {
                self.by_host.insert(host.to_owned(), Arc::clone(object));
            }
        }
    }

    /// The missing references of an object.
    fn problems(&self, object: &Object, service: &VirtualService, references: References<'_>) -> Findings {
        let mut findings = Findings::default();
        let path = FieldPath::spec();
        let namespace = &object.id.namespace;
        let mut ports = BTreeSet::new();
        for (index, host) in service.hosts.iter().enumerate().filter(|(_, host)| !host.starts_with('*')) {
            match references.registry.find(host, namespace).and_then(|host| references.registry.get(host)) {
                Some(declaration) => ports.extend(declaration.entry().ports.iter().map(|port| port.number)),
                None => {
                    let message = references.registry.unknown(host, namespace);
                    findings.error(path.field("hosts").index(index), message);
                }
            }
        }
        let ports: Vec<u32> = ports.into_iter().collect();
        for (index, http) in service.http.iter().enumerate() {
            let path = path.field("http").index(index);
            self.route_problems(object, http, &ports, references, &path, &mut findings);
        }
        findings
    }

    fn route_problems(
        &self,
        object: &Object,
        http: &HttpRoute,
        ports: &[u32],
        references: References<'_>,
        path: &FieldPath,
        findings: &mut Findings,
    ) {
        for (index, one) in http.r#match.iter().enumerate() {
            if let Some(port) = one.port.filter(|port| !ports.is_empty() && !ports.contains(port)) {
                let known = ports.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("found the number {port}, expected a port of the hosts: {known}");
                findings.error(path.field("match").index(index).field("port"), message);
            }
        }
        let called: Vec<u32> = ports.iter().copied().filter(|port| is_for_port(http, *port)).collect();
        for (index, route) in http.route.iter().enumerate() {
            let path = path.field("route").index(index).field("destination");
            references.check(&route.destination, &object.id.namespace, &called, &path, findings);
        }
        if let Some(delegate) = &http.delegate {
            let path = path.field("delegate");
            match self
                .delegate(object, http)
                .map(|found| spec(found).map(|found| delegate::merge(http, found)))
            {
                None => {
                    let message = format!(
                        "found `{}`, expected a VirtualService without hosts that is valid",
                        delegate.name
                    );
                    findings.error(path.field("name"), message);
                }
                Some(Some(Err(problem))) => findings.error(path, problem.to_string()),
                Some(_) => {}
            }
        }
    }
}

fn spec(object: &Object) -> Option<&VirtualService> {
    match &object.spec {
        Spec::VirtualService(service) => Some(service),
        _ => None,
    }
}

fn is_for_port(http: &HttpRoute, port: u32) -> bool {
    http.r#match.is_empty() || http.r#match.iter().any(|one| one.port.is_none_or(|wanted| wanted == port))
}

/// One Istio rule as routes: one for each match, and more if a match has to be split.
fn translate(http: &HttpRoute, namespace: &str, port: u32, references: References<'_>) -> Vec<Route> {
    let everything = [HttpMatch::default()];
    let matches = if http.r#match.is_empty() { &everything[..] } else { &http.r#match };
    let Some(mut action) = action(http, namespace, port, references) else { return Vec::new() };
    let headers = action.place_headers(changes(http.headers.as_ref()));
    matches
        .iter()
        .filter(|one| one.is_servable() && one.port.is_none_or(|wanted| wanted == port))
        .flat_map(|one| {
            let name = [http.name.as_str(), one.name.as_str()];
            let name = name.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(".");
            expand(one).into_iter().map(move |matches| (name.clone(), matches))
        })
        .map(|(name, matches)| Route {
            name,
            matches,
            action: action.clone(),
            timeout: http.timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero()),
            retry: retry(http.retries.as_ref()),
            fault: http.fault.as_ref().map(HttpFault::fault),
            headers: headers.clone(),
        })
        .collect()
}

fn action(http: &HttpRoute, namespace: &str, port: u32, references: References<'_>) -> Option<Action> {
    if let Some(response) = &http.direct_response {
        return Some(Action::Respond { status: response.status });
    }
    if http.redirect.is_some() {
        return Some(Action::Respond { status: UNAVAILABLE });
    }
    let weight = |weight: u32| if http.route.len() == 1 { 1 } else { weight };
    let targets: Vec<_> = http
        .route
        .iter()
        .map(|route| WeightedTarget {
            target: references.target(&route.destination, namespace, port),
            weight: weight(route.weight),
            headers: changes(route.headers.as_ref()),
        })
        .collect();
    references.forward(&targets)
}

fn changes(headers: Option<&Headers>) -> HeaderChanges {
    headers.map(Headers::changes).unwrap_or_default()
}

/// Istio's default unless the route has its own, as far as gRPC clients support its conditions.
fn retry(retries: Option<&HttpRetry>) -> Option<Retry> {
    let attempts = retries.map_or(DEFAULT_RETRIES, |retries| retries.attempts.unwrap_or(0));
    // RDS-15: 0 would be refused.
    let retries_count = u32::try_from(attempts).ok().filter(|attempts| *attempts > 0)?;
    let on = retries.and_then(|retries| retries.retry_on.as_deref()).filter(|on| !on.is_empty());
    let conditions = HttpRetry::grpc_conditions(on.unwrap_or(DEFAULT_CONDITIONS));
    let backoff = retries.and_then(|retries| retries.backoff).map(|backoff| backoff.0);
    (!conditions.is_empty()).then_some(Retry { retries: retries_count, conditions, backoff })
}

/// The status of a redirect, since no gRPC client follows one.
const UNAVAILABLE: u32 = 503;
const DEFAULT_RETRIES: i32 = 2;
const DEFAULT_CONDITIONS: &str = "connect-failure,refused-stream,unavailable,cancelled";
