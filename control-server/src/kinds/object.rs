//! An object of any kind.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::authorization::AuthorizationPolicy;
use super::destination_rule::DestinationRule;
use super::endpoint_slice::EndpointSlice;
use super::grpc_route::GrpcRoute;
use super::http_route::HttpRoute;
use super::mesh_policy::{AttachedPolicy, MeshConfig};
use super::origin::Origin;
use super::peer_authentication::PeerAuthentication;
use super::rate_limit_policy::RateLimitPolicy;
use super::reference_grant::ReferenceGrant;
use super::request_authentication::RequestAuthentication;
use super::service::Service;
use super::service_entry::ServiceEntry;
use super::virtual_service::VirtualService;
use super::workload_entry::{SharedLabels, WorkloadEntry};
use crate::finding::Finding;
use crate::state::{Diagnostic, ObjectStatus};
use crate::yaml::Position;

/// The known kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ServiceEntry,
    WorkloadEntry,
    VirtualService,
    DestinationRule,
    GrpcRoute,
    HttpRoute,
    Service,
    EndpointSlice,
    ReferenceGrant,
    PeerAuthentication,
    RequestAuthentication,
    AuthorizationPolicy,
    TrafficPolicy,
    MeshConfig,
    RateLimitPolicy,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::VirtualService,
        Self::DestinationRule,
        Self::GrpcRoute,
        Self::HttpRoute,
        Self::Service,
        Self::EndpointSlice,
        Self::ReferenceGrant,
        Self::PeerAuthentication,
        Self::RequestAuthentication,
        Self::AuthorizationPolicy,
        Self::TrafficPolicy,
        Self::MeshConfig,
        Self::RateLimitPolicy,
    ];

    /// As written in `kind`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::GrpcRoute => "GRPCRoute",
            Self::HttpRoute => "HTTPRoute",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::MeshConfig => "MeshConfig",
            Self::RateLimitPolicy => "RateLimitPolicy",
        }
    }

    /// As written in `apiVersion`, the one to prefer first.
    pub(crate) const fn api_versions(self) -> &'static [&'static str] {
        match self {
            Self::HttpRoute => &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
            Self::GrpcRoute => &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"],
            Self::TrafficPolicy | Self::MeshConfig | Self::RateLimitPolicy => &["mesh.dev/v1alpha1"],
            Self::Service => &["v1"],
            Self::EndpointSlice => &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
            Self::ReferenceGrant => &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
            Self::PeerAuthentication | Self::RequestAuthentication | Self::AuthorizationPolicy => {
                &["security.istio.io/v1", "security.istio.io/v1beta1"]
            }
            Self::ServiceEntry | Self::WorkloadEntry | Self::VirtualService | Self::DestinationRule => {
                &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"]
            }
        }
    }

    /// Whether calls may go where they must not if an object of this kind is missing. Without the others there are fewer
    /// services, endpoints or permissions.
    pub(crate) const fn restricts_calls(self) -> bool {
        match self {
            Self::VirtualService
            | Self::DestinationRule
            | Self::GrpcRoute
            | Self::HttpRoute
            | Self::PeerAuthentication
            | Self::RequestAuthentication
            | Self::AuthorizationPolicy
            | Self::RateLimitPolicy => true,
            Self::ServiceEntry
            | Self::WorkloadEntry
            | Self::Service
            | Self::EndpointSlice
            | Self::ReferenceGrant
            | Self::TrafficPolicy
            | Self::MeshConfig => false,
        }
    }

    /// Whether it says which calls the servers of its namespace take.
    pub(crate) const fn is_security(self) -> bool {
        matches!(
            self,
            Self::PeerAuthentication
                | Self::RequestAuthentication
                | Self::AuthorizationPolicy
                | Self::RateLimitPolicy
        )
    }

    /// The kind of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Identifies an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// `metadata` without name and namespace, and without what only a cluster needs (`managedFields`, `ownerReferences`,
/// `finalizers`, `selfLink`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// `creationTimestamp`.
    pub(crate) created: Option<Timestamp>,
    pub(crate) generation: Option<i64>,
    pub(crate) uid: Option<String>,
}

/// The content of an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Spec {
    ServiceEntry(ServiceEntry),
    WorkloadEntry(WorkloadEntry),
    VirtualService(VirtualService),
    DestinationRule(Box<DestinationRule>),
    GrpcRoute(GrpcRoute),
    HttpRoute(HttpRoute),
    Service(Box<Service>),
    EndpointSlice(EndpointSlice),
    ReferenceGrant(ReferenceGrant),
    PeerAuthentication(PeerAuthentication),
    RequestAuthentication(RequestAuthentication),
    AuthorizationPolicy(AuthorizationPolicy),
    TrafficPolicy(Box<AttachedPolicy>),
    MeshConfig(Box<MeshConfig>),
    RateLimitPolicy(Box<RateLimitPolicy>),
}

impl Spec {
    /// Lets its endpoints share equal labels with each other and with those of other objects.
    pub(crate) fn share_labels(&mut self, shared: &mut SharedLabels) {
        match self {
            Self::ServiceEntry(entry) => {
                entry.endpoints.shrink_to_fit();
                entry.endpoints.iter_mut().for_each(|endpoint| shared.share(endpoint));
            }
            Self::WorkloadEntry(entry) => shared.share(entry),
            _ => {}
        }
    }
}

/// An object that is well-formed on its own.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    pub(crate) origin: Origin,
}

impl Object {
    /// Where it starts.
    pub(crate) fn position(&self) -> Position {
        self.origin.start()
    }

    /// Whether both mean the same, wherever they are written. An annotation means nothing, unless the content has read it.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.metadata, &other.metadata);
        self.id == other.id
            && one.labels == two.labels
            && one.created == two.created
            && self.spec == other.spec
    }

    /// Whether both are written in the same place, with the same metadata.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        self.origin == other.origin && self.metadata == other.metadata
    }

    /// A finding with its place.
    pub(crate) fn diagnostic(&self, finding: &Finding) -> Diagnostic {
        diagnostic(&self.origin, &self.id.to_string(), finding)
    }

    pub(crate) fn status(&self, stale: bool) -> ObjectStatus {
        ObjectStatus {
            kind: self.id.kind.name().to_owned(),
            namespace: self.id.namespace.clone(),
            name: self.id.name.clone(),
            file: self.origin.name().to_string(),
            line: self.position().line,
            stale,
        }
    }
}

/// A finding with its place; `object` is empty if it could not be read.
pub(crate) fn diagnostic(origin: &Origin, object: &str, finding: &Finding) -> Diagnostic {
    let at = finding.at.unwrap_or_else(|| origin.position_of(&finding.path));
    Diagnostic {
        severity: finding.severity,
        code: finding.code,
        file: origin.name().to_string(),
        line: at.line,
        column: at.column,
        object: object.to_owned(),
        field: finding.path.to_string(),
        message: finding.message.clone(),
        clients: finding.clients.to_vec(),
    }
}
