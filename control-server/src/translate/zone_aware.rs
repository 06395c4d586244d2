//! Zone-aware balancing: calls stay in the client's zone as far as its endpoints can take them.
//!
//! Envoy computes the shares from its own peers by zone; gRPC clients do not know theirs. So they are computed here as if clients were
//! spread evenly over the zones that have endpoints: a zone with less than its part of the endpoints sends the rest of its calls to
//! the zones with more. The shares are locality weights, which every client honours.

use std::collections::{BTreeMap, BTreeSet};

use super::locality::{Group, grouped};
use crate::model::Endpoint;
use crate::resources::ScopeSelector;

/// What the clients of each zone get, of each region, and everybody else.
pub(super) fn placements<'e>(
    endpoints: &'e [Endpoint],
    regions: &BTreeMap<String, String>,
    min_endpoints: u32,
) -> Vec<(ScopeSelector, Vec<Group<'e>>)> {
    let zones: BTreeSet<[&str; 2]> =
        endpoints.iter().map(zone_of).filter(|[region, _]| !region.is_empty()).collect();
    let of_regions: BTreeSet<&str> = zones.iter().map(|[region, _]| *region).collect();
    let mut placements = Vec::new();
    for [region, zone] in zones.iter().filter(|[_, zone]| !zone.is_empty()) {
        let mut groups = by_region(endpoints, region, regions);
        let local = groups.iter().filter(|group| group.locality.region == *region);
        let count: usize = local.map(|group| group.members.len()).sum();
        if count >= min_endpoints as usize {
            share(&mut groups, region, zone);
        }
        placements.push((selector(&[region, zone]), groups));
    }
    for region in of_regions {
        placements.push((selector(&[region]), by_region(endpoints, region, regions)));
    }
    placements.push((ScopeSelector::default(), grouped(endpoints, |_| 0)));
    placements
}

fn zone_of(endpoint: &Endpoint) -> [&str; 2] {
    [&endpoint.locality.region, &endpoint.locality.zone]
}

fn selector(place: &[&str]) -> ScopeSelector {
    let locality = place.iter().map(|part| (*part).to_owned()).collect();
    ScopeSelector { locality, ..ScopeSelector::default() }
}

/// The client's region first, then the one that is meant for it, then others.
fn by_region<'e>(
    endpoints: &'e [Endpoint],
    region: &str,
    regions: &BTreeMap<String, String>,
) -> Vec<Group<'e>> {
    let meant = regions.get(region);
    grouped(endpoints, |endpoint| {
        let of = &endpoint.locality.region;
        if of == region { 0 } else { 1 + usize::from(meant.is_some_and(|meant| meant != of)) }
    })
}

/// Gives each locality of the region its share of the calls of clients in a zone.
fn share(groups: &mut [Group<'_>], region: &str, zone: &str) {
    let mut capacity: BTreeMap<String, u64> = BTreeMap::new();
    for group in groups.iter().filter(|group| group.locality.region == region) {
        *capacity.entry(group.locality.zone.clone()).or_default() += group.weight;
    }
    let total: u64 = capacity.values().sum();
    let fair = u64::try_from(capacity.len()).unwrap_or(u64::MAX).max(1);
    // In parts of `total`: a zone's endpoints can take `capacity * fair` of its own clients' calls, of which there are `total`.
    let room = |capacity: u64| u128::from(capacity) * u128::from(fair);
    let total = u128::from(total.max(1));
    let own = room(capacity.get(zone).copied().unwrap_or_default()).min(total);
    let spare = |capacity: u64| room(capacity).saturating_sub(total);
    let spare_of_all: u128 = capacity.values().map(|capacity| spare(*capacity)).sum();
    for group in groups.iter_mut().filter(|group| group.locality.region == region) {
        let of_zone = capacity.get(&group.locality.zone).copied().unwrap_or_default();
        let calls = if group.locality.zone == zone {
            own
        } else {
            (total - own) * spare(of_zone) / spare_of_all.max(1)
        };
        // A zone may have several localities. What has no share keeps the least weight, to take over if the others fail.
        let weight = calls * SCALE / total * u128::from(group.weight) / u128::from(of_zone.max(1));
        group.weight = u64::try_from(weight).unwrap_or(u64::MAX).max(1);
    }
}

/// All calls.
const SCALE: u128 = 1_000_000;
