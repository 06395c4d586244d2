//! Endpoints that are resources of their own: LEDS (gRFC A95).

use std::collections::HashSet;

use bytes::Bytes;
use mesh_core::config::{Endpoint, Name};
use xds_proto::envoy::config::endpoint::v3::{LbEndpoint, LbEndpointCollection};
use xds_proto::xds::core::v3::CollectionEntry;
use xds_proto::xds::core::v3::collection_entry::ResourceSpecifier;

use crate::protocol::is_collection;
use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::message::decode_nameless;
use crate::resource::{AnyResource, DecodeContext, DecodeError, ResourceType};

use super::lb_endpoint::Endpoints;

/// A locality of a [`ClusterLoadAssignment`](super::ClusterLoadAssignment) whose endpoints are a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionRef {
    /// Its priority, an index into `set.priorities`.
    pub priority: usize,
    /// The locality, an index into the priority's `localities`.
    pub locality: usize,
    /// The collection: an [`EndpointCollectionType`], or one [`LbEndpointType`] for each endpoint if it
    /// [is a glob](Self::is_glob).
    pub name: Name,
}

impl CollectionRef {
    /// Whether each endpoint is a resource of its own, which only incremental xDS can subscribe to.
    // TR-56
    pub fn is_glob(&self) -> bool {
        is_collection(&self.name)
    }
}

/// `envoy.config.endpoint.v3.LbEndpointCollection`, decoded to [`EndpointCollection`]. The message holds no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointCollectionType;

/// A validated `envoy.config.endpoint.v3.LbEndpointCollection`: all endpoints of a locality.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct EndpointCollection {
    /// The endpoints that take calls; empty: the locality cannot be reached.
    // EDS-11
    pub endpoints: mesh_core::config::Endpoints,
}

/// `envoy.config.endpoint.v3.LbEndpoint`, decoded to [`CollectionEndpoint`]. The message holds no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LbEndpointType;

/// A validated `envoy.config.endpoint.v3.LbEndpoint`: one member of a glob collection; `None` if it takes no calls because
/// of its health.
// EDS-11
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionEndpoint(pub Option<Endpoint>);

impl ResourceType for EndpointCollectionType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.endpoint.v3.LbEndpointCollection"
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        decode_nameless(self.type_url(), name, bytes, |message| collection(&message, context))
    }
}

impl ResourceType for LbEndpointType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint"
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        decode_nameless(self.type_url(), name, bytes, |message: LbEndpoint| {
            let mut addresses = HashSet::new();
            let mut endpoints = Endpoints::new(context, &mut addresses, 1);
            endpoints.add(&message)?;
            Ok(CollectionEndpoint(endpoints.used().pop()))
        })
    }
}

/// EDS-16: an empty one makes its locality unreachable.
fn collection(collection: &LbEndpointCollection, context: &DecodeContext) -> Checked<EndpointCollection> {
    let mut addresses = HashSet::new();
    let mut endpoints = Endpoints::new(context, &mut addresses, collection.entries.len());
    for (index, entry) in collection.entries.iter().enumerate() {
        let endpoint = inline_endpoint(entry).and_then(|endpoint| endpoints.add(&endpoint));
        endpoint.within("inline_entry.resource").within_element("entries", index)?;
    }
    Ok(EndpointCollection { endpoints: endpoints.used().into() })
}

fn inline_endpoint(entry: &CollectionEntry) -> Checked<LbEndpoint> {
    let any = match &entry.resource_specifier {
        Some(ResourceSpecifier::InlineEntry(entry)) => entry.resource.as_ref(),
        Some(ResourceSpecifier::Locator(_)) | None => None,
    };
    let extension = Extension::of(any.ok_or_else(|| Invalid::new("must be set"))?)?;
    match extension.type_name() {
        LB_ENDPOINT => extension.message(),
        other => Err(Invalid::new(format!("expected type {LB_ENDPOINT:?}, found {other:?}"))),
    }
}

const LB_ENDPOINT: &str = "envoy.config.endpoint.v3.LbEndpoint";
