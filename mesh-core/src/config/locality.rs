//! A locality: endpoints in the same place.

use std::num::NonZeroU32;

use super::{Endpoint, Endpoints, Name};

/// Where endpoints are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LocalityId {
    /// For example a cloud's region; may be empty, as may the others.
    pub region: String,
    /// Within the region.
    pub zone: String,
    /// Within the zone.
    pub sub_zone: String,
}

impl std::fmt::Display for LocalityId {
    /// OB-06: the label format of gRFC A78.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { region, zone, sub_zone } = self;
        write!(f, "{{region={region:?}, zone={zone:?}, sub_zone={sub_zone:?}}}")
    }
}

/// Endpoints in the same place, and their share of the priority's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locality {
    /// Unique within a priority.
    pub id: LocalityId,
    /// Share of the priority's calls.
    pub weight: NonZeroU32,
    /// May be empty.
    pub endpoints: Endpoints,
}

impl Locality {
    /// A locality of these endpoints.
    pub fn new(id: LocalityId, weight: NonZeroU32, endpoints: impl Into<Endpoints>) -> Self {
        Self { id, weight, endpoints: endpoints.into() }
    }

    /// A locality with an empty identifier and weight 1.
    pub fn of(endpoints: Vec<Endpoint>) -> Self {
        Self::new(LocalityId::default(), NonZeroU32::MIN, endpoints)
    }

    /// The identifier's name as metrics show it.
    pub fn label(&self) -> Name {
        self.id.to_string().into()
    }
}
