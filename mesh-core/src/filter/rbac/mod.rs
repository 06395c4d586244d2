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
use crate::policy::matcher::DynamicMetadata;
use crate::policy::rbac::{RbacAction, RbacEngine, RbacRequest, RbacRules, RbacVerdict};

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
    /// Later filters find in the [`DynamicMetadata`] of the namespace `envoy.filters.http.rbac` what `shadow_rules` say, in the fields
    /// `shadow_engine_result` and `shadow_effective_policy_id` with this text in front; `None`: they find nothing.
    pub shadow_metadata: Option<Name>,
    /// Who is told about decisions of `rules`; `None`: no logger. With [`RbacAction::Log`]: about calls that some policy matches.
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

    /// Tells later filters what the shadow rules say, in fields that begin with this text.
    #[must_use]
    pub fn with_shadow_metadata(mut self, prefix: impl Into<Name>) -> Self {
        self.shadow_metadata = Some(prefix.into());
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
        let logged = config.rules.as_ref().filter(|rules| rules.action == RbacAction::Log);
        let shadow_subject = match &config.shadow_metadata {
            Some(_) => Subject::Told,
            None => Subject::Shadow,
        };
        let filter = Rbac {
            name: context.name().into(),
            rules: active(&config.rules, Subject::Enforced),
            shadow: active(&config.shadow_rules, shadow_subject),
            shadow_fields: config.shadow_metadata.as_deref().map(ShadowFields::new),
            logged: logged.filter(|_| config.audit.is_some()).map(RbacEngine::new),
            audit: config.audit.clone(),
        };
        let has_effect = filter.rules.is_some() || filter.shadow.is_some() || filter.logged.is_some();
        Ok(has_effect.then(|| Arc::new(filter) as _))
    }
}

/// Takes or refuses calls.
#[derive(Debug)]
struct Rbac {
    name: Name,
    rules: Option<Checked>,
    shadow: Option<Checked>,
    shadow_fields: Option<ShadowFields>,
    /// Rules that decide nothing; the loggers are told about calls that they match.
    logged: Option<RbacEngine>,
    audit: Option<Audit>,
}

/// The names of the fields that say what the shadow rules decide.
#[derive(Debug)]
struct ShadowFields {
    result: String,
    policy: String,
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
        if let Some(shadow) = &self.shadow {
            let request = RbacRequest::new(head, peer);
            let verdict = shadow.engine.decide(&request);
            shadow.observed.note(&request, verdict, call.route());
            if let Some(fields) = &self.shadow_fields {
                fields.write(verdict, head.extensions.get_or_insert_default());
            }
        }
        if let (Some(logged), Some(audit)) = (&self.logged, &self.audit) {
            let request = RbacRequest::new(head, peer);
            let verdict = logged.decide(&request);
            if verdict.policy.is_some() {
                audit.tell(&self.name, &request, verdict);
            }
        }
        let Some(rules) = &self.rules else { return RequestAction::Continue };
        let request = RbacRequest::new(head, peer);
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

impl ShadowFields {
    fn new(prefix: &str) -> Self {
        Self {
            result: format!("{prefix}shadow_engine_result"),
            policy: format!("{prefix}shadow_effective_policy_id"),
        }
    }

    fn write(&self, verdict: RbacVerdict<'_>, metadata: &mut DynamicMetadata) {
        let result = if verdict.allowed { "allowed" } else { "denied" };
        metadata.insert(NAMESPACE, &self.result, result.into());
        if let Some(policy) = verdict.policy {
            metadata.insert(NAMESPACE, &self.policy, (**policy).into());
        }
    }
}

/// HF-19: PERMISSION_DENIED in gRPC. The text names no policy: it is for a caller who may be an attacker.
fn denied() -> RequestAction {
    RequestAction::Reply(LocalReply::http(StatusCode::FORBIDDEN, "access denied"))
}

const NAMESPACE: &str = "envoy.filters.http.rbac";
