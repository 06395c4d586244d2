//! Authorization on servers: takes or refuses calls by RBAC policies (gRFC A41), and tells audit loggers (gRFC A59).
//!
//! The caller of a refused call learns that it is refused, and nothing else. The log and the counters name the filter and the
//! policy.

mod audit;
mod observed;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{StatusCode, request};

use crate::config::Name;
use crate::policy::rbac::{RbacAction, RbacEngine, RbacRequest, RbacRules};

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, Overrides, RequestAction,
    Stages,
};

pub use audit::{Audit, AuditCondition, AuditEntry, AuditLogger, StdoutAuditLogger};
use observed::{Observed, Subject};

/// Configuration of an RBAC filter.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RbacConfig {
    /// Decide about calls; `None`: every call is taken.
    pub rules: Option<RbacRules>,
    /// Are only tried: what they would refuse is counted and logged, and goes on.
    pub shadow_rules: Option<RbacRules>,
    /// Who is told about decisions of `rules`; `None`: no logger.
    pub audit: Option<Audit>,
}

impl RbacConfig {
    /// Decides by these rules.
    pub fn new(rules: RbacRules) -> Self {
        Self { rules: Some(rules), ..Self::default() }
    }

    /// Also tries these rules.
    #[must_use]
    pub fn with_shadow_rules(mut self, rules: RbacRules) -> Self {
        self.shadow_rules = Some(rules);
        self
    }

    /// Tells audit loggers about decisions.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }
}

/// What a virtual host or a route puts in the place of the whole configuration. `None`: calls there are not checked.
// HF-03, HF-17
#[derive(Debug, Clone, PartialEq)]
pub struct RbacOverride(pub Option<RbacConfig>);

/// Which policy allowed a call: in the extensions of the request, for the handler. With several RBAC filters, the last one's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedBy {
    /// The filter's name.
    pub filter: Name,
    /// The policy's name.
    pub policy: Name,
}

impl FilterConfig for RbacConfig {
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let config = match overrides.most_specific::<RbacOverride>()? {
            None => self,
            Some(RbacOverride(Some(config))) => config,
            Some(RbacOverride(None)) => return Ok(None),
        };
        // HF-17: rules that only log decide nothing
        let active = |rules: &Option<RbacRules>, subject| {
            let rules = rules.as_ref().filter(|rules| rules.action != RbacAction::Log)?;
            Some(Checked { engine: RbacEngine::new(rules), observed: Observed::new(context, rules, subject) })
        };
        let filter = Rbac {
            name: context.name().into(),
            rules: active(&config.rules, Subject::Enforced),
            shadow: active(&config.shadow_rules, Subject::Shadow),
            audit: config.audit.clone(),
        };
        Ok((filter.rules.is_some() || filter.shadow.is_some()).then(|| Arc::new(filter) as _))
    }
}

/// Takes or refuses calls.
#[derive(Debug)]
struct Rbac {
    name: Name,
    rules: Option<Checked>,
    shadow: Option<Checked>,
    audit: Option<Audit>,
}

/// Rules with what is counted of their decisions.
#[derive(Debug)]
struct Checked {
    engine: RbacEngine,
    observed: Observed,
}

impl HttpFilter for Rbac {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        // Without a connection nothing is known of the client: that is no reason to trust it.
        let Some(peer) = call.peer() else {
            tracing::warn!(filter = &*self.name, "call refused: an RBAC filter works on servers only");
            return denied();
        };
        let request = RbacRequest::new(head, peer);
        if let Some(shadow) = &self.shadow {
            shadow.observed.note(&request, shadow.engine.decide(&request), call.route());
        }
        let Some(rules) = &self.rules else { return RequestAction::Continue };
        let verdict = rules.engine.decide(&request);
        rules.observed.note(&request, verdict, call.route());
        if let Some(audit) = &self.audit {
            audit.tell(&self.name, &request, verdict);
        }
        if !verdict.allowed {
            return denied();
        }
        if let Some(policy) = verdict.policy {
            let (filter, policy) = (self.name.clone(), policy.clone());
            head.extensions.insert(AllowedBy { filter, policy });
        }
        RequestAction::Continue
    }
}

/// HF-19: PERMISSION_DENIED in gRPC. The text names no policy: it is for a caller who may be an attacker.
fn denied() -> RequestAction {
    RequestAction::Reply(LocalReply::http(StatusCode::FORBIDDEN, "access denied"))
}
