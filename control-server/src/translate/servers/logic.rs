//! Conditions of rules, of which some cannot be checked.
//!
//! A filter chain in plaintext knows no identity, and one without a filter for tokens knows no claims. A condition about them is
//! neither true nor false: whatever is negated around it, it holds in a DENY rule and fails in an ALLOW rule.

use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::rbac::v3::principal::Identifier;
use xds_proto::envoy::config::rbac::v3::{Permission, Principal, permission, principal};

/// What is proven about callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) identity: Proof,
    pub(super) tokens: Proof,
}

/// Whether the server checks a property of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Checked,
    Unchecked,
}

/// What a rule does to calls that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition<T> {
    Always,
    Never,
    Test(T),
}

/// What conditions are made of: permissions or principals.
pub(super) trait Test: Sized {
    fn any() -> Self;
    fn all_of(tests: Vec<Self>) -> Self;
    fn any_of(tests: Vec<Self>) -> Self;
    fn not(test: Self) -> Self;
}

impl Effect {
    /// A condition that cannot be checked.
    pub(super) const fn unproven<T>(self) -> Condition<T> {
        match self {
            Self::Allow => Condition::Never,
            Self::Deny => Condition::Always,
        }
    }
}

impl<T: Test> Condition<T> {
    /// All of them; of none: always.
    pub(super) fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut tests = Vec::new();
        for one in conditions {
            match one {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::Test(test) => tests.push(test),
            }
        }
        match tests.len() {
            0 => Self::Always,
            1 => Self::Test(tests.remove(0)),
            _ => Self::Test(T::all_of(tests)),
        }
    }

    /// Any of them; of none: never.
    pub(super) fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut tests = Vec::new();
        for one in conditions {
            match one {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::Test(test) => tests.push(test),
            }
        }
        match tests.len() {
            0 => Self::Never,
            1 => Self::Test(tests.remove(0)),
            _ => Self::Test(T::any_of(tests)),
        }
    }

    /// The opposite; only of what can be checked.
    pub(super) fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Test(test) => Self::Test(T::not(test)),
        }
    }

    /// Any of the values, and none of the others; each list only if it has items.
    pub(super) fn of_values(values: &[String], not_values: &[String], test: impl Fn(&str) -> Self) -> Self {
        let any = |values: &[String]| Self::any(values.iter().map(|value| test(value)));
        let wanted = (!values.is_empty()).then(|| any(values));
        let unwanted = (!not_values.is_empty()).then(|| any(not_values).not());
        Self::all(wanted.into_iter().chain(unwanted))
    }

    /// What is sent; `None`: it never holds.
    pub(super) fn into_test(self) -> Option<T> {
        match self {
            Self::Always => Some(T::any()),
            Self::Never => None,
            Self::Test(test) => Some(test),
        }
    }
}

impl Test for Permission {
    fn any() -> Self {
        permission(Rule::Any(true))
    }

    fn all_of(rules: Vec<Self>) -> Self {
        permission(Rule::AndRules(permission::Set { rules }))
    }

    fn any_of(rules: Vec<Self>) -> Self {
        permission(Rule::OrRules(permission::Set { rules }))
    }

    fn not(test: Self) -> Self {
        permission(Rule::NotRule(Box::new(test)))
    }
}

impl Test for Principal {
    fn any() -> Self {
        principal(Identifier::Any(true))
    }

    fn all_of(ids: Vec<Self>) -> Self {
        principal(Identifier::AndIds(principal::Set { ids }))
    }

    fn any_of(ids: Vec<Self>) -> Self {
        principal(Identifier::OrIds(principal::Set { ids }))
    }

    fn not(test: Self) -> Self {
        principal(Identifier::NotId(Box::new(test)))
    }
}

pub(super) const fn permission(rule: Rule) -> Permission {
    Permission { rule: Some(rule) }
}

pub(super) const fn principal(identifier: Identifier) -> Principal {
    Principal { identifier: Some(identifier) }
}
