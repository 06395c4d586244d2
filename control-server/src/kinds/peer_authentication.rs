//! `PeerAuthentication`: whether servers take connections with mutual TLS, in plaintext, or both.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check;
use super::target::{self, Selector};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// How the workloads of a namespace, or those with some labels, take connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PeerAuthentication {
    pub(crate) selector: Option<Selector>,
    mtls: Option<MutualTls>,
    /// By the workload's port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    port_level_mtls: BTreeMap<String, MutualTls>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct MutualTls {
    #[serde(default)]
    mode: MtlsMode,
}

/// How connections are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MtlsMode {
    /// As the next wider policy says.
    #[default]
    Unset,
    /// In plaintext.
    Disable,
    /// With mutual TLS and in plaintext.
    Permissive,
    /// With mutual TLS only.
    Strict,
}

pub(crate) fn read(
    spec: &Node,
    path: &FieldPath,
    namespace: &str,
    findings: &mut Findings,
) -> Option<PeerAuthentication> {
    let policy: PeerAuthentication = decode(spec, path, findings)?;
    target::check(spec, policy.selector.as_ref(), &[], namespace, findings);
    for name in ["mtls", "portLevelMtls"] {
        if let Some(node) = spec.field(name) {
            target::refuse_nothing(node, &path.field(name), findings);
        }
    }
    policy.check(path, findings);
    Some(policy)
}

impl PeerAuthentication {
    /// The mode of ports without one of their own.
    pub(crate) fn mode(&self) -> MtlsMode {
        self.mtls.unwrap_or_default().mode
    }

    /// The modes of single ports of the workload.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (u32, MtlsMode)> {
        self.port_level_mtls.iter().filter_map(|(port, mtls)| Some((port.parse().ok()?, mtls.mode)))
    }

    /// The labels of the workloads that it is for; empty: all of the namespace.
    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.selector.as_ref().map_or(&NONE, |selector| &selector.match_labels)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let path = path.field("portLevelMtls");
        // M3 of the identity cases: Istio takes it and does nothing.
        if !self.port_level_mtls.is_empty() && self.labels().is_empty() {
            let message = "needs a selector: ports are those of a workload, not those of a whole namespace";
            findings.error(path.clone(), message);
        }
        for port in self.port_level_mtls.keys() {
            match port.parse() {
                Ok(number) => check::port(number, &path.key(port), findings),
                Err(_) => {
                    let message = format!("found `{port}`, expected the number of a workload's port");
                    findings.error(path.key(port), message);
                }
            }
        }
    }
}
