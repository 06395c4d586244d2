//! Subsets: which endpoints are used, and what a change changes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{LbPolicy, SubsetMethod, Subsetting};
use crate::policy::lb::Command;

use super::driver::{Driver, connect, priorities};
use super::weighted::driver_of;

fn size(size: u32) -> NonZeroU32 {
    NonZeroU32::new(size).unwrap()
}

fn random(of: u32, seed: u64) -> Driver {
    let policy = LbPolicy::Subsetting(Subsetting::random(size(of), LbPolicy::RoundRobin));
    let mut driver = driver_of(&policy);
    driver.rng = StdRng::seed_from_u64(seed);
    driver
}

fn deterministic(of: u32, client_index: u32, clients: u32) -> Driver {
    let method = SubsetMethod::Deterministic { client_index, client_count: size(clients) };
    let subsetting = Subsetting::random(size(of), LbPolicy::RoundRobin).with_method(method);
    driver_of(&LbPolicy::Subsetting(subsetting))
}

/// Sets these endpoints; returns which are connected and which are disconnected.
fn update(driver: &mut Driver, ids: impl IntoIterator<Item = u32>) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let ids: Vec<u32> = ids.into_iter().collect();
    let (mut connected, mut disconnected) = (BTreeSet::new(), BTreeSet::new());
    for command in driver.update(priorities(&[&ids])) {
        match command {
            Command::Connect(id) => connected.insert(id.0),
            Command::Disconnect(id) => disconnected.insert(id.0),
        };
    }
    connected.iter().for_each(|id| _ = driver.ready(*id));
    (connected, disconnected)
}

/// Case C32.
/// Proves: LB-48.
#[test]
fn subset_changes_by_at_most_one_endpoint_for_each_change() {
    for seed in 0..20 {
        let mut driver = random(5, seed);
        let (used, _) = update(&mut driver, 1..=100);
        assert_eq!((used.len(), driver.users()), (5, used.iter().copied().collect()));
        for _ in 0..100 {
            assert_eq!(update(&mut driver, 1..=100), (BTreeSet::new(), BTreeSet::new()), "the same list");
        }
        let gone = *used.first().unwrap();
        let (connected, disconnected) = update(&mut driver, (1..=100).filter(|id| *id != gone));
        assert_eq!((connected.len(), disconnected.len()), (1, 0), "another one takes its place");
        let (connected, disconnected) = update(&mut driver, 1..=101);
        assert!(connected.contains(&gone) && connected.len() <= 2 && connected.len() == disconnected.len());
        let (connected, disconnected) = update(&mut driver, [1, 2, 3]);
        assert_eq!((driver.users(), disconnected.len()), (vec![1, 2, 3], 0), "all of fewer: {connected:?}");
    }
}

#[test]
fn clients_use_different_endpoints() {
    let mut users: BTreeMap<u32, usize> = BTreeMap::new();
    for seed in 0..400 {
        for id in update(&mut random(5, seed), 1..=100).0 {
            *users.entry(id).or_default() += 1;
        }
    }
    assert!(users.len() == 100 && users.values().all(|count| (5..45).contains(count)), "{users:?}");
}

#[test]
fn numbered_clients_divide_the_endpoints_evenly() {
    for (endpoints, clients) in [(100, 100), (100, 20), (97, 61), (10, 3)] {
        let mut users: BTreeMap<u32, usize> = (1..=endpoints).map(|id| (id, 0)).collect();
        for client in 0..clients {
            let (used, _) = update(&mut deterministic(5, client, clients), 1..=endpoints);
            assert_eq!(used.len(), 5);
            used.into_iter().for_each(|id| *users.entry(id).or_default() += 1);
        }
        let (most, least) = (users.values().max().unwrap(), users.values().min().unwrap());
        assert!(most - least <= 2, "{clients} clients of {endpoints}: {least} to {most}");
    }
}

#[test]
fn numbered_client_changes_few_endpoints() {
    for client in 0..20 {
        let mut driver = deterministic(5, client, 20);
        update(&mut driver, 1..=100);
        for gone in 1..=20 {
            let (connected, _) = update(&mut driver, (1..=100).filter(|id| *id != gone));
            assert!(connected.len() <= 2, "{connected:?}");
            update(&mut driver, 1..=100);
        }
    }
}

#[test]
fn endpoints_outside_of_the_subset_are_disconnected_when_the_policy_comes() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1, 2, 3, 4, 5, 6]]));
    (1..=6).for_each(|id| _ = driver.ready(id));
    let policy = LbPolicy::Subsetting(Subsetting::random(size(2), LbPolicy::RoundRobin));
    let commands = driver.change_policy(&policy, priorities(&[&[1, 2, 3, 4, 5, 6]]));
    let disconnected = commands.iter().filter(|command| matches!(command, Command::Disconnect(_)));
    assert_eq!((disconnected.count(), driver.users().len()), (4, 2));
    let all = driver.change_policy(&LbPolicy::RoundRobin, priorities(&[&[1, 2, 3, 4, 5, 6]]));
    assert_eq!(all, connect(&[1, 2, 3, 4, 5, 6]));
}
