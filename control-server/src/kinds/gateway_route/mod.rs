//! What the routes of the Gateway API share: parents, backends, filters.

mod cors;
mod filter;
mod header_modifier;
mod url;
mod value_match;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use filter::{Filter, FilterType};
pub(crate) use url::{PathModifier, Replacement, RequestRedirect, Scheme, UrlRewrite};
pub(crate) use value_match::{MatchType, ValueMatch};
pub(super) use value_match::{check_headers, check_query};

use super::check;
use super::cors::Cors;
use super::effect::Effect;
use super::header_changes::HeaderChanges;
use super::session_persistence::{Session, SessionPersistence};
use crate::finding::Findings;
use crate::yaml::FieldPath;

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

/// The parts of a rule that every kind of route has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleParts<'a> {
    pub(crate) name: Option<&'a String>,
    pub(crate) filters: &'a [Filter],
    pub(crate) backend_refs: &'a [BackendRef],
    pub(crate) session_persistence: Option<&'a SessionPersistence>,
}

/// The parents that are services, with their places. Other parents, such as gateways, are not served, and each parent counts by
/// itself.
pub(crate) fn services(parents: &[Reference]) -> impl Iterator<Item = (usize, &Reference)> {
    parents.iter().enumerate().filter(|(_, parent)| parent.kind.as_deref() == Some(SERVICE))
}

/// Checks the parents of a route.
pub(super) fn check_parents(parents: &[Reference], path: &FieldPath, findings: &mut Findings) {
    if services(parents).next().is_none() {
        findings.warning(path.clone(), "the object has no effect: it is attached to no service");
    }
    for (index, parent) in services(parents) {
        let path = path.index(index);
        check_service(parent.group.as_deref(), SERVICE, &path, findings);
        if let Some(port) = parent.port {
            check::port(port, &path.field("port"), findings);
        }
    }
    check::length(parents.len(), MOST_PARENTS, path, findings);
}

/// Checks that rules with a name have different ones.
pub(super) fn check_names<'a>(
    names: impl Iterator<Item = Option<&'a String>>,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let names: Vec<(usize, &String)> =
        names.enumerate().filter_map(|(index, name)| Some((index, name?))).collect();
    let place = |position: usize| path.index(names[position].0).field("name");
    check::unique(names.iter().map(|(_, name)| *name), place, findings);
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

    pub(crate) fn header_changes(&self) -> HeaderChanges {
        filter::header_changes(&self.filters)
    }

    fn check(&self, types: &[FilterType], path: &FieldPath, findings: &mut Findings) {
        let group = Some(self.group.as_deref().unwrap_or_default());
        check_service(group, self.kind.as_deref().unwrap_or(SERVICE), path, findings);
        if let Some(port) = self.port {
            check::port(port, &path.field("port"), findings);
        }
        if let Some(weight) = self.weight.filter(|weight| *weight > 1_000_000) {
            findings.error(path.field("weight"), format!("found the number {weight}, expected 0 to 1000000"));
        }
        filter::check(&self.filters, types, &path.field("filters"), findings);
        if filter::mirrors(&self.filters) {
            let message =
                "no client mirrors calls of one backend: put the mirror among the filters of the rule";
            findings.warning(path.field("filters"), message);
        }
    }
}

impl<'a> RuleParts<'a> {
    /// Where copies of calls go, and for how many of a million calls.
    pub(crate) fn mirrored_to(&self) -> Vec<(BackendRef, u32)> {
        filter::mirrored_to(self.filters)
    }

    /// The same services with the places of their filters.
    pub(crate) fn mirrors(&self) -> impl Iterator<Item = (usize, BackendRef)> + use<'a> {
        filter::mirrors_by_place(self.filters)
    }

    /// Filters of every matching call, before those of its backend.
    pub(crate) fn header_changes(&self) -> HeaderChanges {
        filter::header_changes(self.filters)
    }

    /// What keeps its calls with one endpoint.
    pub(crate) fn session(&self) -> Option<Session> {
        self.session_persistence.map(SessionPersistence::session)
    }

    /// The answer that names another place.
    pub(crate) fn redirect(&self) -> Option<&'a RequestRedirect> {
        self.filters.iter().find_map(Filter::redirect)
    }

    /// What the backend sees instead of what was asked for.
    pub(crate) fn url_rewrite(&self) -> Option<&'a UrlRewrite> {
        self.filters.iter().find_map(Filter::url_rewrite)
    }

    /// Which pages of browsers may ask.
    pub(crate) fn cors(&self) -> Option<Cors> {
        self.filters.iter().find_map(Filter::cors)
    }

    /// Whether a filter replaces the prefix that has matched.
    pub(super) fn replaces_prefix(&self) -> bool {
        let of_redirect = self.redirect().and_then(|redirect| redirect.path.as_ref());
        let of_rewrite = self.url_rewrite().and_then(|rewrite| rewrite.path.as_ref());
        of_redirect.into_iter().chain(of_rewrite).any(PathModifier::replaces_prefix)
    }

    /// Checks them; `types`: the filters that the kind has.
    pub(super) fn check(&self, types: &[FilterType], path: &FieldPath, findings: &mut Findings) {
        if let Some(persistence) = self.session_persistence {
            persistence.check(&path.field("sessionPersistence"), findings);
        }
        filter::check(self.filters, types, &path.field("filters"), findings);
        check::length(self.backend_refs.len(), MOST, &path.field("backendRefs"), findings);
        for (index, backend) in self.backend_refs.iter().enumerate() {
            backend.check(&FilterType::OF_BACKENDS, &path.field("backendRefs").index(index), findings);
        }
    }

    /// Whether calls have nowhere to go.
    pub(super) fn has_no_backend(&self) -> bool {
        self.backend_refs.iter().all(|backend| backend.weight == Some(0))
    }
}

const SERVICE: &str = "Service";

/// The Gateway API's limits: of rules, backends, filters and headers; of parents; and of the matches of a rule.
pub(super) const MOST: usize = 16;
const MOST_PARENTS: usize = 32;
pub(super) const MOST_MATCHES: usize = 64;

pub(super) const EFFECTS: &[Effect] = &[
    Effect {
        field: "hostnames",
        message: "ignored: the parent service is what a client asks for",
        clients: &[],
    },
    Effect { field: "useDefaultGateways", message: "ignored: gateways are not served", clients: &[] },
];
