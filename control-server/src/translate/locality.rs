//! Which endpoints a client prefers by its place: priorities and weights of localities.
//!
//! What a client gets depends only on how its place compares with the places of the endpoints, so there are few different
//! answers: one for each place, or part of one, that an endpoint or a setting names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::zone_aware;
use crate::model::{Endpoint, LocalityPolicy, label_name};
use crate::resources::{Locality, ScopeSelector};

/// The endpoints of one locality at one priority, and the locality's weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group<'e> {
    pub(super) priority: u32,
    pub(super) locality: &'e Locality,
    pub(super) weight: u64,
    pub(super) members: Vec<&'e Endpoint>,
}

/// What the clients of each place get, in the order in which the places are tried; the last one is everybody else's.
pub(super) fn placements<'e>(
    endpoints: &'e [Endpoint],
    policy: &LocalityPolicy,
) -> Vec<(ScopeSelector, Vec<Group<'e>>)> {
    match policy {
        LocalityPolicy::Equal => vec![(ScopeSelector::default(), equal(endpoints))],
        LocalityPolicy::Failover(regions) => failover(endpoints, regions),
        LocalityPolicy::FailoverByLabels(labels) => failover_by_labels(endpoints, labels),
        LocalityPolicy::ZoneAware { regions, min_endpoints } => {
            zone_aware::placements(endpoints, regions, *min_endpoints)
        }
        LocalityPolicy::Distribute(rows) => distribute(endpoints, rows),
    }
}

/// All at one priority; a locality weighs as much as its endpoints together.
fn equal(endpoints: &[Endpoint]) -> Vec<Group<'_>> {
    grouped(endpoints, |_| 0)
}

/// Groups by priority and locality, with the priorities closed up (EDS-05).
pub(super) fn grouped(endpoints: &[Endpoint], priority: impl Fn(&Endpoint) -> usize) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(usize, &Locality), Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        groups.entry((priority(endpoint), &endpoint.locality)).or_default().push(endpoint);
    }
    let used: BTreeSet<usize> = groups.keys().map(|(priority, _)| *priority).collect();
    let closed_up = |priority| used.iter().take_while(|used| **used < priority).map(|_| 1).sum();
    let groups = groups.into_iter().map(|((priority, locality), members)| {
        let weight = total(&members);
        Group { priority: closed_up(priority), locality, weight, members }
    });
    groups.collect()
}

fn total(members: &[&Endpoint]) -> u64 {
    members.iter().map(|endpoint| u64::from(endpoint.weight)).sum()
}

/// The nearest endpoints first: those of the same subzone, zone, region, then those of the region that is meant for it, then
/// others.
fn failover<'e>(
    endpoints: &'e [Endpoint],
    regions: &BTreeMap<String, String>,
) -> Vec<(ScopeSelector, Vec<Group<'e>>)> {
    let mut places: BTreeSet<Vec<String>> = regions.keys().map(|region| vec![region.clone()]).collect();
    for endpoint in endpoints {
        let parts = endpoint.locality.parts();
        let known = parts.iter().take_while(|part| !part.is_empty()).count();
        places.extend(
            (1..=known).map(|length| parts[..length].iter().map(|part| (*part).to_owned()).collect()),
        );
    }
    let to = |place: &[String]| place.first().and_then(|region| regions.get(region));
    let placement = |place: Vec<String>| {
        let groups = grouped(endpoints, |endpoint| {
            let parts = endpoint.locality.parts();
            let alike = place.iter().zip(parts).take_while(|(one, other)| one == other).count();
            let is_meant = to(&place).is_none_or(|region| *region == endpoint.locality.region);
            3 - alike + usize::from(alike == 0 && !is_meant)
        });
        (ScopeSelector { locality: place, ..ScopeSelector::default() }, groups)
    };
    let mut placements: Vec<_> = most_specific_first(places).into_iter().map(placement).collect();
    placements.push((ScopeSelector::default(), equal(endpoints)));
    placements
}

