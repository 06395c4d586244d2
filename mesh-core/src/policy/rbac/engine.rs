//! Rules in the form in which calls are decided.

use crate::config::Name;

use super::condition::Condition;
use super::index::Index;
use super::{RbacAction, RbacRequest, RbacRules};

/// Rules, compiled: the cost of a decision hardly grows with the number of policies.
#[derive(Debug)]
pub struct RbacEngine {
    action: RbacAction,
    policies: Box<[(Name, Condition)]>,
    index: Index,
}

/// What the rules say about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RbacVerdict<'e> {
    /// Whether the call is allowed.
    pub allowed: bool,
    /// The first policy that matches it; `None`: none does.
    pub policy: Option<&'e Name>,
    position: Option<usize>,
}

impl RbacVerdict<'_> {
    /// The position of the policy that matches among all policies.
    pub(crate) fn position(&self) -> Option<usize> {
        self.position
    }
}

impl RbacEngine {
    /// Compiles rules.
    pub fn new(rules: &RbacRules) -> Self {
        let compiled =
            rules.policies.iter().map(|policy| (policy.name.clone(), Condition::of_policy(policy)));
        let policies: Box<[_]> = compiled.collect();
        let index = Index::new(policies.iter().map(|(_, condition)| condition));
        Self { action: rules.action, policies, index }
    }

    /// Decides about a call.
    // HF-19
    pub fn decide(&self, request: &RbacRequest<'_>) -> RbacVerdict<'_> {
        let accepts = |policy: u32| self.policies[policy as usize].1.is_met(request);
        let position = self.index.first(request, accepts).map(|policy| policy as usize);
        let policy = position.map(|position| &self.policies[position].0);
        let allowed = match self.action {
            RbacAction::Allow => policy.is_some(),
            RbacAction::Deny => policy.is_none(),
            RbacAction::Log => true,
        };
        RbacVerdict { allowed, policy, position }
    }
}
