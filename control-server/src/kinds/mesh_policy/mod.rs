//! Our own kinds for what neither Istio nor the Gateway API has: `TrafficPolicy` and `MeshConfig`.

mod balancer;
mod calls;
mod extension_provider;
mod health_check;
mod settings;
mod target;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effect;
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

pub(crate) use balancer::{Balancer, BalancerPolicy};
pub(crate) use calls::conditions;
pub(crate) use extension_provider::{ExtAuthzGrpc, ExtensionProvider};
pub(crate) use health_check::HealthCheck;
pub(crate) use settings::{EFFECTS, PolicySettings};
pub(crate) use target::{PolicyTarget, TargetKind};

/// Settings for a namespace, for services, or for routes; attached as the Gateway API's policies are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AttachedPolicy {
    pub(crate) target_refs: Vec<PolicyTarget>,
    /// What is more specific counts before them.
    pub(crate) defaults: PolicySettings,
    /// They count before what is more specific.
    pub(crate) overrides: PolicySettings,
}

/// Settings of the whole mesh.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MeshConfig {
    /// For every service, where nothing else says otherwise.
    pub(crate) default_traffic_policy: PolicySettings,
    /// Services that servers ask about calls.
    pub(crate) extension_providers: Vec<ExtensionProvider>,
}

/// Reads a `TrafficPolicy`.
pub(crate) fn read(
    spec: &Node,
    path: &FieldPath,
    namespace: &str,
    findings: &mut Findings,
) -> Option<AttachedPolicy> {
    let policy: AttachedPolicy = decode(spec, path, findings)?;
    target::check(&policy.target_refs, namespace, &path.field("targetRefs"), findings);
    if policy.defaults == PolicySettings::default() && policy.overrides == PolicySettings::default() {
        findings
            .missing(path.field("defaults"), "found neither defaults nor overrides, expected one of them");
    }
    let is_for_routes =
        policy.target_refs.iter().any(|target| target.kind().is_some_and(TargetKind::is_route));
    for (name, settings) in [("defaults", &policy.defaults), ("overrides", &policy.overrides)] {
        let path = path.field(name);
        settings.check(&path, findings);
        if is_for_routes {
            settings.warn_of_cluster_settings(&path, findings);
        }
        if let Some(node) = spec.field(name) {
            effect::warn_at(EFFECTS, node, &path, findings);
        }
    }
    Some(policy)
}

/// Reads a `MeshConfig`.
pub(crate) fn read_mesh_config(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<MeshConfig> {
    let config: MeshConfig = decode(spec, path, findings)?;
    extension_provider::check(&config.extension_providers, &path.field("extensionProviders"), findings);
    let path = path.field("defaultTrafficPolicy");
    config.default_traffic_policy.check(&path, findings);
    if let Some(node) = spec.field("defaultTrafficPolicy") {
        effect::warn_at(EFFECTS, node, &path, findings);
    }
    Some(config)
}