/// Those endpoints first that have most of the client's labels, in order.
fn failover_by_labels<'e>(
    endpoints: &'e [Endpoint],
    labels: &[String],
) -> Vec<(ScopeSelector, Vec<Group<'e>>)> {
    let fixed: Vec<Option<&str>> =
        labels.iter().map(|label| label.split_once('=').map(|(_, value)| value)).collect();
    let mut places: BTreeSet<Vec<String>> = BTreeSet::new();
    for endpoint in endpoints {
        let mut place = Vec::new();
        for (own, fixed) in endpoint.failover_labels.iter().zip(&fixed) {
            let Some(value) = fixed.map(str::to_owned).or_else(|| own.clone()) else { break };
            place.push(value);
            places.insert(place.clone());
        }
    }
    let placement = |place: &[String]| {
        let groups = grouped(endpoints, |endpoint| {
            let wanted = fixed.iter().enumerate();
            let wanted = wanted.map(|(index, fixed)| fixed.or(place.get(index).map(String::as_str)));
            let own = endpoint.failover_labels.iter().map(Option::as_deref);
            let alike = wanted.zip(own).take_while(|(wanted, own)| wanted.is_some() && wanted == own).count();
            labels.len() - alike
        });
        let conditions = labels.iter().zip(&fixed).zip(place).filter(|((_, fixed), _)| fixed.is_none());
        let conditions =
            conditions.map(|((label, _), value)| (label_name(label).to_owned(), value.clone())).collect();
        (ScopeSelector { labels: conditions, ..ScopeSelector::default() }, groups)
    };
    let mut placements: Vec<_> = most_specific_first(places).iter().map(|place| placement(place)).collect();
    // A place of fixed values only is everybody's.
    placements.retain(|(selector, _)| !selector.is_everyone());
    placements.push(placement(&[]));
    placements
}

/// Shares by place, as the first matching row of the settings has them, the most specific row first.
fn distribute<'e>(
    endpoints: &'e [Endpoint],
    rows: &[(String, BTreeMap<String, u32>)],
) -> Vec<(ScopeSelector, Vec<Group<'e>>)> {
    let mut rows: Vec<_> = rows.iter().map(|(from, to)| (place_of(from), to)).collect();
    rows.sort_by_key(|(from, _)| Reverse(from.len()));
    let groups = equal(endpoints);
    let mut placements = Vec::new();
    for (from, to) in rows {
        let mut placed: Vec<Group<'e>> = Vec::new();
        for (place, percent) in to.iter().filter(|(_, percent)| **percent > 0) {
            let place = place_of(place);
            let is_in = |group: &&Group<'_>| {
                place.iter().zip(group.locality.parts()).all(|(wanted, part)| wanted == part)
            };
            let inside: Vec<&Group<'e>> = groups.iter().filter(is_in).collect();
            let sum: u64 = inside.iter().map(|group| group.weight).sum();
            for group in inside {
                let share = u128::from(*percent) * u128::from(group.weight) * 1000 / u128::from(sum.max(1));
                let weight = u64::try_from(share).unwrap_or(u64::MAX).max(1);
                match placed.iter_mut().find(|known| known.locality == group.locality) {
                    Some(known) => known.weight += weight,
                    None => placed.push(Group { weight, ..group.clone() }),
                }
            }
        }
        let selector = ScopeSelector { locality: from, ..ScopeSelector::default() };
        let is_last = selector.is_everyone();
        placements.push((selector, placed));
        if is_last {
            return placements;
        }
    }
    placements.push((ScopeSelector::default(), groups));
    placements
}

/// The parts of `region/zone/subzone`, up to the first `*`.
fn place_of(text: &str) -> Vec<String> {
    text.split('/').take_while(|part| *part != "*" && !part.is_empty()).map(str::to_owned).collect()
}

/// Longer places first. Where there are too many, the longest ones are left out: their clients get what the clients around
/// them get.
fn most_specific_first(places: BTreeSet<Vec<String>>) -> Vec<Vec<String>> {
    let mut places: Vec<Vec<String>> = places.into_iter().collect();
    places.sort_by_key(|place| Reverse(place.len()));
    while places.len() > MAX_PLACES
        && let Some(longest) = places.first().map(Vec::len)
        && longest > 1
    {
        places.retain(|place| place.len() < longest);
    }
    places.truncate(MAX_PLACES);
    places
}

/// Each place is one more version of a cluster's endpoints.
const MAX_PLACES: usize = 128;
