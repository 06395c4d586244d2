//! What an object refers to that does not exist, and which part of it has no effect. Nothing here changes what is served.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::conflict::conflict;
use super::declaration::{self, Declaration};
use super::endpoints::is_selected;
use super::index::Reader;
use super::key::{Key, hosts};
use super::name::{cluster_local, is_wildcard};
use super::reference::{Destinations, Target};
use super::report::Report;
use super::viewer::Viewer;
use super::{
    Settings, aliases, attached_check, delegate, gateway_check, gateway_route, policy_check, rule,
    virtual_service,
};
use crate::kinds::destination_rule::DestinationRule;
use crate::kinds::endpoint_slice::SERVICE_NAME;
use crate::kinds::virtual_service::{HttpRoute, VirtualService};
use crate::kinds::{Object, Spec};
use crate::yaml::{FieldPath, did_you_mean};

/// Checks one object against all others.
pub(super) fn object(object: &Arc<Object>, reader: &Reader<'_>, settings: &Settings, report: &mut Report) {
    let viewer = Viewer::of_namespace(&object.id.namespace);
    let mut check = Check { object, reader, settings, viewer: &viewer, report };
    match &object.spec {
        Spec::ServiceEntry(_) | Spec::Service(_) => check.declaration(),
        Spec::WorkloadEntry(entry) => {
            if !is_selected(&object.id.namespace, entry, reader) {
                let message = "the object has no effect: no service of its namespace selects these labels";
                check.warn(FieldPath::spec().field("labels"), message);
            }
        }
        Spec::VirtualService(service) if service.routes_calls() => check.virtual_service(service),
        Spec::DestinationRule(rule) => check.destination_rule(rule),
        Spec::GrpcRoute(_) | Spec::HttpRoute(_) => gateway_check::route(&mut check),
        Spec::EndpointSlice(_) => check.endpoint_slice(),
        Spec::PeerAuthentication(policy) => {
            policy_check::peer_authentication(object, policy, reader, check.report);
        }
        Spec::RequestAuthentication(policy) => {
            policy_check::targets(
                object,
                policy.selector.as_ref(),
                &policy.target_refs,
                reader,
                check.report,
            );
        }
        Spec::AuthorizationPolicy(policy) => {
            policy_check::provider(object, policy, reader, settings, check.report);
            policy_check::targets(
                object,
                policy.selector.as_ref(),
                &policy.target_refs,
                reader,
                check.report,
            );
        }
        Spec::TrafficPolicy(policy) => attached_check::policy(object, policy, reader, check.report),
        Spec::RateLimitPolicy(policy) => attached_check::rate_limits(object, policy, reader, check.report),
        Spec::MeshConfig(_) => attached_check::mesh_config(object, reader, settings, check.report),
        Spec::VirtualService(_) | Spec::ReferenceGrant(_) => {}
    }
}

/// The check of one object.
pub(super) struct Check<'c, 'a> {
    pub(super) object: &'c Object,
    pub(super) reader: &'c Reader<'a>,
    pub(super) settings: &'c Settings,
    /// The clients of the object's namespace.
    pub(super) viewer: &'c Viewer,
    pub(super) report: &'c mut Report,
}

impl Check<'_, '_> {
    fn warn(&mut self, path: FieldPath, message: impl Into<String>) {
        self.report.warning(self.object, path, message);
    }

    /// Something that is referred to is missing.
    pub(super) fn miss(&mut self, path: FieldPath, message: impl Into<String>) {
        self.report.unresolved(self.object, path, message);
    }

    fn namespace(&self) -> &str {
        &self.object.id.namespace
    }

    fn declaration(&mut self) {
        for (index, host) in hosts(self.object).iter().enumerate() {
            let path = match &self.object.spec {
                Spec::ServiceEntry(_) => FieldPath::spec().field("hosts").index(index),
                _ => FieldPath::root().field("metadata").field("name"),
            };
            let all = declaration::all(host, self.reader);
            let first = all.first().filter(|first| first.object.id.namespace != self.object.id.namespace);
            if let Some(first) = first {
                let message = conflict(&first.object.id, "declares this host already");
                self.warn(
                    path.clone(),
                    format!("{message}: this one is for clients of its own namespace only"),
                );
            }
            let Some((name, namespace)) = cluster_local(host) else { continue };
            let namespaces = aliases::namespaces(name, self.reader);
            let has_default = namespaces.iter().any(|one| one == "default");
            if namespaces.len() > 1 && !has_default && !self.reader.is_declared(name) {
                let (all, namespace) = (namespaces.join(", "), namespace.to_owned());
                let message = format!(
                    "the short name `{name}` means nothing, because the namespaces {all} all have it; use `{name}.{namespace}`"
                );
                self.warn(path, message);
            }
        }
    }

