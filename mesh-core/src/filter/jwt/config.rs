//! Configuration of the filter for tokens.

use http::request;

use crate::config::{Name, RouteMatch};
use crate::filter::{BuildError, Overrides};
use crate::policy::jwt::{JwtProvider, JwtRequirement, RequirementPlan};
use crate::policy::matcher::HeaderView;
use crate::policy::route::meets_query_and_kind;

/// Configuration of a filter for tokens.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JwtConfig {
    /// Issuers, by the names that requirements use.
    pub providers: Vec<(Name, JwtProvider)>,
    /// What is required of calls: the first that matches counts. A call that none matches passes.
    pub rules: Vec<JwtRule>,
    /// Requirements that routes choose by name.
    pub named: Vec<(String, JwtRequirement)>,
    /// Whether a browser's question whether it may call (CORS preflight) passes.
    pub passes_preflight: bool,
    /// Whether refusals say nothing but their status.
    pub hides_reason: bool,
}

/// What is required of some calls.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JwtRule {
    /// Which calls.
    pub matches: RouteMatch,
    /// What is required; `None`: nothing.
    pub requirement: Option<JwtRequirement>,
}

impl JwtRule {
    /// Requires this of these calls.
    pub fn new(matches: RouteMatch, requirement: JwtRequirement) -> Self {
        Self::optional(matches, Some(requirement))
    }

    /// Requires this of these calls, or nothing.
    pub fn optional(matches: RouteMatch, requirement: Option<JwtRequirement>) -> Self {
        Self { matches, requirement }
    }
}

/// What a virtual host or a route puts in the place of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtOverride {
    /// Calls are not checked.
    Disabled,
    /// The requirement of this name counts.
    Requirement(String),
}

impl JwtConfig {
    /// Requires this of every call.
    pub fn new(
        providers: impl IntoIterator<Item = (Name, JwtProvider)>,
        requirement: JwtRequirement,
    ) -> Self {
        let rules = vec![JwtRule::new(RouteMatch::any(), requirement)];
        Self { providers: providers.into_iter().collect(), rules, ..Self::default() }
    }

    fn plan(&self, requirement: &JwtRequirement) -> Result<RequirementPlan, BuildError> {
        let position = |name: &str| self.providers.iter().position(|(known, _)| **known == *name);
        RequirementPlan::new(requirement, position, self.providers.len())
            .map_err(|error| BuildError::new(error.to_string()))
    }

    pub(super) fn plans(&self, overrides: Overrides<'_>) -> Result<Option<Vec<Planned>>, BuildError> {
        match overrides.most_specific::<JwtOverride>()? {
            Some(JwtOverride::Disabled) => Ok(None),
            Some(JwtOverride::Requirement(name)) => {
                let found = self.named.iter().find(|(known, _)| known == name);
                let missing = || BuildError::new(format!("there is no requirement {name:?}"));
                let (_, requirement) = found.ok_or_else(missing)?;
                Ok(Some(vec![Planned {
                    matches: RouteMatch::any(),
                    requirement: Some(self.plan(requirement)?),
                }]))
            }
            None => {
                let planned = |rule: &JwtRule| {
                    let requirement = rule.requirement.as_ref().map(|each| self.plan(each)).transpose()?;
                    Ok(Planned { matches: rule.matches.clone(), requirement })
                };
                self.rules.iter().map(planned).collect::<Result<_, _>>().map(Some)
            }
        }
    }
}

/// A rule with its providers.
#[derive(Debug)]
pub(super) struct Planned {
    matches: RouteMatch,
    pub(super) requirement: Option<RequirementPlan>,
}

impl Planned {
    pub(super) fn takes(&self, head: &request::Parts) -> bool {
        let headers = HeaderView::Response(&head.headers);
        self.matches.path.matches(head.uri.path())
            && self.matches.headers.iter().all(|header| header.matches(headers))
            && meets_query_and_kind(&self.matches, head.uri.query(), headers)
    }
}
