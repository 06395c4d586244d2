//! `GRPCRoute` objects as routes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::conflict::{Precedence, precedence};
use super::memory::Memory;
use super::reference::{References, Target, WeightedTarget};
use super::registry::ServiceRegistry;
use super::report::Report;
use super::route::{Action, HeaderMatch, PathMatch, Route, RouteMatch};
use crate::finding::Findings;
use crate::kinds::grpc_route::{
    BackendRef, GrpcRoute, MatchType, MethodMatch, Reference, RouteMatch as Match, Rule,
};
use crate::kinds::{Object, ObjectId, Spec};
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// The objects that are attached to each host and port. If any is attached, a call that none matches fails.
#[derive(Debug, Default)]
pub(super) struct GrpcRoutes {
    attached: BTreeMap<(String, u32), Vec<Arc<Object>>>,
}

impl GrpcRoutes {
    /// Objects in use are added to `used`.
    pub(super) fn new(
        objects: &[Sourced],
        references: References<'_>,
        memory: &Memory,
        used: &mut Vec<Sourced>,
        report: &mut Report,
    ) -> Self {
        let mut all = Self::default();
        for one in objects {
            let Some(route) = spec(&one.object) else { continue };
            let findings = problems(&one.object, route, references);
            if let Some(chosen) = memory.choose(one, &findings, report) {
                all.attach(&chosen.object, references.registry);
                used.push(chosen);
            }
        }
        all
    }

    /// The routes of a host's port and the objects that make them; `None` if none is attached.
    pub(super) fn routes(
        &self,
        host: &str,
        port: u32,
        references: References<'_>,
    ) -> Option<(Vec<Route>, Vec<ObjectId>)> {
        let objects = self.attached.get(&(host.to_owned(), port))?;
        let mut ranked = Vec::new();
        for object in objects {
            let Some(route) = spec(object) else { continue };
            for (index, rule) in route.rules.iter().enumerate() {
                rank(object, rule, index, references, &mut ranked);
            }
        }
        ranked.sort_by(|left, right| left.0.cmp(&right.0));
        let routes = ranked.into_iter().map(|(_, route)| route).collect();
        Some((routes, objects.iter().map(|object| object.id.clone()).collect()))
    }

    fn attach(&mut self, object: &Arc<Object>, registry: &ServiceRegistry) {
        let Some(route) = spec(object) else { return };
        for (_, parent) in route.services() {
            if !is_producer(parent, object) {
                continue;
            }
            let Some(host) = registry.find_service(&parent.name, &object.id.namespace) else { continue };
            let Some(declaration) = registry.get(host) else { continue };
            for port in &declaration.entry().ports {
                let is_meant = parent.port.is_none_or(|number| number == port.number)
                    && parent.section_name.as_ref().is_none_or(|name| *name == port.name);
                if is_meant {
                    let attached = self.attached.entry((host.to_owned(), port.number)).or_default();
                    if !attached.iter().any(|other| other.id == object.id) {
                        attached.push(Arc::clone(object));
                    }
                }
            }
        }
    }
}

/// Whether the parent is in the route's own namespace, so that the route is for all its clients.
fn is_producer(parent: &Reference, object: &Object) -> bool {
    parent.namespace.as_ref().is_none_or(|namespace| *namespace == object.id.namespace)
}

fn spec(object: &Object) -> Option<&GrpcRoute> {
    match &object.spec {
        Spec::GrpcRoute(route) => Some(route),
        _ => None,
    }
}

fn problems(object: &Object, route: &GrpcRoute, references: References<'_>) -> Findings {
    let mut findings = Findings::default();
    let path = FieldPath::spec();
    let registry = references.registry;
    for (index, parent) in route.services() {
        let path = path.field("parentRefs").index(index);
        if !is_producer(parent, object) {
            let message = "the route has no effect here: only clients of its own namespace would use it, and all clients get \
                           the same routes yet";
            findings.warning(path.field("namespace"), message);
            continue;
        }
        let Some(host) = find(registry, &parent.name, &object.id.namespace, &path, &mut findings) else {
            continue;
        };
        check_port(registry, host, parent.port, &path, &mut findings);
        let Some(name) = &parent.section_name else { continue };
        let ports =
            registry.get(host).map(|declaration| declaration.entry().ports.as_slice()).unwrap_or_default();
        if !ports.iter().any(|port| port.name == *name) {
            let known = ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("found `{name}`, expected the name of a port of {host}: {known}");
            findings.error(path.field("sectionName"), message);
        }
    }
    for (rule_index, rule) in route.rules.iter().enumerate() {
        for (index, backend) in rule.backend_refs.iter().enumerate() {
            let path = path.field("rules").index(rule_index).field("backendRefs").index(index);
            backend_problems(object, backend, registry, &path, &mut findings);
        }
    }
    findings
}

