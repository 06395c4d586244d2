//! The policies for the servers of a namespace: mutual TLS, tokens, authorization, limits of calls.

use std::sync::Arc;

use super::Settings;
use super::index::Reader;
use super::key::Key;
use super::mtls::{MtlsPolicies, groups, has_labels};
use super::viewer::Labels;
use crate::kinds::mesh_policy::ExtensionProvider;
use crate::kinds::target::{Selector, TargetKind, TargetRef};
use crate::kinds::{Kind, Object, Spec};

/// Everything that servers of one namespace have to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ServerPolicies {
    pub(crate) trust_domain: Arc<str>,
    pub(crate) mtls: MtlsPolicies,
    /// Of the kinds for tokens, authorization and limits, in the order in which they take precedence.
    pub(crate) governed: Vec<Governed>,
    pub(crate) barred: Vec<Barred>,
    /// The services that policies may name, if a policy names one.
    pub(crate) providers: Arc<[ExtensionProvider]>,
}

/// A policy and the servers that it is for.
#[derive(Debug, Clone)]
pub(crate) struct Governed {
    pub(crate) servers: Selection,
    pub(crate) object: Arc<Object>,
}

/// Servers that answer no call, because a policy for them cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Barred {
    pub(crate) servers: Selection,
    /// The policy's name.
    pub(crate) policy: String,
}

/// Some of the servers of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    /// Those that have all of these labels, for any of the sets.
    Labels(Vec<Labels>),
}

impl PartialEq for Governed {
    fn eq(&self, other: &Self) -> bool {
        self.servers == other.servers
            && self.object.id == other.object.id
            && self.object.spec == other.object.spec
    }
}

impl Selection {
    fn of_labels(labels: &Labels) -> Self {
        if labels.is_empty() { Self::All } else { Self::Labels(vec![labels.clone()]) }
    }

    /// The labels of one of them.
    pub(crate) fn sample(&self) -> Labels {
        match self {
            Self::All => Labels::new(),
            Self::Labels(sets) => sets.first().cloned().unwrap_or_default(),
        }
    }

    /// Whether a server with these labels is one of them.
    pub(crate) fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::All => true,
            Self::Labels(sets) => sets.iter().any(|wanted| has_labels(labels, wanted)),
        }
    }
}

/// Builds the policies of a namespace; of an empty name: those of every namespace without policies of its own. `None` if it has
/// none.
pub(super) fn build(namespace: &str, reader: &Reader<'_>, settings: &Settings) -> Option<ServerPolicies> {
    let own = if namespace.is_empty() { settings.root_namespace.as_str() } else { namespace };
    let has_policies = !reader.objects(&Key::Policies(own.to_owned())).is_empty();
    if !has_policies && reader.refused_policies(own).next().is_none() {
        return None;
    }
    let mut policies = ServerPolicies {
        trust_domain: settings.trust_domain.as_str().into(),
        mtls: MtlsPolicies::of(namespace, reader, settings),
        governed: Vec::new(),
        barred: Vec::new(),
        providers: Arc::default(),
    };
    for group in groups(namespace, settings) {
        for one in reader.objects(&Key::Policies(group.to_owned())) {
            let object = &one.object;
            let (selector, targets) = match &object.spec {
                Spec::AuthorizationPolicy(policy) => (policy.selector.as_ref(), &policy.target_refs),
                Spec::RequestAuthentication(policy) => (policy.selector.as_ref(), &policy.target_refs),
                Spec::RateLimitPolicy(policy) => (policy.selector.as_ref(), &policy.target_refs),
                _ => continue,
            };
            match selection(object, selector, targets, reader) {
                Ok(Some(servers)) => policies.governed.push(Governed { servers, object: Arc::clone(object) }),
                Ok(None) => {}
                Err(_) => {
                    policies.barred.push(Barred { servers: Selection::All, policy: object.id.to_string() })
                }
            }
        }
        // A policy for mutual TLS that cannot be read counts as the strictest one instead.
        let refused = reader.refused_policies(group).filter(|one| one.id.kind != Kind::PeerAuthentication);
        policies.barred.extend(refused.map(|refused| Barred {
            servers: Selection::of_labels(&refused.labels),
            policy: refused.id.to_string(),
        }));
    }
    let is_custom = |one: &Governed| matches!(&one.object.spec, Spec::AuthorizationPolicy(policy) if policy.provider.is_some());
    if policies.governed.iter().any(is_custom) {
        policies.providers = providers(reader, settings).into();
    }
    Some(policies)
}

/// The services that servers may ask: those of the settings of the mesh.
pub(super) fn providers<'a>(reader: &Reader<'a>, settings: &Settings) -> &'a [ExtensionProvider] {
    let mesh_wide = reader.objects(&Key::MeshWide(settings.root_namespace.clone()));
    match mesh_wide.first().map(|one| &one.object.spec) {
        Some(Spec::MeshConfig(config)) => &config.extension_providers,
        _ => &[],
    }
}

/// A target that leads to no servers.
pub(super) struct UnknownTarget {
    /// Its place in the list.
    pub(super) index: usize,
    pub(super) reason: String,
}

/// The servers that a policy is for; `None`: it is for gateways only.
pub(super) fn selection(
    object: &Object,
    selector: Option<&Selector>,
    targets: &[TargetRef],
    reader: &Reader<'_>,
) -> Result<Option<Selection>, UnknownTarget> {
    if targets.is_empty() {
        let labels = selector.map(|selector| &selector.match_labels);
        return Ok(Some(labels.map_or(Selection::All, Selection::of_labels)));
    }
    let mut sets = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        match target.target_kind() {
            Some(TargetKind::Gateway) => {}
            kind => {
                let labels = workload_labels(object, kind, &target.name, reader);
                sets.push(labels.map_err(|reason| UnknownTarget { index, reason })?);
            }
        }
    }
    Ok((!sets.is_empty()).then_some(Selection::Labels(sets)))
}

/// The labels by which a service of the policy's namespace selects its workloads.
fn workload_labels(
    object: &Object,
    kind: Option<TargetKind>,
    name: &str,
    reader: &Reader<'_>,
) -> Result<Labels, String> {
    let namespace = &object.id.namespace;
    let declaring = reader.objects(&Key::Declaration(namespace.clone(), name.to_ascii_lowercase()));
    let found = declaring.iter().find_map(|one| match (&one.object.spec, kind) {
        (Spec::Service(service), Some(TargetKind::Service)) => Some(service.selector.clone()),
        (Spec::ServiceEntry(entry), Some(TargetKind::ServiceEntry)) => {
            Some(entry.workload_selector.as_ref().map(|selector| selector.labels.clone()).unwrap_or_default())
        }
        _ => None,
    });
    match found {
        None => Err(format!("found `{name}`, expected a service of the namespace {namespace}")),
        Some(labels) if labels.is_empty() => Err(format!(
            "{name} does not select its workloads by labels, so nothing tells its servers from others"
        )),
        Some(labels) => Ok(labels),
    }
}