    fn endpoint_slice(&mut self) {
        let name = self.object.metadata.labels.get(SERVICE_NAME).map(String::as_str).unwrap_or_default();
        let declaring = Key::Declaration(self.namespace().to_owned(), name.to_owned());
        let is_service = |one: &crate::source::Sourced| matches!(one.object.spec, Spec::Service(_));
        if !self.reader.objects(&declaring).iter().any(is_service) {
            let path = FieldPath::root().field("metadata").field("labels").key(SERVICE_NAME);
            let namespace = self.namespace();
            let message = format!("the object has no effect: there is no Service {namespace}/{name}");
            self.warn(path, message);
        }
    }

    fn destination_rule(&mut self, rule: &DestinationRule) {
        let path = FieldPath::spec();
        if is_wildcard(&rule.host) {
            return;
        }
        let Some(host) = self.reader.find(&rule.host, self.namespace()) else {
            let message = self.reader.unknown(&rule.host, self.namespace());
            self.miss(path.field("host"), message);
            return;
        };
        let Some(declaration) = Declaration::of(&host, self.viewer, self.reader) else { return };
        self.unknown_ports(rule, &declaration);
        self.empty_subsets(rule, &declaration);
        // Rules of one namespace for one host are merged; the first counts where both say something.
        let own = &self.object.id;
        let same = rule::all(&host, self.reader).filter(|(object, other)| {
            object.id.namespace == own.namespace
                && !is_wildcard(&other.host)
                && other.client_labels() == rule.client_labels()
        });
        let before: Vec<_> = same.take_while(|(object, _)| object.id != *own).collect();
        for (winner, other) in &before {
            if other.traffic_policy.is_some() && rule.traffic_policy.is_some() {
                let message = conflict(&winner.id, "has a trafficPolicy for this host already");
                self.report.conflict(self.object, path.field("trafficPolicy"), message);
            }
            for (index, subset) in rule.subsets.iter().enumerate() {
                if other.subsets.iter().any(|known| known.name == subset.name) {
                    let message = conflict(&winner.id, "defines this subset already");
                    self.report.conflict(
                        self.object,
                        path.field("subsets").index(index).field("name"),
                        message,
                    );
                }
            }
        }
    }

    fn unknown_ports(&mut self, rule: &DestinationRule, declaration: &Declaration<'_>) {
        let path = FieldPath::spec();
        let own = rule.traffic_policy.iter().map(|policy| (policy, path.field("trafficPolicy")));
        let of_subsets = rule.subsets.iter().enumerate().filter_map(|(index, subset)| {
            let policy = subset.traffic_policy.as_ref()?;
            Some((policy, path.field("subsets").index(index).field("trafficPolicy")))
        });
        for (policy, path) in own.chain(of_subsets) {
            for (index, one) in policy.port_level_settings.iter().enumerate() {
                if !declaration.has_port(one.port.number) {
                    let path = path.field("portLevelSettings").index(index).field("port").field("number");
                    let message = format!(
                        "has no effect: found the number {}, expected a port of {}: {}",
                        one.port.number,
                        declaration.host(),
                        declaration.port_list()
                    );
                    self.warn(path, message);
                }
            }
        }
    }

    fn empty_subsets(&mut self, rule: &DestinationRule, declaration: &Declaration<'_>) {
        let workloads = super::endpoints::Workloads::new(declaration, self.reader, &mut Report::default());
        let Some(port) = declaration.ports().first().map(|port| port.number) else { return };
        for (index, subset) in rule.subsets.iter().enumerate() {
            let found = workloads.of_port(port, &subset.labels, &[]);
            if found.is_empty() {
                let path = FieldPath::spec().field("subsets").index(index).field("labels");
                self.warn(path, "no endpoint has these labels: calls to the subset fail until there is one");
            }
        }
    }

    fn virtual_service(&mut self, service: &VirtualService) {
        let path = FieldPath::spec();
        let mut ports = BTreeSet::new();
        let mut is_used = service.is_delegate() || service.hosts.iter().any(|host| is_wildcard(host));
        for (index, name) in service.hosts.iter().enumerate().filter(|(_, host)| !is_wildcard(host)) {
            // A host that is no service here may be one of a gateway.
            let Some(host) = self.reader.find(name, self.namespace()) else { continue };
            is_used = true;
            let declaration = Declaration::of(&host, self.viewer, self.reader);
            ports.extend(declaration.iter().flat_map(Declaration::ports).map(|port| port.number));
            let winner = virtual_service::of_host(&host, self.viewer, self.reader);
            if let Some(winner) = winner.filter(|winner| winner.id != self.object.id) {
                let message = conflict(&winner.id, "routes this host already");
                self.report.conflict(self.object, path.field("hosts").index(index), message);
            }
            for port in declaration.iter().flat_map(Declaration::ports) {
                let attached = gateway_route::attached(&host, port.number, self.viewer, self.reader);
                if let Some(winner) = attached.first() {
                    let message =
                        conflict(&winner.id, &format!("routes calls to port {} of {host}", port.number));
                    self.report.conflict(self.object, path.field("hosts"), message);
                }
            }
        }
        if !is_used {
            let name = service.hosts.first().map(String::as_str).unwrap_or_default();
            let unknown = self.reader.unknown(name, self.namespace());
            self.warn(path.field("hosts"), format!("the object has no effect: {unknown}"));
        }
        let ports: Vec<u32> = ports.into_iter().collect();
        for (index, http) in service.http.iter().enumerate() {
            self.http_route(http, &ports, &path.field("http").index(index));
        }
    }

