//! Error texts: resource, reason, control server and node (OB-23).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_core::config::{Name, ResourceError};
use mesh_core::runtime::SourceError;

use crate::protocol::{Outage, Problem, ProblemKind};

use super::{Key, KeyKind};

/// The control server and the node of an error text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorContext {
    /// The control server's URI.
    pub server: Name,
    /// The xDS node id.
    pub node: Name,
}

impl ErrorContext {
    /// For one cluster.
    pub(super) fn resource_error(&self, key: &Key, problem: &Problem) -> ResourceError {
        ResourceError::new(self.text(key, &self.reason(problem)))
    }

    /// For the whole target.
    pub(super) fn source_error(&self, key: &Key, problem: &Problem, outage: Option<&Outage>) -> SourceError {
        match outage.filter(|_| problem.kind == ProblemKind::Unreachable) {
            Some(outage) => {
                let what = format!("xDS {} {:?}: ", key.kind.label(), &*key.name);
                self.outage_error(&what, outage)
            }
            None => {
                let text = self.text(key, &self.reason(problem));
                // a target is its listener: one whose other resources are missing is broken
                match (key.kind, problem.kind) {
                    (KeyKind::Listener, ProblemKind::DoesNotExist) => SourceError::absent(text),
                    _ => SourceError::new(text),
                }
            }
        }
    }

    /// `xDS listener "greeter": does not exist (control server 127.0.0.1:15010, node n1)`.
    pub(super) fn text(&self, key: &Key, reason: &str) -> String {
        format!("xDS {} {:?}: {reason} ({self})", key.kind.label(), &*key.name)
    }

    /// The problems beside a configuration; the first few of many.
    pub(super) fn ambient(
        &self,
        problems: &BTreeMap<Key, Problem>,
        outage: Option<&Outage>,
    ) -> Option<SourceError> {
        let mut text = String::new();
        for (key, problem) in problems.iter().take(MAX_PROBLEMS) {
            let separator = if text.is_empty() { "" } else { "; " };
            let Key { kind, name } = key;
            _ = write!(text, "{separator}xDS {} {:?}: {}", kind.label(), &**name, problem.reason);
        }
        if problems.len() > MAX_PROBLEMS {
            _ = write!(text, "; and {} more", problems.len() - MAX_PROBLEMS);
        }
        match outage {
            Some(outage) if text.is_empty() => Some(self.outage_error("", outage)),
            Some(outage) => Some(self.outage_error(&(text + "; "), outage)),
            None if text.is_empty() => None,
            None => Some(SourceError::new(format!("{text} ({self})"))),
        }
    }

    /// `connection refused; node n1, control server 127.0.0.1:15010 unreachable for 12 s`. The last part is the
    /// error's own: it stays true while time passes.
    fn outage_error(&self, what: &str, outage: &Outage) -> SourceError {
        let (node, server) = (&self.node, &outage.server);
        // Transports name the server in their errors; this text names it once, at the end.
        let named = outage.reason.strip_prefix(&**server).and_then(|rest| rest.strip_prefix(": "));
        let reason = named.unwrap_or(&outage.reason);
        let message = format!("{what}{reason}; node {node}, control server {server} unreachable");
        SourceError::lasting(message, outage.since)
    }

    fn reason(&self, problem: &Problem) -> String {
        match problem.kind {
            ProblemKind::Unreachable => format!("control server unreachable: {}", problem.reason),
            _ => problem.reason.to_string(),
        }
    }
}

impl std::fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "control server {}, node {}", self.server, self.node)
    }
}

/// The error of a resource whose value is of another type than its type URL.
pub(super) fn wrong_type(kind: KeyKind) -> Problem {
    Problem::new(ProblemKind::Rejected, format!("was not decoded as {}", kind.label()))
}

/// How many problems an ambient error names.
const MAX_PROBLEMS: usize = 3;
