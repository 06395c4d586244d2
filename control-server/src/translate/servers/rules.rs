//! Authorization policies as rules of RBAC (A41).

use xds_proto::envoy::config::rbac::v3::{Permission, Policy, Principal, Rbac, rbac};

use super::logic::{Condition, Effect, Proven, Test as _};
use super::source::Context;
use super::{claim, operation, source};
use crate::kinds::ObjectId;
use crate::kinds::authorization::{Action, AuthorizationPolicy, ConditionKey, Rule};

/// A policy with its name.
pub(super) type Authorization<'p> = (&'p ObjectId, &'p AuthorizationPolicy);

/// The rules of policies that all deny or all allow. Without any policy among them, the rules match nothing.
pub(super) fn translate<'p>(
    policies: impl IntoIterator<Item = Authorization<'p>>,
    effect: Effect,
    trust_domain: &str,
    proven: Proven,
) -> Rbac {
    let action = match effect {
        Effect::Allow => rbac::Action::Allow,
        Effect::Deny => rbac::Action::Deny,
    };
    let mut rules = Rbac { action: action.into(), ..Rbac::default() };
    for (id, policy) in policies {
        let context = Context { namespace: &id.namespace, trust_domain, effect, proven };
        for (index, one) in policy.rules.iter().enumerate() {
            if let Some(translated) = rule(one, context) {
                // As Istio names it; a denial names it too.
                let name = format!("ns[{}]-policy[{}]-rule[{index}]", id.namespace, id.name);
                rules.policies.insert(name, translated);
            }
        }
    }
    rules
}

/// A rule that holds for every call.
pub(super) fn every_call() -> Policy {
    Policy { permissions: vec![Permission::any()], principals: vec![Principal::any()], ..Policy::default() }
}

/// `None`: no call matches.
fn rule(rule: &Rule, context: Context<'_>) -> Option<Policy> {
    let from = rule.from.iter().map(|from| source::translate(&from.source, context));
    let to = rule.to.iter().map(|to| operation::translate(&to.operation));
    // Without any, all are meant.
    let from = (!rule.from.is_empty()).then(|| Condition::any(from));
    let to = (!rule.to.is_empty()).then(|| Condition::any(to));
    let (mut callers, mut calls): (Vec<_>, Vec<_>) = (from.into_iter().collect(), to.into_iter().collect());
    for condition in &rule.when {
        let (values, not_values) = (&condition.values, &condition.not_values);
        // Checked before: every key is known.
        match condition.key()? {
            ConditionKey::Header(name) if name == "host" => {
                calls.push(Condition::of_values(values, not_values, operation::host));
            }
            ConditionKey::Header(name) => {
                calls.push(Condition::of_values(values, not_values, |value| operation::header(&name, value)));
            }
            ConditionKey::DestinationAddress => {
                calls.push(Condition::of_values(values, not_values, operation::address));
            }
            ConditionKey::DestinationPort => {
                calls.push(Condition::of_values(values, not_values, operation::port));
            }
            ConditionKey::SourceAddress | ConditionKey::RemoteAddress => {
                callers.push(Condition::of_values(values, not_values, source::address));
            }
            ConditionKey::SourceNamespace => callers.push(context.namespaces(values, not_values, false)),
            ConditionKey::SourcePrincipal => callers.push(context.principals(values, not_values)),
            ConditionKey::RequestPrincipal => callers.push(context.request_principals(values, not_values)),
            ConditionKey::Audiences => {
                callers.push(of_claim(context, values, not_values, &["aud".to_owned()]))
            }
            ConditionKey::Presenter => {
                callers.push(of_claim(context, values, not_values, &["azp".to_owned()]))
            }
            ConditionKey::Claim(path) => callers.push(of_claim(context, values, not_values, &path)),
        }
    }
    Some(Policy {
        permissions: vec![Condition::all(calls).into_test()?],
        principals: vec![Condition::all(callers).into_test()?],
        ..Policy::default()
    })
}

fn of_claim(
    context: Context<'_>,
    values: &[String],
    not_values: &[String],
    path: &[String],
) -> Condition<Principal> {
    context.token(values, not_values, |value| claim::value(path, value))
}

/// What a policy does to calls that match; `None`: nothing. What a service would decide that cannot be asked is no.
pub(super) const fn effect(policy: &AuthorizationPolicy) -> Option<Effect> {
    match policy.action {
        Action::Allow => Some(Effect::Allow),
        Action::Deny => Some(Effect::Deny),
        Action::Custom if policy.is_dry_run => None,
        Action::Custom => Some(Effect::Deny),
        Action::Audit => None,
    }
}
