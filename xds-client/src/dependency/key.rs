//! Identifies a resource.

use mesh_core::config::Name;

use crate::protocol::{ResourceKind, canonical};

/// The types of resources that a configuration is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum KeyKind {
    /// LDS.
    Listener,
    /// RDS.
    RouteConfiguration,
    /// CDS.
    Cluster,
    /// EDS.
    Endpoints,
    /// LEDS: all endpoints of a locality in one resource (EDS-16).
    EndpointList,
    /// LEDS: each endpoint of a locality is a resource of its own; the key names their collection (TR-56).
    EndpointCollection,
}

impl KeyKind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Listener,
        Self::RouteConfiguration,
        Self::Cluster,
        Self::Endpoints,
        Self::EndpointList,
        Self::EndpointCollection,
    ];

    /// Whether it lists endpoints.
    pub(super) fn is_endpoints(self) -> bool {
        matches!(self, Self::Endpoints | Self::EndpointList | Self::EndpointCollection)
    }

    /// The kind of this type URL.
    pub(crate) fn of(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.resource_kind().type_url == type_url)
    }

    /// The protocol's description of the type (TR-03, TR-26).
    pub(crate) const fn resource_kind(self) -> ResourceKind {
        let (type_url, full_state) = match self {
            Self::Listener => ("type.googleapis.com/envoy.config.listener.v3.Listener", true),
            Self::RouteConfiguration => {
                ("type.googleapis.com/envoy.config.route.v3.RouteConfiguration", false)
            }
            Self::Cluster => ("type.googleapis.com/envoy.config.cluster.v3.Cluster", true),
            Self::Endpoints => ("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", false),
            Self::EndpointList => {
                ("type.googleapis.com/envoy.config.endpoint.v3.LbEndpointCollection", false)
            }
            Self::EndpointCollection => ("type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint", false),
        };
        ResourceKind { type_url, full_state }
    }

    /// The type's name in error texts.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::RouteConfiguration => "route configuration",
            Self::Cluster => "cluster",
            Self::Endpoints => "endpoints",
            Self::EndpointList | Self::EndpointCollection => "endpoint collection",
        }
    }
}

/// A resource's type and canonical name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its type.
    pub kind: KeyKind,
    /// Its canonical name.
    pub name: Name,
}

impl Key {
    /// The key of a resource by any spelling of its name.
    pub(crate) fn new(kind: KeyKind, name: &Name) -> Self {
        Self { kind, name: canonical(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{
        ClusterType, EndpointCollectionType, EndpointsType, LbEndpointType, ListenerType, ResourceType,
        RouteConfigurationType,
    };

    /// Proves: TR-03.
    #[test]
    fn kinds_match_their_decoders() {
        let decoders: [&dyn ResourceType; 6] = [
            &ListenerType,
            &RouteConfigurationType,
            &ClusterType,
            &EndpointsType,
            &EndpointCollectionType,
            &LbEndpointType,
        ];
        for (kind, decoder) in KeyKind::ALL.into_iter().zip(decoders) {
            let ResourceKind { type_url, full_state } = kind.resource_kind();
            assert_eq!((type_url, full_state), (decoder.type_url(), decoder.is_full_state()));
            assert!(type_url.starts_with("type.googleapis.com/envoy.config."), "{type_url}");
            assert_eq!(KeyKind::of(type_url), Some(kind));
        }
    }
}
