//! Rules as the specification words them: every policy, every rule, in order.

use super::*;
use crate::config::Name;

/// The first policy that matches.
pub(super) fn first<'r>(rules: &'r RbacRules, request: &RbacRequest<'_>) -> Option<&'r Name> {
    let matching = |policy: &&RbacPolicy| {
        policy.permissions.iter().any(|permission| permits(permission, request))
            && policy.principals.iter().any(|principal| is(principal, request))
    };
    rules.policies.iter().find(matching).map(|policy| &policy.name)
}

/// Whether a call is allowed.
pub(super) fn allows(rules: &RbacRules, request: &RbacRequest<'_>) -> bool {
    match (rules.action, first(rules, request)) {
        (RbacAction::Allow, found) => found.is_some(),
        (RbacAction::Deny, found) => found.is_none(),
        (RbacAction::Log, _) => true,
    }
}

fn permits(permission: &Permission, request: &RbacRequest<'_>) -> bool {
    match permission {
        Permission::Any => true,
        Permission::Header(matcher) => matcher.matches(request),
        Permission::UrlPath(matcher) => matcher.matches(request.uri.path()),
        Permission::DestinationIp(range) => range.contains(request.peer.local.ip()),
        Permission::DestinationPort(range) => range.contains(&request.peer.local.port().into()),
        Permission::Metadata(matcher) => matcher.matches(request.metadata),
        Permission::RequestedServerName(matcher) => matcher.matches(""),
        Permission::All(rules) => rules.iter().all(|rule| permits(rule, request)),
        Permission::AnyOf(rules) => rules.iter().any(|rule| permits(rule, request)),
        Permission::Not(rule) => !permits(rule, request),
    }
}

fn is(principal: &Principal, request: &RbacRequest<'_>) -> bool {
    let peer = request.peer;
    match principal {
        Principal::Any => true,
        Principal::Authenticated(None) => peer.is_tls(),
        Principal::Authenticated(Some(name)) => match (peer.is_tls(), peer.identity()) {
            (false, _) => false,
            (true, None) => name.matches(""),
            (true, Some(identity)) if !identity.uri_sans.is_empty() => {
                identity.uri_sans.iter().any(|san| name.matches(san))
            }
            (true, Some(identity)) if !identity.dns_sans.is_empty() => {
                identity.dns_sans.iter().any(|san| name.matches(san))
            }
            (true, Some(identity)) => name.matches(&identity.subject),
        },
        Principal::RemoteIp(range) => range.contains(peer.remote.ip()),
        Principal::Header(matcher) => matcher.matches(request),
        Principal::UrlPath(matcher) => matcher.matches(request.uri.path()),
        Principal::Metadata(matcher) => matcher.matches(request.metadata),
        Principal::All(ids) => ids.iter().all(|id| is(id, request)),
        Principal::AnyOf(ids) => ids.iter().any(|id| is(id, request)),
        Principal::Not(id) => !is(id, request),
    }
}