    /// `ports` are those of the hosts; empty: not known.
    fn http_route(&mut self, http: &HttpRoute, ports: &[u32], path: &FieldPath) {
        for (index, one) in http.r#match.iter().enumerate() {
            if let Some(port) = one.port.filter(|port| !ports.is_empty() && !ports.contains(port)) {
                let known = ports.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                let message =
                    format!("never matches: found the number {port}, expected a port of the hosts: {known}");
                self.warn(path.field("match").index(index).field("port"), message);
            }
        }
        let is_called = |port: &&u32| {
            let matches = &http.r#match;
            matches.is_empty() || matches.iter().any(|one| one.port.is_none_or(|wanted| wanted == **port))
        };
        let called: Vec<u32> = ports.iter().filter(is_called).copied().collect();
        for (index, route) in http.route.iter().enumerate() {
            if route.weight == 0 && http.route.len() > 1 {
                continue;
            }
            let path = path.field("route").index(index).field("destination");
            self.destination(&route.destination, &called, &path, FAILS);
        }
        let first = http.mirror.iter().map(|_| path.field("mirror"));
        let others =
            (0..http.mirrors.len()).map(|index| path.field("mirrors").index(index).field("destination"));
        for ((destination, _), path) in http.mirrored_to().into_iter().zip(first.chain(others)) {
            self.destination(destination, &called, &path, UNMIRRORED);
        }
        let Some(delegate) = &http.delegate else { return };
        let path = path.field("delegate");
        match virtual_service::delegate_of(self.object, http, self.reader) {
            None => {
                let name = &delegate.name;
                let message = format!(
                    "calls of this route fail: found `{name}`, expected a VirtualService without hosts"
                );
                self.miss(path.field("name"), message);
            }
            Some(found) => {
                let rules = virtual_service::spec(found);
                let left_out = rules.map(|rules| delegate::merge(http, rules).1).unwrap_or_default();
                left_out.iter().for_each(|problem| self.warn(path.clone(), problem.to_string()));
            }
        }
    }

    fn destination(
        &mut self,
        destination: &crate::kinds::virtual_service::Destination,
        called: &[u32],
        path: &FieldPath,
        consequence: &str,
    ) {
        if self.reader.find(&destination.host, self.namespace()).is_none() {
            let unknown = self.reader.unknown(&destination.host, self.namespace());
            self.miss(path.field("host"), format!("{consequence}: {unknown}"));
            return;
        }
        let destinations = Destinations::new("", self.viewer, self.reader, self.settings);
        let called = if called.is_empty() { &[0][..] } else { called };
        let problem = called.iter().find_map(|port| {
            let target = destinations.target(destination, self.namespace(), *port);
            Some((destinations.find(&target).err()?, target))
        });
        let Some((reason, target)) = problem else { return };
        let field = match &target {
            Target::Service { port: None, .. } => "port",
            Target::Service { .. } if reason.contains("no port") => "port",
            Target::Service { subset, .. } if !subset.is_empty() => "subset",
            _ => "host",
        };
        let hint = match &target {
            Target::Service { host, subset, .. } if field == "subset" => self.known_subsets(host, subset),
            _ => String::new(),
        };
        self.miss(path.field(field), format!("{consequence}: {reason}{hint}"));
    }

    fn known_subsets(&self, host: &str, found: &str) -> String {
        let Some(declaration) = Declaration::of(host, self.viewer, self.reader) else { return String::new() };
        let rule = rule::Rule::of(&declaration, self.viewer, self.reader, self.settings);
        let names: Vec<&str> = rule.subsets().into_iter().map(|subset| subset.name.as_str()).collect();
        match names.as_slice() {
            [] => ", and no DestinationRule defines any".to_owned(),
            names => format!(", only {}{}", names.join(", "), did_you_mean(found, names.iter().copied())),
        }
    }
}

pub(super) const FAILS: &str = "its share of the calls fails";
pub(super) const UNMIRRORED: &str = "nothing is mirrored to it";
