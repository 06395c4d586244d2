//! What has been configured.

use std::ops::Range;

use crate::config::Name;
use crate::policy::matcher::{MetadataMatcher, StringMatcher};

use super::{IpRange, RequestHeaderMatcher};

/// Policies, and what happens to calls that one of them matches.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RbacRules {
    /// What a match means.
    pub action: RbacAction,
    /// In the order of their names; the first that matches is the one that a verdict names.
    pub policies: Vec<RbacPolicy>,
}

impl RbacRules {
    /// Rules of these policies. Without a policy, [`Allow`](RbacAction::Allow) denies every call and
    /// [`Deny`](RbacAction::Deny) none.
    pub fn new(action: RbacAction, policies: impl IntoIterator<Item = RbacPolicy>) -> Self {
        let mut policies: Vec<_> = policies.into_iter().collect();
        // in order, so that equal rules compare equal, and verdicts name the same policy each time
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        Self { action, policies }
    }
}

/// What happens to a call that some policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RbacAction {
    /// It is allowed, and every other call is denied.
    Allow,
    /// It is denied, and every other call is allowed.
    Deny,
    /// Nothing: every call is allowed.
    // HF-17
    Log,
}

/// A policy: it matches a call that some permission and some principal match.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RbacPolicy {
    /// Its name in logs, metrics and audits.
    pub name: Name,
    /// What may be called; without any, the policy matches nothing.
    pub permissions: Vec<Permission>,
    /// Who may call it; without any, the policy matches nothing.
    pub principals: Vec<Principal>,
}

impl RbacPolicy {
    /// A policy of this name.
    pub fn new(
        name: impl Into<Name>,
        permissions: impl Into<Vec<Permission>>,
        principals: impl Into<Vec<Principal>>,
    ) -> Self {
        Self { name: name.into(), permissions: permissions.into(), principals: principals.into() }
    }
}

/// A condition on what is called.
// HF-21
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Permission {
    /// Everything.
    Any,
    /// A header or pseudo-header of the request.
    Header(RequestHeaderMatcher),
    /// The path, without the query: `/<service>/<method>` in gRPC.
    UrlPath(StringMatcher),
    /// The address at which the server took the connection.
    DestinationIp(IpRange),
    /// The port at which the server took the connection.
    DestinationPort(Range<u32>),
    /// What filters have found out about the call.
    Metadata(MetadataMatcher),
    /// The server name that the client has asked for. It counts as the empty text, as in gRPC.
    RequestedServerName(StringMatcher),
    /// All of these.
    All(Vec<Self>),
    /// At least one of these.
    AnyOf(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
}

/// A condition on who calls.
// HF-21, HF-22
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Principal {
    /// Everybody.
    Any,
    /// A client on a TLS connection; with a pattern, one whose certificate has a name that matches: among its URI SANs if it
    /// has some, else among its DNS SANs if it has some, else its subject. A client without a certificate has an empty name.
    Authenticated(Option<StringMatcher>),
    /// The client's address: Envoy's `source_ip`, `direct_remote_ip` and `remote_ip`, which are the same here.
    RemoteIp(IpRange),
    /// A header or pseudo-header of the request.
    Header(RequestHeaderMatcher),
    /// The path, without the query.
    UrlPath(StringMatcher),
    /// What filters have found out about the call, such as the claims of a token.
    Metadata(MetadataMatcher),
    /// All of these.
    All(Vec<Self>),
    /// At least one of these.
    AnyOf(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
}
