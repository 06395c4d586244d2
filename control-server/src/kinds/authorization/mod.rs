//! `AuthorizationPolicy`: which calls servers answer, by who calls what.

mod address;
mod condition;
mod operation;
mod source;
mod value;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::Metadata;
use super::target::{self, Selector, TargetRef};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

pub(crate) use address::AddressRange;
pub(crate) use condition::{Condition, ConditionKey};
pub(crate) use operation::Operation;
pub(crate) use source::{ServiceAccount, Source};
pub(crate) use value::{Text, path_template};

/// Rules about the calls to some workloads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizationPolicy {
    pub(crate) selector: Option<Selector>,
    #[serde(default)]
    pub(crate) target_refs: Vec<TargetRef>,
    #[serde(default)]
    pub(crate) action: Action,
    pub(crate) provider: Option<Provider>,
    /// A call matches the policy if it matches any of them. Without any rule no call does.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// What it would do is counted, and not done: the annotation `istio.io/dry-run`.
    #[serde(skip)]
    pub(crate) is_dry_run: bool,
}

/// What happens to calls that match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Action {
    /// They are answered, unless a policy denies them; others are not.
    #[default]
    Allow,
    Deny,
    /// The servers' audit log tells about them.
    Audit,
    /// The provider decides.
    Custom,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Provider {
    pub(crate) name: String,
}

/// All parts that are there must match.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Rule {
    /// Any of them.
    #[serde(default)]
    pub(crate) from: Vec<From>,
    /// Any of them.
    #[serde(default)]
    pub(crate) to: Vec<To>,
    /// All of them.
    #[serde(default)]
    pub(crate) when: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct From {
    pub(crate) source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct To {
    pub(crate) operation: Operation,
}

pub(crate) fn read(
    spec: &Node,
    path: &FieldPath,
    namespace: &str,
    metadata: &Metadata,
    findings: &mut Findings,
) -> Option<AuthorizationPolicy> {
    let mut policy: AuthorizationPolicy = decode(spec, path, findings)?;
    policy.is_dry_run = is_dry_run(metadata, findings);
    target::check(spec, policy.selector.as_ref(), &policy.target_refs, namespace, findings);
    for (index, rule) in spec.items("rules").enumerate() {
        target::refuse_nothing(rule, &path.field("rules").index(index), findings);
    }
    policy.check(path, findings);
    Some(policy)
}

fn is_dry_run(metadata: &Metadata, findings: &mut Findings) -> bool {
    match metadata.annotations.get(DRY_RUN).map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        // Read as one of the two, it would enforce what is a trial, or the other way round.
        Some(other) => {
            let path = FieldPath::root().field("metadata").field("annotations").key(DRY_RUN);
            findings.error(path, format!("found `{other}`, expected `true` or `false`"));
            false
        }
    }
}

impl AuthorizationPolicy {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        match (self.action, &self.provider) {
            (Action::Custom, None) => {
                findings.missing(path.field("provider"), "required for CUSTOM, but not set");
            }
            (Action::Custom, Some(_)) | (Action::Audit, None) if self.is_dry_run => {
                findings
                    .warning(path.field("action"), "has no effect on trial: only ALLOW and DENY are tried");
            }
            (Action::Allow | Action::Deny | Action::Audit, Some(_)) => {
                findings.error(path.field("provider"), "found a provider, expected one only with CUSTOM");
            }
            (Action::Allow | Action::Deny | Action::Audit, None) | (Action::Custom, Some(_)) => {}
        }
        if self.action == Action::Deny && self.rules.is_empty() {
            findings
                .warning(path.field("action"), "has no effect: a DENY policy without rules denies nothing");
        }
        let rules = path.field("rules");
        if self.rules.len() > MAX_RULES {
            let message = format!("found {} rules, expected at most {MAX_RULES}", self.rules.len());
            findings.error(rules.clone(), message);
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(self.action, &rules.index(index), findings);
        }
    }
}

impl Rule {
    fn check(&self, action: Action, path: &FieldPath, findings: &mut Findings) {
        for (index, from) in self.from.iter().enumerate() {
            from.source.check(action, &path.field("from").index(index).field("source"), findings);
        }
        for (index, to) in self.to.iter().enumerate() {
            to.operation.check(&path.field("to").index(index).field("operation"), findings);
        }
        for (index, condition) in self.when.iter().enumerate() {
            condition.check(action, &path.field("when").index(index), findings);
        }
    }
}

const DRY_RUN: &str = "istio.io/dry-run";
const MAX_RULES: usize = 512;
