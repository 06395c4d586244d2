//! `GRPCRoute` of the Gateway API: routes for the calls to a service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway_route::{
    self, BackendRef, Filter, FilterType, MOST, MOST_MATCHES, MatchType, Reference, RuleParts, ValueMatch,
    check_headers,
};
use super::session_persistence::SessionPersistence;
use super::{check, effect};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// Rules for one or more services; the most specific match wins.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GrpcRoute {
    pub(crate) parent_refs: Vec<Reference>,
    hostnames: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    use_default_gateways: Option<String>,
}

/// Matches, and the backends of matching calls.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    pub(crate) matches: Vec<RouteMatch>,
    filters: Vec<Filter>,
    backend_refs: Vec<BackendRef>,
    session_persistence: Option<SessionPersistence>,
}

/// All of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RouteMatch {
    pub(crate) method: Option<MethodMatch>,
    pub(crate) headers: Vec<ValueMatch>,
}

/// Matches calls by service and method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct MethodMatch {
    pub(crate) r#type: MatchType,
    pub(crate) service: Option<String>,
    pub(crate) method: Option<String>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<GrpcRoute> {
    let route: GrpcRoute = decode(spec, path, findings)?;
    route.check(path, findings);
    effect::warn(gateway_route::EFFECTS, spec, findings);
    Some(route)
}

impl GrpcRoute {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        gateway_route::check_parents(&self.parent_refs, &path.field("parentRefs"), findings);
        let path = path.field("rules");
        check::items(&self.rules, MOST, &path, findings, Rule::check);
        gateway_route::check_names(self.rules.iter().map(|rule| rule.name.as_ref()), &path, findings);
    }
}

impl Rule {
    pub(crate) fn parts(&self) -> RuleParts<'_> {
        RuleParts {
            name: self.name.as_ref(),
            filters: &self.filters,
            backend_refs: &self.backend_refs,
            session_persistence: self.session_persistence.as_ref(),
        }
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        check::items(&self.matches, MOST_MATCHES, &path.field("matches"), findings, RouteMatch::check);
        self.parts().check(&FilterType::OF_GRPC_ROUTES, path, findings);
        if self.parts().has_no_backend() {
            let message = "no backend has a weight: calls that match fail with UNAVAILABLE";
            findings.warning(path.field("backendRefs"), message);
        }
    }
}

impl RouteMatch {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(method) = &self.method {
            method.check(&path.field("method"), findings);
        }
        check_headers(&self.headers, &path.field("headers"), findings);
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
