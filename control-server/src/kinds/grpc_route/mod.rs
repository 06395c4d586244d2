//! `GRPCRoute` of the Gateway API: routes for the calls to a service.

mod filter;
mod header_modifier;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::filter::Filter;
use super::Pattern;
use super::check;
use super::effect::{self, Effect};
use super::header_changes::HeaderChanges;
use super::session_persistence::{Session, SessionPersistence};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// Rules for one or more services; the most specific match wins.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GrpcRoute {
    parent_refs: Vec<Reference>,
    hostnames: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    use_default_gateways: Option<String>,
}

/// A service, as parent or backend.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    group: Option<String>,
    kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<u32>,
    pub(crate) section_name: Option<String>,
}

/// Matches, and the backends of matching calls.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    pub(crate) matches: Vec<RouteMatch>,
    filters: Vec<Filter>,
    pub(crate) backend_refs: Vec<BackendRef>,
    session_persistence: Option<SessionPersistence>,
}

/// All of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RouteMatch {
    pub(crate) method: Option<MethodMatch>,
    pub(crate) headers: Vec<HeaderMatch>,
}

/// Matches calls by service and method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct MethodMatch {
    pub(crate) r#type: MatchType,
    pub(crate) service: Option<String>,
    pub(crate) method: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct HeaderMatch {
    #[serde(default)]
    r#type: MatchType,
    pub(crate) name: String,
    value: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum MatchType {
    #[default]
    Exact,
    RegularExpression,
}

/// A service and its share.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct BackendRef {
    group: Option<String>,
    kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<u32>,
    pub(crate) weight: Option<u32>,
    #[serde(default)]
    filters: Vec<Filter>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<GrpcRoute> {
    let route: GrpcRoute = decode(spec, path, findings)?;
    route.check(path, findings);
    effect::warn(EFFECTS, spec, findings);
    Some(route)
}

impl HeaderMatch {
    pub(crate) fn pattern(&self) -> Pattern {
        match self.r#type {
            MatchType::Exact => Pattern::Exact(self.value.clone()),
            MatchType::RegularExpression => Pattern::Regex(self.value.clone()),
        }
    }
}

impl GrpcRoute {
    /// The services that it is attached to, with their places among `parentRefs`. Other parents, such as gateways, are not
    /// served, and each parent counts by itself.
    pub(crate) fn services(&self) -> impl Iterator<Item = (usize, &Reference)> {
        self.parent_refs.iter().enumerate().filter(|(_, parent)| parent.kind.as_deref() == Some(SERVICE))
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.services().next().is_none() {
            findings
                .warning(path.field("parentRefs"), "the object has no effect: it is attached to no service");
        }
        for (index, parent) in self.services() {
            let path = path.field("parentRefs").index(index);
            check_service(parent.group.as_deref(), SERVICE, &path, findings);
            if let Some(port) = parent.port {
                check::port(port, &path.field("port"), findings);
            }
        }
        check::length(self.parent_refs.len(), MOST_PARENTS, &path.field("parentRefs"), findings);
        check::length(self.rules.len(), MOST, &path.field("rules"), findings);
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&path.field("rules").index(index), findings);
        }
        let names: Vec<(usize, &String)> = self
            .rules
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| Some((index, rule.name.as_ref()?)))
            .collect();
        let place = |position: usize| path.field("rules").index(names[position].0).field("name");
        check::unique(names.iter().map(|(_, name)| *name), place, findings);
    }
}

/// A parent or a backend must be a service; without `group: ""` it is an object of the Gateway API.
fn check_service(group: Option<&str>, kind: &str, path: &FieldPath, findings: &mut Findings) {
    if kind != SERVICE {
        let message =
            format!("found {kind}, expected Service (with `group: \"\"`): only services are served");
        findings.error(path.field("kind"), message);
    } else if group != Some("") {
        findings.error(
            path.field("group"),
            "expected `\"\"`: without it, Service is looked for in the Gateway API",
        );
    }
}

impl Reference {
    /// As a backend, which is a service unless it says otherwise.
    fn check_backend(&self, path: &FieldPath, findings: &mut Findings) {
        let group = Some(self.group.as_deref().unwrap_or_default());
        check_service(group, self.kind.as_deref().unwrap_or(SERVICE), path, findings);
    }
}

