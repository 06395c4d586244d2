//! What an operator sees of decisions: counters by filter and policy, and a line in the log for each refused call.

use std::sync::OnceLock;

use crate::config::Name;
use crate::counters::{AUTHORIZATIONS, Counter};
use crate::filter::FilterContext;
use crate::policy::rbac::{RbacRequest, RbacRules, RbacVerdict};

/// Which rules are observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Rules that decide.
    Enforced,
    /// Rules that are only tried.
    Shadow,
    /// Rules whose result is for later filters.
    Told,
}

/// Counters of the decisions of some rules.
#[derive(Debug)]
pub(super) struct Observed {
    context: FilterContext,
    filter: Name,
    subject: Subject,
    allowed: Counter,
    /// Refused because no policy allows the call.
    unmatched: Counter,
    /// By policy: refused because of it. Made when there is something to count, since most policies of thousands never are.
    denied: Box<[OnceLock<Counter>]>,
}

impl Observed {
    pub(super) fn new(context: &FilterContext, rules: &RbacRules, subject: Subject) -> Self {
        let filter = Name::from(context.name());
        let counter = |decision: &str| {
            context
                .counter(&AUTHORIZATIONS, [filter.clone(), subject.name(), decision.into(), Name::default()])
        };
        Self {
            allowed: counter(ALLOWED),
            unmatched: counter(DENIED),
            denied: rules.policies.iter().map(|_| OnceLock::new()).collect(),
            context: context.clone(),
            filter,
            subject,
        }
    }

    /// Counts a decision, and logs a refusal.
    pub(super) fn note(&self, request: &RbacRequest<'_>, verdict: RbacVerdict<'_>, route: &str) {
        if verdict.allowed {
            self.allowed.increment();
            return;
        }
        let policy = verdict.policy.map_or("", |policy| policy);
        match verdict.position() {
            None => self.unmatched.increment(),
            Some(position) => self.denied[position].get_or_init(|| self.denials_of(policy)).increment(),
        }
        let principal = request.peer.identity().map_or("", |identity| &identity.principals()[0]);
        let (filter, remote, path) = (&*self.filter, request.peer.remote, request.uri.path());
        match self.subject {
            Subject::Enforced => {
                tracing::info!(filter, policy, route, path, principal, %remote, "call refused by authorization");
            }
            Subject::Shadow => {
                tracing::info!(filter, policy, route, path, principal, %remote, "call would be refused by shadow rules");
            }
            Subject::Told => {}
        }
    }

    fn denials_of(&self, policy: &str) -> Counter {
        let labels = [self.filter.clone(), self.subject.name(), DENIED.into(), policy.into()];
        self.context.counter(&AUTHORIZATIONS, labels)
    }
}

impl Subject {
    /// Its name in metrics.
    fn name(self) -> Name {
        match self {
            Self::Enforced => "enforced".into(),
            Self::Shadow | Self::Told => "shadow".into(),
        }
    }
}

const ALLOWED: &str = "allowed";
const DENIED: &str = "denied";
