//! Which settings of our own policies count for a service and for the calls of a route.
//!
//! Levels, from the widest: mesh, namespace, service, port of a service, route, rule of a route. A default counts where nothing more
//! specific says otherwise, an override where nothing wider overrides. What other kinds say of a service or a route is as specific as
//! their object, and comes after our own policies of that level. Within a level the object that takes precedence counts.

use std::time::Duration;

use super::Settings;
use super::declaration::{self, Declaration, find_service};
use super::index::Reader;
use super::key::Key;
use super::name::cluster_local;
use super::reference::Destinations;
use super::route::Retry;
use crate::kinds::mesh_policy::{AttachedPolicy, PolicySettings, PolicyTarget, TargetKind, conditions};
use crate::kinds::rate_limit_policy::RateLimitPolicy;
use crate::kinds::{Kind, Object, ObjectId, Spec};

/// The policies for one service.
#[derive(Debug, Clone, Default)]
pub(super) struct ServicePolicies<'a> {
    /// The service's and those of its ports, with the name of the port.
    of_service: Vec<(Option<&'a str>, &'a AttachedPolicy)>,
    of_namespace: Vec<&'a AttachedPolicy>,
    of_mesh: Option<&'a PolicySettings>,
    ids: Vec<&'a ObjectId>,
}

/// The settings for one port, in the order in which they count.
#[derive(Debug, Default)]
pub(super) struct PortSettings<'a> {
    pub(super) overrides: Vec<&'a PolicySettings>,
    /// Of the port.
    pub(super) port: Vec<&'a PolicySettings>,
    /// Of the whole service.
    pub(super) service: Vec<&'a PolicySettings>,
    /// Of the namespace and of the mesh.
    pub(super) wider: Vec<&'a PolicySettings>,
}

impl<'a> ServicePolicies<'a> {
    pub(super) fn of(declaration: &Declaration<'_>, reader: &Reader<'a>, settings: &Settings) -> Self {
        let namespace = declaration.namespace();
        let mut policies = Self { of_mesh: mesh_wide(reader, settings), ..Self::default() };
        for (object, policy, target) in attached(namespace, TargetKind::Namespace, namespace, reader) {
            if target.kind() == Some(TargetKind::Namespace) {
                policies.of_namespace.push(policy);
                policies.ids.push(&object.id);
            }
        }
        for name in service_names(declaration) {
            for (object, policy, target) in attached(namespace, TargetKind::Service, &name, reader) {
                if find_service(&target.name, namespace, reader).as_deref() == Some(declaration.host()) {
                    policies.of_service.push((target.section_name.as_deref(), policy));
                    policies.ids.push(&object.id);
                }
            }
        }
        policies
    }

    /// Every object that counts.
    pub(super) fn ids(&self) -> &[&'a ObjectId] {
        &self.ids
    }

    pub(super) fn of_port(&self, port: &str) -> PortSettings<'a> {
        let of = |section: Option<&str>| -> Vec<&'a AttachedPolicy> {
            let chosen = self.of_service.iter().filter(|(name, _)| *name == section);
            chosen.map(|(_, policy)| *policy).collect()
        };
        let (of_port, of_service) = (of(Some(port)), of(None));
        let all = self.of_namespace.iter().chain(&of_service).chain(&of_port);
        let defaults =
            |policies: &[&'a AttachedPolicy]| policies.iter().map(|policy| &policy.defaults).collect();
        let of_namespace = self.of_namespace.iter().map(|policy| &policy.defaults);
        PortSettings {
            overrides: all.map(|policy| &policy.overrides).collect(),
            port: defaults(&of_port),
            service: defaults(&of_service),
            wider: of_namespace.chain(self.of_mesh).collect(),
        }
    }
}

/// The names by which a policy of its namespace may refer to a service.
fn service_names(declaration: &Declaration<'_>) -> Vec<String> {
    let host = declaration.host();
    let short = cluster_local(host).map(|(name, _)| name.to_owned());
    let mut names: Vec<String> = short.into_iter().chain([host.to_owned()]).collect();
    for id in declaration.ids() {
        if !names.contains(&id.name) {
            names.push(id.name);
        }
    }
    names
}

/// The policies of a namespace for a target, in the order in which they take precedence.
pub(super) fn attached<'a>(
    namespace: &str,
    kind: TargetKind,
    name: &str,
    reader: &Reader<'a>,
) -> Vec<(&'a Object, &'a AttachedPolicy, &'a PolicyTarget)> {
    let mut found = Vec::new();
    for one in reader.objects(&Key::Attached(namespace.to_owned(), kind, name.to_ascii_lowercase())) {
        let Spec::TrafficPolicy(policy) = &one.object.spec else { continue };
        let meant = policy
            .target_refs
            .iter()
            .filter(|target| target.kind() == Some(kind) && target.name.eq_ignore_ascii_case(name));
        found.extend(meant.map(|target| (&*one.object, &**policy, target)));
    }
    found
}

/// The limits for the clients of a service, in the order in which they take precedence.
pub(super) fn rate_limits(
    declaration: &Declaration<'_>,
    reader: &Reader<'_>,
) -> Vec<(ObjectId, RateLimitPolicy)> {
    let namespace = declaration.namespace();
    let mut found: Vec<(ObjectId, RateLimitPolicy)> = Vec::new();
    for name in service_names(declaration) {
        for one in reader.objects(&Key::Limited(namespace.to_owned(), name)) {
            let Spec::RateLimitPolicy(policy) = &one.object.spec else { continue };
            let is_meant = policy.target_refs.iter().any(|target| {
                find_service(&target.name, namespace, reader).as_deref() == Some(declaration.host())
            });
            if is_meant && !found.iter().any(|(known, _)| *known == one.object.id) {
                found.push((one.object.id.clone(), RateLimitPolicy::clone(policy)));
            }
        }
    }
    found
}

