//! The identities of workloads, and whether they take mutual TLS.

use std::collections::BTreeSet;

use super::workloads::{Group, Member, Workloads, has_labels};
use crate::model::Settings;
use crate::model::mtls::MtlsPolicies;
use crate::model::report::Report;
use crate::model::tls::PeerName;
use crate::model::viewer::Labels;
use crate::yaml::FieldPath;

/// Whether workloads are of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Mesh,
    /// Their connections are not secured by themselves.
    External,
}

/// The workloads whose identities are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Callers {
    All,
    WithMutualTls,
}

impl Workloads<'_> {
    /// The same, whose workloads take connections by these policies.
    pub(in crate::model) fn with_mtls(self, mtls: MtlsPolicies, settings: &Settings) -> Self {
        Self { mtls, trust_domain: settings.trust_domain.clone(), ..self }
    }

    /// Whether clients call a workload's port with mutual TLS by themselves.
    pub(super) fn takes_mtls(&self, group: &Group<'_>, member: &Member<'_>, port: u32) -> bool {
        group.membership == Membership::Mesh && self.mtls.clients_use_tls(&member.all_labels(), port)
    }

    /// The names of the workloads of a port with these labels, of which each has one: its account; where that is not known, any
    /// account of the namespace.
    pub(in crate::model) fn identities(
        &self,
        number: u32,
        labels: &Labels,
        callers: Callers,
    ) -> BTreeSet<PeerName> {
        let of_namespace = format!("spiffe://{}/ns/{}/sa/", self.trust_domain, self.namespace);
        let name = |account: &str| match account {
            "" => PeerName::Prefix(of_namespace.clone()),
            account => PeerName::Exact(format!("{of_namespace}{account}")),
        };
        let mut names = BTreeSet::new();
        for (port, group) in self.with_port(number) {
            if !group.subject_alt_names.is_empty() {
                names.extend(group.subject_alt_names.iter().cloned().map(PeerName::Exact));
                continue;
            }
            let named = group.names.iter().filter_map(|name| name.workload.as_ref());
            let all = group.members.iter().chain(named);
            for member in all.filter(|member| has_labels(member.labels, labels)) {
                let Some(port) = member.ports.of(port) else { continue };
                if callers == Callers::All || self.takes_mtls(group, member, port) {
                    names.insert(name(member.service_account));
                }
            }
        }
        if names.is_empty() {
            names.insert(name(""));
        }
        names
    }

    /// Reports workloads of a port that clients cannot call, because others of the same port take mutual TLS only.
    pub(in crate::model) fn report_plaintext(&self, number: u32, report: &mut Report) {
        let mut secured = false;
        let mut plaintext = None;
        for (port, group) in self.with_port(number) {
            for member in &group.members {
                let Some(port) = member.ports.of(port) else { continue };
                if self.takes_mtls(group, member, port) {
                    secured = true;
                } else {
                    plaintext = plaintext.or(Some((group.object, member.address)));
                }
            }
        }
        if let (true, Some((object, address))) = (secured, plaintext) {
            let message = format!(
                "clients call port {number} with mutual TLS, because a PeerAuthentication says so for some of its endpoints: \
                 {address} and others like it are left out, because they take plaintext"
            );
            report.warning(object, FieldPath::spec(), message);
        }
    }
}

impl Member<'_> {
    /// Its labels, and those by which its service selects it.
    fn all_labels(&self) -> Labels {
        let further = self.selected_by.into_iter().flatten();
        let further = further.map(|(name, value)| (name.clone(), value.clone()));
        further.chain(self.labels.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
    }
}
