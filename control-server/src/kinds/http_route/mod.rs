//! `HTTPRoute` of the Gateway API: routes for the requests to a service.

mod attempts;
mod matches;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway_route::{self, BackendRef, Filter, FilterType, MOST, MOST_MATCHES, Reference, RuleParts};
use super::session_persistence::SessionPersistence;
use super::{check, effect};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

pub(crate) use attempts::{Retry, Timeouts};
pub(crate) use matches::{PathType, RouteMatch};

/// Rules for one or more services; the most specific match wins.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpRoute {
    pub(crate) parent_refs: Vec<Reference>,
    hostnames: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    use_default_gateways: Option<String>,
}

/// Matches, and what happens to matching requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    pub(crate) matches: Vec<RouteMatch>,
    filters: Vec<Filter>,
    backend_refs: Vec<BackendRef>,
    pub(crate) timeouts: Option<Timeouts>,
    pub(crate) retry: Option<Retry>,
    session_persistence: Option<SessionPersistence>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<HttpRoute> {
    let route: HttpRoute = decode(spec, path, findings)?;
    route.check(path, findings);
    effect::warn(gateway_route::EFFECTS, spec, findings);
    Some(route)
}

impl HttpRoute {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        gateway_route::check_parents(&self.parent_refs, &path.field("parentRefs"), findings);
        let path = path.field("rules");
        check::items(&self.rules, MOST, &path, findings, Rule::check);
        let matches: usize = self.rules.iter().map(|rule| rule.matches.len()).sum();
        if matches > MOST_OF_ALL_RULES {
            let message =
                format!("found {matches} matches, expected at most {MOST_OF_ALL_RULES} in all rules");
            findings.error(path.clone(), message);
        }
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
        self.parts().check(&FilterType::OF_HTTP_ROUTES, path, findings);
        self.check_answers(path, findings);
        if let Some(timeouts) = &self.timeouts {
            timeouts.check(&path.field("timeouts"), findings);
            if self.retry.is_some() {
                timeouts.warn_of_attempts(&path.field("timeouts"), findings);
            }
        }
        if let Some(retry) = &self.retry {
            retry.check(&path.field("retry"), findings);
        }
    }

    /// What answers instead of a backend, and what has nothing to replace.
    fn check_answers(&self, path: &FieldPath, findings: &mut Findings) {
        let redirect = self.parts().redirect();
        if redirect.is_some() && !self.backend_refs.is_empty() {
            let message = "found backends beside a redirect, expected one of the two";
            findings.error(path.field("backendRefs"), message);
        } else if redirect.is_none() && self.parts().has_no_backend() {
            let message = "no backend has a weight: calls that match fail with 500, and with UNAVAILABLE on gRPC clients";
            findings.warning(path.field("backendRefs"), message);
        }
        if redirect.is_some() && self.parts().url_rewrite().is_some() {
            findings.error(path.field("filters"), "found a redirect and a rewrite, expected one of the two");
        }
        let prefixes = self.matches.iter().filter(|one| one.path.r#type == PathType::PathPrefix).count();
        let is_one_prefix = self.matches.is_empty() || (self.matches.len() == 1 && prefixes == 1);
        if self.parts().replaces_prefix() && !is_one_prefix {
            let message = "ReplacePrefixMatch needs exactly one match, of the type PathPrefix";
            findings.error(path.field("filters"), message);
        }
    }
}

const MOST_OF_ALL_RULES: usize = 128;
