//! Whether a workload takes mutual TLS, for its server and for its clients alike (M4 of the identity cases).

use std::collections::BTreeMap;

use super::Settings;
use super::index::Reader;
use super::key::Key;
use super::viewer::Labels;
use crate::kinds::peer_authentication::{MtlsMode, PeerAuthentication};
use crate::kinds::{Kind, Object, Spec};

/// How a port takes connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No policy says it.
    #[default]
    Unsaid,
    /// In plaintext.
    Disable,
    /// With mutual TLS and in plaintext.
    Permissive,
    /// With mutual TLS only.
    Strict,
}

/// The `PeerAuthentication` objects that count in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MtlsPolicies {
    /// For workloads by their labels; the first that selects one counts alone.
    workload: Vec<Rule>,
    /// Of the namespace, then of the mesh; the first that is set counts.
    wider: Vec<MtlsMode>,
    /// The labels of workloads whose policy cannot be read: the strictest reading counts for them.
    unreadable: Vec<Labels>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    labels: Labels,
    mode: MtlsMode,
    ports: BTreeMap<u32, MtlsMode>,
}

impl MtlsPolicies {
    /// Those for workloads of a namespace: its own before those of the root namespace; of several for one workload, or for the
    /// whole namespace, the first counts alone (M3 of the identity cases).
    pub(super) fn of(namespace: &str, reader: &Reader<'_>, settings: &Settings) -> Self {
        let mut policies = Self::default();
        for group in groups(namespace, settings) {
            let mut has_wide = false;
            for (_, policy) in all(group, reader) {
                if !policy.labels().is_empty() {
                    let ports = policy.ports().collect();
                    let labels = policy.labels().clone();
                    policies.workload.push(Rule { labels, mode: policy.mode(), ports });
                } else if !std::mem::replace(&mut has_wide, true) {
                    policies.wider.push(policy.mode());
                }
            }
            let refused =
                reader.refused_policies(group).filter(|one| one.id.kind == Kind::PeerAuthentication);
            policies.unreadable.extend(refused.map(|refused| refused.labels.clone()));
        }
        policies
    }

    /// The mode of a workload's port.
    pub(crate) fn mode(&self, labels: &Labels, port: u32) -> Mode {
        if self.unreadable.iter().any(|wanted| has_labels(labels, wanted)) {
            return Mode::Strict;
        }
        let rule = self.workload.iter().find(|rule| has_labels(labels, &rule.labels));
        let of_port = rule.and_then(|rule| rule.ports.get(&port).copied());
        let of_workload = rule.map(|rule| rule.mode);
        let modes = of_port.into_iter().chain(of_workload).chain(self.wider.iter().copied());
        modes.into_iter().find_map(Mode::of).unwrap_or_default()
    }

    /// Whether clients call a workload's port with mutual TLS. Where both may be taken, the label says whether the server is one
    /// that takes it.
    pub(super) fn clients_use_tls(&self, labels: &Labels, port: u32) -> bool {
        match self.mode(labels, port) {
            Mode::Strict => true,
            Mode::Permissive | Mode::Unsaid => speaks_mtls(labels),
            Mode::Disable => false,
        }
    }
}

impl Mode {
    /// `None`: the next wider policy counts.
    fn of(mode: MtlsMode) -> Option<Self> {
        match mode {
            MtlsMode::Unset => None,
            MtlsMode::Disable => Some(Self::Disable),
            MtlsMode::Permissive => Some(Self::Permissive),
            MtlsMode::Strict => Some(Self::Strict),
        }
    }
}

/// Istio's label of a workload whose server takes mutual TLS.
pub(crate) fn speaks_mtls(labels: &Labels) -> bool {
    labels.get("security.istio.io/tlsMode").is_some_and(|mode| mode == "istio")
}

/// The namespaces whose policies count for a namespace, its own first. Of an empty name: the root namespace alone.
pub(super) fn groups<'n>(namespace: &'n str, settings: &'n Settings) -> impl Iterator<Item = &'n str> {
    let root = settings.root_namespace.as_str();
    let own = (!namespace.is_empty() && namespace != root).then_some(namespace);
    own.into_iter().chain([root])
}

/// The policies of a namespace, in the order in which they take precedence.
pub(super) fn all<'a>(
    namespace: &str,
    reader: &Reader<'a>,
) -> impl Iterator<Item = (&'a Object, &'a PeerAuthentication)> {
    reader.objects(&Key::Policies(namespace.to_owned())).iter().filter_map(|one| match &one.object.spec {
        Spec::PeerAuthentication(policy) => Some((&*one.object, policy)),
        _ => None,
    })
}

pub(super) fn has_labels(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}
