//! What a route of the Gateway API refers to that does not exist, and which parent another kind of route has.

use super::check::{Check, FAILS, UNMIRRORED};
use super::conflict::conflict;
use super::declaration::{Declaration, find_service};
use super::gateway_route::{self, is_for_port};
use super::reference::Destinations;
use crate::kinds::Kind;
use crate::kinds::gateway_route::{BackendRef, Reference};
use crate::yaml::FieldPath;

/// Checks the parents and the backends of a route.
pub(super) fn route(check: &mut Check<'_, '_>) {
    let object = check.object;
    let path = FieldPath::spec();
    for (index, one) in gateway_route::parents(object) {
        check.parent(one, &path.field("parentRefs").index(index));
    }
    for (rule_index, rule) in gateway_route::rules(object).into_iter().enumerate() {
        let (rule, path) = (rule.parts(), path.field("rules").index(rule_index));
        for (index, one) in rule.backend_refs.iter().enumerate().filter(|(_, one)| one.weight != Some(0)) {
            check.backend(one, &path.field("backendRefs").index(index), FAILS);
        }
        for (index, one) in rule.mirrors() {
            let path = path.field("filters").index(index).field("requestMirror").field("backendRef");
            check.backend(&one, &path, UNMIRRORED);
        }
    }
}

impl Check<'_, '_> {
    fn parent(&mut self, parent: &Reference, path: &FieldPath) {
        let namespace = parent.namespace.as_deref().unwrap_or(&self.object.id.namespace);
        let Some(host) = find_service(&parent.name, namespace, self.reader) else {
            let message = self.reader.unknown(&parent.name, namespace);
            self.miss(path.field("name"), message);
            return;
        };
        let Some(declaration) = Declaration::of(&host, self.viewer, self.reader) else { return };
        if let Some(port) = parent.port.filter(|port| !declaration.has_port(*port)) {
            let known = declaration.port_list();
            let message = format!("found the number {port}, expected a port of {host}: {known}");
            self.miss(path.field("port"), message);
        }
        let ports = declaration.ports();
        if let Some(name) = &parent.section_name
            && !ports.iter().any(|port| port.name == name)
        {
            let known = ports.iter().map(|port| port.name).collect::<Vec<_>>().join(", ");
            let message = format!("found `{name}`, expected the name of a port of {host}: {known}");
            self.miss(path.field("sectionName"), message);
        }
        for port in ports.iter().filter(|port| is_for_port(parent, port.number, Some(port.name))) {
            self.conflict(&host, port.number, path);
        }
    }

    /// Of several kinds of routes on one port, one counts.
    fn conflict(&mut self, host: &str, port: u32, path: &FieldPath) {
        let attached = gateway_route::attached(host, port, self.viewer, self.reader);
        let winner = attached.first().filter(|winner| winner.id.kind == Kind::GrpcRoute);
        if let Some(winner) = winner.filter(|_| self.object.id.kind == Kind::HttpRoute) {
            let message = conflict(&winner.id, &format!("routes calls to port {port} of {host}"));
            self.report.conflict(self.object, path.clone(), message);
        }
    }

    fn backend(&mut self, backend: &BackendRef, path: &FieldPath, consequence: &str) {
        let namespace = backend.namespace.as_deref().unwrap_or(&self.object.id.namespace);
        let is_granted = gateway_route::is_granted(self.object, namespace, &backend.name, self.reader);
        if is_granted && find_service(&backend.name, namespace, self.reader).is_none() {
            let unknown = self.reader.unknown(&backend.name, namespace);
            self.miss(path.field("name"), format!("{consequence}: {unknown}"));
            return;
        }
        let destinations = Destinations::new("", self.viewer, self.reader, self.settings);
        let target = gateway_route::target(self.object, backend, &destinations);
        if let Err(reason) = destinations.find(&target) {
            let field = if is_granted { "port" } else { "namespace" };
            self.miss(path.field(field), format!("{consequence}: {reason}"));
        }
    }
}
