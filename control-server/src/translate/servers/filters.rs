//! The filters of a server: tokens first, then what services decide, what is denied, what is allowed, what is audited, then limits.

use xds_proto::envoy::config::rbac::v3::{Rbac as Rules, rbac};
use xds_proto::envoy::extensions::filters::http::rbac::v3::Rbac;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::google::protobuf::Any;
use xds_proto::pack_any;

use super::listener::{Security, Server};
use super::logic::{Effect, Proof, Proven};
use super::rules::{self, Authorization};
use super::{audit, custom, tokens};
use crate::kinds::authorization::Action;
use crate::kinds::{ObjectId, Spec};
use crate::model::ServerPolicies;
use crate::state::ClientFamily;
use crate::translate::rate_limit;

/// The filters of a chain, without the router.
pub(super) fn translate(
    policies: &ServerPolicies,
    server: Server<'_>,
    security: Security,
) -> Vec<HttpFilter> {
    if let Some(reason) = why_barred(policies, server) {
        return vec![deny_every_call(reason)];
    }
    let jwt = tokens::translate(of_server(policies, server).filter_map(|(id, spec)| match spec {
        Spec::RequestAuthentication(policy) => Some((id, policy)),
        _ => None,
    }));
    let proof = |is_checked: bool| if is_checked { Proof::Checked } else { Proof::Unchecked };
    let proven = Proven { identity: proof(security == Security::MutualTls), tokens: proof(jwt.is_some()) };
    let jwt = jwt.map(|jwt| filter(tokens::FILTER, pack_any(jwt)));
    let enforced = |action: Action| -> Vec<Authorization<'_>> {
        of_authorization(policies, server)
            .filter(|(_, policy)| policy.action == action && !policy.is_dry_run)
            .collect()
    };
    let audited = enforced(Action::Audit);
    let mut deny = authorization(policies, server, Effect::Deny, proven);
    let mut allow = authorization(policies, server, Effect::Allow, proven);
    if !audited.is_empty() {
        let rules = [&mut deny, &mut allow].into_iter().flatten().filter_map(|one| one.rules.as_mut());
        rules.for_each(|rules| audit::refusals(rules, server.family));
    }
    jwt.into_iter()
        .chain(custom::translate(&enforced(Action::Custom), policies, server, proven))
        .chain(deny.map(|rules| filter("envoy.filters.http.rbac.deny", pack_any(rules))))
        .chain(allow.map(|rules| filter("envoy.filters.http.rbac.allow", pack_any(rules))))
        .chain(audit::translate(&audited, policies, server, proven))
        .chain(limits(policies, server))
        .collect()
}

/// The policies for tokens and authorization that are for a server.
fn of_server<'p>(
    policies: &'p ServerPolicies,
    server: Server<'p>,
) -> impl Iterator<Item = (&'p ObjectId, &'p Spec)> {
    let own = policies.governed.iter().filter(move |one| one.servers.holds(server.labels));
    own.map(|one| (&one.object.id, &one.object.spec))
}

/// The policies for authorization that are for a server.
fn of_authorization<'p>(
    policies: &'p ServerPolicies,
    server: Server<'p>,
) -> impl Iterator<Item = Authorization<'p>> {
    of_server(policies, server).filter_map(|(id, spec)| match spec {
        Spec::AuthorizationPolicy(policy) => Some((id, policy)),
        _ => None,
    })
}

/// The limits of calls that the server knows to keep. Calls that it denies are not counted.
fn limits(policies: &ServerPolicies, server: Server<'_>) -> Vec<HttpFilter> {
    if server.family == ClientFamily::Grpc {
        return Vec::new();
    }
    let limits = of_server(policies, server).filter_map(|(id, spec)| match spec {
        Spec::RateLimitPolicy(policy) => Some(rate_limit::filter(id, policy)),
        _ => None,
    });
    limits.collect()
}

/// Why a server answers no call.
fn why_barred(policies: &ServerPolicies, server: Server<'_>) -> Option<String> {
    let barred = policies.barred.iter().find(|barred| barred.servers.holds(server.labels));
    if let Some(barred) = barred {
        return Some(format!("{} cannot be honoured", barred.policy));
    }
    if server.family == ClientFamily::MeshTonic {
        return None;
    }
    let with_tokens = of_server(policies, server).find(
        |(_, spec)| matches!(spec, Spec::RequestAuthentication(policy) if !policy.jwt_rules.is_empty()),
    );
    with_tokens.map(|(id, _)| format!("{id} needs a server that checks tokens"))
}

/// A filter that refuses every call; the name of its rule is in the server's log.
fn deny_every_call(reason: String) -> HttpFilter {
    let rules = Rules {
        action: rbac::Action::Deny.into(),
        policies: [(reason, rules::every_call())].into(),
        ..Rules::default()
    };
    filter("envoy.filters.http.rbac.deny", pack_any(Rbac { rules: Some(rules), ..Rbac::default() }))
}

/// The rules of all policies with one effect; `None`: there is none.
fn authorization(
    policies: &ServerPolicies,
    server: Server<'_>,
    effect: Effect,
    proven: Proven,
) -> Option<Rbac> {
    let all: Vec<Authorization<'_>> = of_authorization(policies, server)
        .filter(|(_, policy)| {
            rules::effect(policy) == Some(effect) && custom::provider(policy, policies, server).is_none()
        })
        .collect();
    let translate = |chosen: &[Authorization<'_>]| {
        rules::translate(chosen.iter().copied(), effect, &policies.trust_domain, proven)
    };
    let (tried, enforced): (Vec<_>, Vec<_>) = all.iter().copied().partition(|(_, policy)| policy.is_dry_run);
    // B5 of the identity cases: an ALLOW policy that no call matches denies all, a DENY policy none.
    let has_effect = match effect {
        Effect::Allow => !enforced.is_empty(),
        Effect::Deny => enforced.iter().any(|(_, policy)| !policy.rules.is_empty()),
    };
    // What is allowed adds up, so a trial is what would be allowed together.
    let tried = if effect == Effect::Allow && !tried.is_empty() { all } else { tried };
    let made = Rbac {
        rules: has_effect.then(|| translate(&enforced)),
        shadow_rules: (!tried.is_empty()).then(|| translate(&tried)),
        ..Rbac::default()
    };
    (made != Rbac::default()).then_some(made)
}

pub(super) fn filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter {
        name: name.to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..HttpFilter::default()
    }
}
