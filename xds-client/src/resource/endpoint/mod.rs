//! Endpoints: addresses, weights and health, in localities and priorities (gRFC A27, A61, A76).
//!
//! The endpoints of a locality may be resources of their own (LEDS, gRFC A95): a list collection is one resource that
//! holds all of them, a glob collection (`xdstp://../*`, incremental xDS only) one resource for each.

mod collection;
#[cfg(test)]
mod collection_tests;
mod lb_endpoint;
mod locality;
#[cfg(test)]
mod locality_tests;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::{DropCategory, EndpointSet, Locality, LocalityId, Name, Priority};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::endpoint::v3 as proto;
use xds_proto::envoy::config::endpoint::v3::cluster_load_assignment::policy::DropOverload;

use super::fields::fraction;
use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::{AnyResource, DecodeContext, DecodeError, ResourceType};

pub use collection::{
    CollectionEndpoint, CollectionRef, EndpointCollection, EndpointCollectionType, LbEndpointType,
};

/// `envoy.config.endpoint.v3.ClusterLoadAssignment`, decoded to [`ClusterLoadAssignment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointsType;

/// A validated `envoy.config.endpoint.v3.ClusterLoadAssignment`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ClusterLoadAssignment {
    /// The endpoints in the resource itself.
    pub set: Arc<EndpointSet>,
    /// The localities whose endpoints are resources of their own; they have none in `set`.
    pub collections: Vec<CollectionRef>,
}

impl ResourceType for EndpointsType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn peek_name(&self, bytes: &Bytes) -> Option<Name> {
        message::peek_name(bytes)
    }

    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        decode_message(self.type_url(), name, bytes, |message: proto::ClusterLoadAssignment| {
            read(&message, context)
        })
    }
}

impl Named for proto::ClusterLoadAssignment {
    const NAME_FIELD: &'static str = "cluster_name";

    fn name(&self) -> &str {
        &self.cluster_name
    }
}

/// The localities of one priority, while the resource is read.
#[derive(Debug, Default)]
struct Draft {
    localities: Vec<Arc<Locality>>,
    /// Positions in `localities` with the collections that hold their endpoints.
    collections: Vec<(usize, Name)>,
    known: HashSet<LocalityId>,
    weight: u64,
}

/// Linear in the number of endpoints. `overprovisioning_factor` is not read (EDS-13).
fn read(
    assignment: &proto::ClusterLoadAssignment,
    context: &DecodeContext,
) -> Checked<ClusterLoadAssignment> {
    let mut addresses: HashSet<SocketAddr> = HashSet::new();
    let mut drafts: BTreeMap<u32, Draft> = BTreeMap::new();
    for (index, entry) in assignment.endpoints.iter().enumerate() {
        let mut read = || {
            let Some(found) = locality::read(entry, context, &mut addresses)? else { return Ok(()) };
            add(drafts.entry(entry.priority).or_default(), found)
        };
        read().within_element("endpoints", index)?;
    }
    let drops = assignment.policy.as_ref().map_or(&[][..], |policy| &policy.drop_overloads);
    let drop = |(index, overload)| drop_category(overload).within_element("policy.drop_overloads", index);
    let drops = drops.iter().enumerate().map(drop).collect::<Checked<_>>()?;
    let drafts = without_gaps(drafts)?;
    let mut priorities = Vec::with_capacity(drafts.len());
    let mut collections = Vec::new();
    for (priority, draft) in drafts.into_iter().enumerate() {
        let refer = |(locality, name)| CollectionRef { priority, locality, name };
        collections.extend(draft.collections.into_iter().map(refer));
        priorities.push(Priority::new(draft.localities));
    }
    let mut set = EndpointSet::new(priorities);
    set.drops = drops;
    Ok(ClusterLoadAssignment { set: Arc::new(set), collections })
}

// EDS-04, EDS-06
fn add(draft: &mut Draft, found: locality::Found) -> Checked<()> {
    let locality::Found { locality, collection } = found;
    draft.weight += u64::from(locality.weight.get());
    if draft.weight > u64::from(u32::MAX) {
        let reason = "the weights of this priority's localities add up to more than 4294967295";
        return Err(Invalid::at("load_balancing_weight", reason));
    }
    if !draft.known.insert(locality.id.clone()) {
        return Err(Invalid::at("locality", format!("{} occurs twice in this priority", locality.id)));
    }
    draft.collections.extend(collection.map(|name| (draft.localities.len(), name)));
    draft.localities.push(Arc::new(locality));
    Ok(())
}

/// EDS-05; no priority at all is valid and means that no endpoint can be reached (EDS-01).
fn without_gaps(drafts: BTreeMap<u32, Draft>) -> Checked<Vec<Draft>> {
    let missing = (0..).zip(drafts.keys()).find(|(expected, found)| expected != *found);
    match missing {
        Some((missing, found)) => {
            Err(Invalid::at("endpoints", format!("priority {found} is used, but not priority {missing}")))
        }
        None => Ok(drafts.into_values().collect()),
    }
}

// EDS-12
fn drop_category(overload: &DropOverload) -> Checked<DropCategory> {
    let share = overload.drop_percentage.as_ref().map_or(Ok(Fraction::per_million(0)), fraction);
    Ok(DropCategory {
        category: overload.category.as_str().into(),
        fraction: share.within("drop_percentage")?,
    })
}