fn backend_problems(
    object: &Object,
    backend: &BackendRef,
    registry: &ServiceRegistry,
    path: &FieldPath,
    findings: &mut Findings,
) {
    if backend.namespace.as_ref().is_some_and(|namespace| *namespace != object.id.namespace) {
        let message = "rejected because a backend of another namespace needs a ReferenceGrant, and those are not served yet";
        findings.error(path.field("namespace"), message);
        return;
    }
    let Some(host) = find(registry, &backend.name, &object.id.namespace, path, findings) else { return };
    check_port(registry, host, backend.port, path, findings);
    let ports = registry.get(host).map(|declaration| declaration.entry().ports.len());
    if backend.port.is_none() && ports != Some(1) {
        findings.error(path.field("port"), format!("required, because {host} has several ports"));
    }
}

fn find<'a>(
    registry: &'a ServiceRegistry,
    name: &str,
    namespace: &str,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<&'a str> {
    let host = registry.find_service(name, namespace);
    if host.is_none() {
        findings.error(path.field("name"), registry.unknown(name, namespace));
    }
    host
}

fn check_port(
    registry: &ServiceRegistry,
    host: &str,
    port: Option<u32>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let (Some(port), Some(declaration)) = (port, registry.get(host)) else { return };
    if !declaration.has_port(port) {
        let known = declaration.port_list();
        findings.error(
            path.field("port"),
            format!("found the number {port}, expected a port of {host}: {known}"),
        );
    }
}

/// The order of rules: the longer service, the longer method, more headers; then the older object, its name, and
/// the order in it.
type Rank<'a> = (Reverse<usize>, Reverse<usize>, Reverse<usize>, Precedence<'a>, usize, usize);

fn rank<'a>(
    object: &'a Object,
    rule: &Rule,
    rule_index: usize,
    references: References<'_>,
    ranked: &mut Vec<(Rank<'a>, Route)>,
) {
    let targets: Vec<WeightedTarget> = rule
        .backend_refs
        .iter()
        .map(|backend| WeightedTarget {
            target: target(object, backend, references.registry),
            weight: backend.weight.unwrap_or(1),
            headers: backend.header_changes(),
        })
        .collect();
    let mut action = references.forward(&targets).unwrap_or(Action::Respond { status: NO_BACKEND });
    let headers = action.place_headers(rule.header_changes());
    let everything = [Match::default()];
    let matches = if rule.matches.is_empty() { &everything[..] } else { &rule.matches };
    for (match_index, one) in matches.iter().enumerate() {
        let length = |text: fn(&MethodMatch) -> Option<&String>| {
            let exact = one.method.as_ref().filter(|method| method.r#type == MatchType::Exact);
            Reverse(exact.and_then(text).map_or(0, String::len))
        };
        let rank = (
            length(|method| method.service.as_ref()),
            length(|method| method.method.as_ref()),
            Reverse(one.headers.len()),
            precedence(object),
            rule_index,
            match_index,
        );
        let name = rule.name.clone().unwrap_or_default();
        let route = Route {
            name,
            matches: translate(one),
            action: action.clone(),
            timeout: None,
            retry: None,
            fault: None,
            headers: headers.clone(),
        };
        ranked.push((rank, route));
    }
}

fn target(object: &Object, backend: &BackendRef, registry: &ServiceRegistry) -> Target {
    let namespace = &object.id.namespace;
    let host = registry.find_service(&backend.name, namespace);
    let only =
        host.and_then(|host| registry.get(host)).and_then(|declaration| declaration.entry().ports.first());
    Target {
        host: host.map_or_else(|| format!("{}.{namespace}.svc.cluster.local", backend.name), str::to_owned),
        port: backend.port.or_else(|| only.map(|port| port.number)).unwrap_or_default(),
        subset: String::new(),
    }
}

fn translate(one: &Match) -> RouteMatch {
    let headers = one
        .headers
        .iter()
        .map(|header| HeaderMatch {
            name: header.name.to_ascii_lowercase(),
            pattern: header.pattern(),
            is_inverted: false,
        })
        .collect();
    RouteMatch { path: one.method.as_ref().map_or_else(PathMatch::any, path), headers }
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

/// As the Gateway API has it for a rule without a backend.
const NO_BACKEND: u32 = 500;