fn mesh_wide<'a>(reader: &Reader<'a>, settings: &Settings) -> Option<&'a PolicySettings> {
    let first = reader.objects(&Key::MeshWide(settings.root_namespace.clone())).first()?;
    match &first.object.spec {
        Spec::MeshConfig(config) => Some(&config.default_traffic_policy),
        _ => None,
    }
}

/// The rule of a route, and what its own object says of timeout and retries.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnSettings<'o> {
    /// `None`: the default route.
    pub(super) route: Option<&'o ObjectId>,
    /// Empty: without a name.
    pub(super) rule: &'o str,
    /// 0 is none.
    pub(super) timeout: Option<Duration>,
    /// `Some(None)`: calls are not retried.
    pub(super) retry: Option<Option<Retry>>,
    /// Where no policy says otherwise.
    pub(super) default_retry: Option<Retry>,
}

/// Timeout and retries of the calls of a rule.
pub(super) fn of_calls(
    own: OwnSettings<'_>,
    port: u32,
    destinations: &Destinations<'_, '_>,
) -> (Option<Duration>, Option<Retry>) {
    let service = destinations.policies_of_port(port);
    let route = own.route.map(|id| of_route(id, own.rule, destinations.reader)).unwrap_or_default();
    let overrides = service.overrides.iter().copied().chain(route.iter().rev().map(|one| &one.overrides));
    let before: Vec<_> = overrides.chain(route.iter().map(|one| &one.defaults)).collect();
    let after: Vec<_> = service.port.into_iter().chain(service.service).chain(service.wider).collect();

    let timeout = |settings: &[&PolicySettings]| settings.iter().find_map(|one| Some(one.timeout?.0));
    let timeout = timeout(&before).or(own.timeout).or_else(|| timeout(&after));
    let attempts = |settings: &[&PolicySettings]| settings.iter().find_map(|one| attempts(one));
    let retry = attempts(&before).or(own.retry).or_else(|| attempts(&after)).unwrap_or(own.default_retry);
    (timeout.filter(|timeout| !timeout.is_zero()), retry)
}

/// The policies for a rule and for its route, the rule's first.
fn of_route<'a>(id: &ObjectId, rule: &str, reader: &Reader<'a>) -> Vec<&'a AttachedPolicy> {
    let kind = match id.kind {
        Kind::GrpcRoute => TargetKind::GrpcRoute,
        Kind::HttpRoute => TargetKind::HttpRoute,
        Kind::VirtualService => TargetKind::VirtualService,
        _ => return Vec::new(),
    };
    let found = attached(&id.namespace, kind, &id.name, reader);
    let of = |section: Option<&str>| {
        let chosen = found.iter().filter(move |(_, _, target)| target.section_name.as_deref() == section);
        chosen.map(|(_, policy, _)| *policy).collect::<Vec<_>>()
    };
    let of_rule = if rule.is_empty() { Vec::new() } else { of(Some(rule)) };
    of_rule.into_iter().chain(of(None)).collect()
}

/// The retries or the hedging of a policy; `None`: it says nothing of them.
fn attempts(settings: &PolicySettings) -> Option<Option<Retry>> {
    if let Some(hedging) = &settings.hedging {
        let retries = hedging.attempts.unwrap_or(1);
        let delay = Some(hedging.delay.0);
        let retry = Retry {
            per_try_timeout: delay,
            is_hedged: true,
            ..Retry::new(retries, conditions(&hedging.conditions))
        };
        return Some(Some(retry));
    }
    let retry = settings.retry.as_ref()?;
    let per_try_timeout = retry.per_try_timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero());
    let made = Retry {
        backoff: retry.backoff.map(|backoff| backoff.0),
        per_try_timeout,
        ..Retry::new(retry.attempts, conditions(&retry.conditions))
    };
    Some((retry.attempts > 0).then_some(made))
}

/// The host that a policy's target means; `None`: there is none.
pub(super) fn target_host(target: &PolicyTarget, namespace: &str, reader: &Reader<'_>) -> Option<String> {
    find_service(&target.name, namespace, reader)
}

/// Whether a route that a policy is attached to exists, and the names of its rules.
pub(super) fn rules_of(target: &PolicyTarget, namespace: &str, reader: &Reader<'_>) -> Option<Vec<String>> {
    let named = Key::Named(namespace.to_owned(), target.name.to_ascii_lowercase());
    reader.objects(&named).iter().find_map(|one| match (&one.object.spec, target.kind()) {
        (Spec::GrpcRoute(route), Some(TargetKind::GrpcRoute)) => {
            Some(route.rules.iter().filter_map(|rule| rule.name.clone()).collect())
        }
        (Spec::HttpRoute(route), Some(TargetKind::HttpRoute)) => {
            Some(route.rules.iter().filter_map(|rule| rule.name.clone()).collect())
        }
        (Spec::VirtualService(service), Some(TargetKind::VirtualService)) => {
            Some(service.http.iter().map(|rule| rule.name.clone()).filter(|name| !name.is_empty()).collect())
        }
        _ => None,
    })
}

/// The names of a host's ports.
pub(super) fn port_names(host: &str, reader: &Reader<'_>) -> Vec<String> {
    let parts = declaration::all(host, reader);
    parts.iter().flat_map(|part| part.ports()).map(|port| port.name.to_owned()).collect()
}
