//! Audit logs of decisions (gRFC A59).

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::filter::ConfigValue;
use crate::policy::rbac::{RbacRequest, RbacVerdict};

/// Which decisions are audited, and who is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Audit {
    /// Which decisions.
    pub condition: AuditCondition,
    /// All of these are told, in this order.
    pub loggers: Vec<Arc<dyn AuditLogger>>,
}

impl Audit {
    /// Tells these loggers about these decisions.
    pub fn new(condition: AuditCondition, loggers: impl Into<Vec<Arc<dyn AuditLogger>>>) -> Self {
        Self { condition, loggers: loggers.into() }
    }

    /// Tells the loggers about a decision if it is among those that are audited.
    pub(super) fn tell(&self, policy_name: &str, request: &RbacRequest<'_>, verdict: RbacVerdict<'_>) {
        if !self.condition.includes(verdict.allowed) {
            return;
        }
        let entry = AuditEntry {
            rpc_method: request.uri.path(),
            principal: request.peer.identity().map_or("", |identity| &identity.principals()[0]),
            policy_name,
            matched_rule: verdict.policy.map_or("", |policy| policy),
            authorized: verdict.allowed,
        };
        self.loggers.iter().for_each(|logger| logger.log(&entry));
    }
}

impl PartialEq for Audit {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<dyn AuditLogger>, &Arc<dyn AuditLogger>)| {
            std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) || one.is_equal(&**other)
        };
        self.condition == other.condition
            && self.loggers.len() == other.loggers.len()
            && self.loggers.iter().zip(&other.loggers).all(same)
    }
}

/// Which decisions are audited: by what was decided about the call, not by the action of the rules.
// HF-23, B11
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditCondition {
    /// None.
    #[default]
    None,
    /// Refused calls.
    OnDeny,
    /// Allowed calls.
    OnAllow,
    /// All calls.
    OnDenyAndAllow,
}

impl AuditCondition {
    fn includes(self, allowed: bool) -> bool {
        match self {
            Self::None => false,
            Self::OnDeny => !allowed,
            Self::OnAllow => allowed,
            Self::OnDenyAndAllow => true,
        }
    }
}

/// One decision of one filter. The call's final status is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry<'a> {
    /// What is called: `/<service>/<method>`.
    pub rpc_method: &'a str,
    /// The first of the client's names that rules compare; empty: its certificate has none, or it has shown none.
    pub principal: &'a str,
    /// The filter's name.
    pub policy_name: &'a str,
    /// The policy that matches the call; empty: none does.
    pub matched_rule: &'a str,
    /// Whether the call is allowed.
    pub authorized: bool,
}

/// Who is told about decisions. It is called on the way of the call, so it must not block for long.
pub trait AuditLogger: ConfigValue {
    /// Takes an entry. The decision stands whatever happens here.
    fn log(&self, entry: &AuditEntry<'_>);
}

/// Writes a line of JSON to the standard output for each entry: gRPC's `stdout_logger`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StdoutAuditLogger;

impl StdoutAuditLogger {
    /// The logger.
    pub fn new() -> Self {
        Self
    }
}

impl AuditLogger for StdoutAuditLogger {
    fn log(&self, entry: &AuditEntry<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = line(now.as_secs(), entry);
        if let Err(error) = std::io::stdout().lock().write_all(line.as_bytes()) {
            tracing::warn!(%error, "an audit entry could not be written to the standard output");
        }
    }
}

/// A59: names, order and types as in its example.
fn line(seconds: u64, entry: &AuditEntry<'_>) -> String {
    let AuditEntry { rpc_method, principal, policy_name, matched_rule, authorized } = entry;
    let value = serde_json::json!({
        "timestamp": seconds.to_string(),
        "rpc_method": rpc_method,
        "principal": principal,
        "policy_name": policy_name,
        "matched_rule": matched_rule,
        "authorized": authorized,
    });
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_that_of_grpc_and_stays_one_line() {
        let entry = AuditEntry {
            rpc_method: "/pkg.Service/Foo",
            principal: "spiffe://foo/user1\n{\"",
            policy_name: "example_policy",
            matched_rule: "admin_access",
            authorized: true,
        };
        let expected = r#"{"timestamp":"1649376211","rpc_method":"/pkg.Service/Foo","principal":"spiffe://foo/user1\n{\"","#;
        let rest = r#""policy_name":"example_policy","matched_rule":"admin_access","authorized":true}"#;
        assert_eq!(line(1_649_376_211, &entry), format!("{expected}{rest}\n"));
    }
}
