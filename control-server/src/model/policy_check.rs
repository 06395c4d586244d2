//! Which parts of a policy for servers have no effect, or lead nowhere.

use std::collections::BTreeSet;

use super::conflict::conflict;
use super::declaration::Declaration;
use super::endpoints::Workloads;
use super::index::Reader;
use super::key::{Key, hosts};
use super::mtls::{self, has_labels};
use super::report::Report;
use super::viewer::{Labels, Viewer};
use super::{Settings, servers};
use crate::kinds::Object;
use crate::kinds::authorization::{AuthorizationPolicy, Provider};
use crate::kinds::peer_authentication::PeerAuthentication;
use crate::kinds::target::{Selector, TargetRef};
use crate::yaml::{FieldPath, did_you_mean};

/// Checks a `PeerAuthentication` against the others of its namespace and against its workloads (M3 of the identity cases).
pub(super) fn peer_authentication(
    object: &Object,
    policy: &PeerAuthentication,
    reader: &Reader<'_>,
    report: &mut Report,
) {
    let namespace = object.id.namespace.as_str();
    let labels = policy.labels();
    let before = mtls::all(namespace, reader).take_while(|(other, _)| other.id != object.id);
    let winner = before.into_iter().find(|(_, other)| {
        let is_wide = other.labels().is_empty();
        is_wide == labels.is_empty()
            && (has_labels(labels, other.labels()) || has_labels(other.labels(), labels))
    });
    if let Some((winner, _)) = winner {
        let does = "counts alone for workloads that both are for: nothing is merged";
        report.conflict(object, FieldPath::spec(), conflict(&winner.id, does));
    }
    let known = workload_ports(namespace, labels, reader);
    if known.is_empty() {
        return;
    }
    for (port, _) in policy.ports().filter(|(port, _)| !known.contains(port)) {
        let list = known.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let path = FieldPath::spec().field("portLevelMtls").key(&port.to_string());
        let message = format!(
            "found the port {port}, expected one on which the workloads listen, not one of a service: {list}"
        );
        report.warning(object, path, message);
    }
}

/// The ports on which the known workloads of a namespace with these labels listen.
fn workload_ports(namespace: &str, labels: &Labels, reader: &Reader<'_>) -> BTreeSet<u32> {
    let viewer = Viewer::of_namespace(namespace);
    let declaring = reader.objects(&Key::Declared(namespace.to_owned()));
    let hosts = declaring.iter().flat_map(|one| hosts(&one.object));
    let mut found = BTreeSet::new();
    for host in hosts {
        let Some(declaration) = Declaration::of(&host, &viewer, reader) else { continue };
        let workloads = Workloads::new(&declaration, reader, &mut Report::default());
        for port in declaration.ports() {
            let located = workloads.of_port(port.number, labels, &[]);
            found.extend(located.endpoints.into_iter().map(|endpoint| endpoint.port));
        }
    }
    found
}

/// Reports a target that leads to no servers: they may be any of the namespace, so all of them refuse all calls.
pub(super) fn targets(
    object: &Object,
    selector: Option<&Selector>,
    targets: &[TargetRef],
    reader: &Reader<'_>,
    report: &mut Report,
) {
    if let Err(unknown) = servers::selection(object, selector, targets, reader) {
        let path = FieldPath::spec().field("targetRefs").index(unknown.index).field("name");
        let message = format!(
            "{}: until then every server of the namespace refuses every call, because any of them may be meant",
            unknown.reason
        );
        report.unresolved(object, path, message);
    }
}

/// Reports a provider that the settings of the mesh do not have.
pub(super) fn provider(
    object: &Object,
    policy: &AuthorizationPolicy,
    reader: &Reader<'_>,
    settings: &Settings,
    report: &mut Report,
) {
    let Some(Provider { name }) = &policy.provider else { return };
    let known: Vec<&str> =
        servers::providers(reader, settings).iter().map(|provider| provider.name.as_str()).collect();
    if !known.contains(&name.as_str()) {
        let path = FieldPath::spec().field("provider").field("name");
        let message = format!(
            "found `{name}`, expected one of the extensionProviders of the MeshConfig in {}{}: until then calls that match are refused",
            settings.root_namespace,
            did_you_mean(name, known)
        );
        report.unresolved(object, path, message);
    }
}
