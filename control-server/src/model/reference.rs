//! The references of destinations.

use super::cluster::cluster_name;
use super::policy::Policy;
use super::registry::{SUFFIX, ServiceRegistry};
use super::route::{Action, Share};
use super::rules::Rules;
use crate::finding::Findings;
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::virtual_service::Destination;
use crate::yaml::{FieldPath, did_you_mean};

/// A resolved destination. It may not exist: a last good object keeps its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u32,
    /// Empty: all endpoints.
    pub(super) subset: String,
}

/// A target with its weight and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WeightedTarget {
    pub(super) target: Target,
    pub(super) weight: u32,
    pub(super) headers: HeaderChanges,
}

/// All objects that can be referred to.
#[derive(Debug, Clone, Copy)]
pub(super) struct References<'a> {
    pub(super) registry: &'a ServiceRegistry,
    pub(super) rules: &'a Rules,
}

impl References<'_> {
    /// The target of a destination in an object of `namespace`, for calls to `port`: a service with one port has that one,
    /// another has the called port.
    pub(super) fn target(&self, destination: &Destination, namespace: &str, port: u32) -> Target {
        let name = destination.host.to_ascii_lowercase();
        let host = match self.registry.find(&name, namespace) {
            Some(host) => host.to_owned(),
            None if name.contains('.') => name,
            None => format!("{name}.{namespace}{SUFFIX}"),
        };
        let only =
            self.registry.get(&host).and_then(|declaration| match declaration.entry().ports.as_slice() {
                [only] => Some(only.number),
                _ => None,
            });
        let port = destination.port.map(|port| port.number).or(only).unwrap_or(port);
        Target { host, port, subset: destination.subset.clone().unwrap_or_default() }
    }

    /// The missing part of a destination. `ports` are the ports that may be called; empty: not known.
    pub(super) fn check(
        &self,
        destination: &Destination,
        namespace: &str,
        ports: &[u32],
        path: &FieldPath,
        findings: &mut Findings,
    ) {
        let Some(host) = self.registry.find(&destination.host, namespace) else {
            findings.error(path.field("host"), self.registry.unknown(&destination.host, namespace));
            return;
        };
        let Some(declaration) = self.registry.get(host) else { return };
        match destination.port {
            Some(port) if !declaration.has_port(port.number) => {
                let known = declaration.port_list();
                let message = format!("found the number {}, expected a port of {host}: {known}", port.number);
                findings.error(path.field("port").field("number"), message);
            }
            None if declaration.entry().ports.len() > 1
                && (ports.is_empty() || ports.iter().any(|port| !declaration.has_port(*port))) =>
            {
                let known = declaration.port_list();
                findings.error(
                    path.field("port"),
                    format!("required, because {host} has several ports: {known}"),
                );
            }
            _ => {}
        }
        if let Some(subset) = &destination.subset {
            self.check_subset(host, subset, &path.field("subset"), findings);
        }
    }

    fn check_subset(&self, host: &str, subset: &str, path: &FieldPath, findings: &mut Findings) {
        let rule = self.rules.get(host);
        if rule.is_some_and(|rule| rule.subset(subset).is_some()) {
            return;
        }
        let names: Vec<&str> =
            rule.into_iter().flat_map(|rule| rule.own_subsets()).map(|subset| subset.name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "there is none".to_owned(),
            names => format!("{}{}", names.join(", "), did_you_mean(subset, names.iter().copied())),
        };
        let message =
            format!("found `{subset}`, expected a subset that a DestinationRule defines for {host}: {known}");
        findings.error(path.clone(), message);
    }

    /// The action that spreads calls over targets by their weights; targets without a weight get none.
    pub(super) fn forward(&self, targets: &[WeightedTarget]) -> Option<Action> {
        let mut shares: Vec<Share> = Vec::new();
        let mut hash_headers: Vec<String> = Vec::new();
        for WeightedTarget { target, weight, headers } in targets.iter().filter(|one| one.weight > 0) {
            let cluster = cluster_name(target.port, &target.subset, &target.host);
            let is_same = |share: &&mut Share| share.cluster == cluster && share.headers == *headers;
            match shares.iter_mut().find(is_same) {
                Some(share) => share.weight = share.weight.saturating_add(*weight),
                None => shares.push(Share { cluster, weight: *weight, headers: headers.clone() }),
            }
            if let Some(header) = self.policy(target).hash_header()
                && !hash_headers.iter().any(|known| known == header)
            {
                hash_headers.push(header.to_owned());
            }
        }
        (!shares.is_empty()).then_some(Action::Forward { shares, hash_headers })
    }

    fn policy(&self, target: &Target) -> Policy {
        let rule = self.rules.get(&target.host);
        let subset = rule.and_then(|rule| rule.subset(&target.subset));
        let own = rule.and_then(|rule| rule.traffic_policy());
        Policy::new(own, subset.and_then(|subset| subset.traffic_policy.as_ref()), target.port)
    }
}
