//! What a policy is attached to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::check;
use crate::yaml::FieldPath;

/// An object of the policy's own namespace, a part of it, or the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyTarget {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    group: String,
    kind: String,
    pub(crate) name: String,
    /// A port of a service or a rule of a route, by its name.
    pub(crate) section_name: Option<String>,
}

/// The kind of a [`PolicyTarget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TargetKind {
    Namespace,
    Service,
    GrpcRoute,
    HttpRoute,
    VirtualService,
}

impl TargetKind {
    pub(crate) fn is_route(self) -> bool {
        matches!(self, Self::GrpcRoute | Self::HttpRoute | Self::VirtualService)
    }
}

impl PolicyTarget {
    /// `None`: a kind that no policy can be attached to; [`check`] refuses it.
    pub(crate) fn kind(&self) -> Option<TargetKind> {
        match (self.group.as_str(), self.kind.as_str()) {
            ("" | "core", "Namespace") => Some(TargetKind::Namespace),
            ("" | "core", "Service") | ("networking.istio.io", "ServiceEntry") => Some(TargetKind::Service),
            ("gateway.networking.k8s.io", "GRPCRoute") => Some(TargetKind::GrpcRoute),
            ("gateway.networking.k8s.io", "HTTPRoute") => Some(TargetKind::HttpRoute),
            ("networking.istio.io", "VirtualService") => Some(TargetKind::VirtualService),
            _ => None,
        }
    }
}

pub(crate) fn check(targets: &[PolicyTarget], namespace: &str, path: &FieldPath, findings: &mut Findings) {
    if !(1..=MAX_TARGETS).contains(&targets.len()) {
        let message = format!("found {} items, expected 1 to {MAX_TARGETS}", targets.len());
        findings.error(path.clone(), message);
    }
    for (index, target) in targets.iter().enumerate() {
        let path = path.index(index);
        match target.kind() {
            None => {
                let message = format!(
                    "found {} of group `{}`, expected Service or Namespace of group ``, ServiceEntry or VirtualService of group \
                     networking.istio.io, or GRPCRoute or HTTPRoute of group gateway.networking.k8s.io",
                    target.kind, target.group
                );
                findings.error(path.field("kind"), message);
            }
            Some(TargetKind::Namespace) if target.name != namespace => {
                let message = format!("found `{}`, expected `{namespace}`, the policy's own", target.name);
                findings.error(path.field("name"), message);
            }
            Some(TargetKind::Namespace) if target.section_name.is_some() => {
                findings.error(path.field("sectionName"), "a namespace has no sections");
            }
            Some(_) => check::name(&target.name, &path.field("name"), findings),
        }
    }
}

const MAX_TARGETS: usize = 16;