impl BackendRef {
    /// A service without a share of its own.
    fn of(reference: &Reference) -> Self {
        Self {
            group: reference.group.clone(),
            kind: reference.kind.clone(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
            port: reference.port,
            weight: None,
            filters: Vec::new(),
        }
    }
}

impl Rule {
    /// Where copies of calls go, and for how many of a million calls.
    pub(crate) fn mirrored_to(&self) -> Vec<(BackendRef, u32)> {
        filter::mirrored_to(&self.filters)
    }

    /// The same services with the places of their filters.
    pub(crate) fn mirrors(&self) -> impl Iterator<Item = (usize, BackendRef)> {
        filter::mirrors_by_place(&self.filters)
    }

    /// Filters of every matching call, before those of its backend.
    pub(crate) fn header_changes(&self) -> HeaderChanges {
        filter::header_changes(&self.filters)
    }

    /// What keeps its calls with one endpoint.
    pub(crate) fn session(&self) -> Option<Session> {
        self.session_persistence.as_ref().map(SessionPersistence::session)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(persistence) = &self.session_persistence {
            persistence.check(&path.field("sessionPersistence"), findings);
        }
        check::length(self.matches.len(), MOST_MATCHES, &path.field("matches"), findings);
        for (index, one) in self.matches.iter().enumerate() {
            one.check(&path.field("matches").index(index), findings);
        }
        check::length(self.backend_refs.len(), MOST, &path.field("backendRefs"), findings);
        filter::check(&self.filters, &path.field("filters"), findings);
        for (index, backend) in self.backend_refs.iter().enumerate() {
            let path = path.field("backendRefs").index(index);
            let group = Some(backend.group.as_deref().unwrap_or_default());
            check_service(group, backend.kind.as_deref().unwrap_or(SERVICE), &path, findings);
            if let Some(port) = backend.port {
                check::port(port, &path.field("port"), findings);
            }
            if let Some(weight) = backend.weight.filter(|weight| *weight > 1_000_000) {
                findings
                    .error(path.field("weight"), format!("found the number {weight}, expected 0 to 1000000"));
            }
            filter::check(&backend.filters, &path.field("filters"), findings);
            if filter::mirrors(&backend.filters) {
                let message =
                    "no client mirrors calls of one backend: put the mirror among the filters of the rule";
                findings.warning(path.field("filters"), message);
            }
        }
        if self.backend_refs.iter().all(|backend| backend.weight == Some(0)) {
            let message = "no backend has a weight: calls that match fail with UNAVAILABLE";
            findings.warning(path.field("backendRefs"), message);
        }
    }
}

impl BackendRef {
    pub(crate) fn header_changes(&self) -> HeaderChanges {
        filter::header_changes(&self.filters)
    }
}

impl RouteMatch {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(method) = &self.method {
            method.check(&path.field("method"), findings);
        }
        check::length(self.headers.len(), MOST, &path.field("headers"), findings);
        for (index, header) in self.headers.iter().enumerate() {
            let path = path.field("headers").index(index);
            check::header_name(&header.name, &path.field("name"), findings);
            if header.value.is_empty() {
                findings.error(path.field("value"), "found an empty text, expected a value");
            }
            if header.r#type == MatchType::RegularExpression {
                check::regex(&header.value, &path.field("value"), findings);
            }
        }
        let names = self.headers.iter().map(|header| header.name.to_ascii_lowercase());
        check::unique(names, |index| path.field("headers").index(index).field("name"), findings);
    }
}

impl MethodMatch {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.service.is_none() && self.method.is_none() {
            findings.error(path.clone(), "expected service or method or both, found neither");
        }
        for (field, value) in [("service", &self.service), ("method", &self.method)] {
            let Some(value) = value else { continue };
            let path = path.field(field);
            match self.r#type {
                MatchType::RegularExpression => check::regex(value, &path, findings),
                MatchType::Exact if value.is_empty() || value.contains('/') => {
                    findings.error(path, format!("found `{value}`, expected a name without `/`"));
                }
                MatchType::Exact => {}
            }
        }
    }
}

const SERVICE: &str = "Service";

/// The Gateway API's limits: of rules, backends, filters and headers; of parents; and of the matches of a rule.
const MOST: usize = 16;
const MOST_PARENTS: usize = 32;
const MOST_MATCHES: usize = 64;

pub(super) const EFFECTS: &[Effect] = &[
    Effect {
        field: "hostnames",
        message: "ignored: the parent service is what a client asks for",
        clients: &[],
    },
    Effect { field: "useDefaultGateways", message: "ignored: gateways are not served", clients: &[] },
];
