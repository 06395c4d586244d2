//! Which publications wake the calls that wait for one.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::futures::OwnedNotified;

use super::network::{Habit, Net};
use super::{cluster_of, set};
use crate::config::{Cluster, Endpoint, LbPolicy, ResourceError, RingHash};
use crate::policy::lb::Connectivity;
use crate::runtime::WaitForReady;
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, number], 80))
}

fn cluster(numbers: impl IntoIterator<Item = u8>) -> Cluster {
    cluster_of(set(numbers.into_iter().map(|number| Endpoint::new(address(number))).collect()))
}

fn start(net: &Net, cluster: &Cluster) -> std::sync::Arc<ClusterHandle<Net>> {
    ClusterHandle::start(cluster, &Pool::new(net.clone(), PoolSettings::default()), 1)
}

/// A call with this setting that begins to wait now.
fn wait(handle: &ClusterHandle<Net>, wait: bool) -> OwnedNotified {
    let version = handle.published().version;
    handle.next_help(WaitForReady(wait), version).expect("that is the last publication")
}

fn is_woken(call: Pin<&mut OwnedNotified>) -> bool {
    call.now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn waiting_call_sleeps_while_every_call_would_wait() {
    let net = Net::default();
    (1..=4).for_each(|number| net.set(address(number), Habit::Accept(Duration::from_secs(9))));
    let handle = start(&net, &cluster([1]));
    let mut call = pin!(wait(&handle, false));
    for last in 2..=4 {
        let before = handle.published().version;
        handle.update(&cluster(1..=last));
        handle.changed(before).await;
        assert!(!is_woken(call.as_mut()), "nothing is connected yet");
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(is_woken(call));
}

#[tokio::test(start_paused = true)]
async fn call_that_waits_for_ready_sleeps_while_every_call_would_fail() {
    for policy in [LbPolicy::RoundRobin, LbPolicy::RingHash(RingHash::new(16, 16))] {
        let net = Net::default();
        (1..=2).for_each(|number| net.set(address(number), Habit::Refuse));
        let mut both = cluster([1, 2]);
        let settings = (*both.settings).clone().with_lb_policy(policy.clone());
        both.settings = settings.into();
        let handle = start(&net, &both);
        let mut impatient = pin!(wait(&handle, false));
        handle.wake(None);
        while !matches!(handle.published().state, Connectivity::TransientFailure(_)) {
            handle.changed(handle.published().version).await;
        }
        assert!(is_woken(impatient.as_mut()), "{policy:?}: it fails");
        let mut patient = pin!(wait(&handle, true));
        let failed = handle.published().version;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(handle.published().version > failed, "{policy:?}: the error was published again");
        assert!(!is_woken(patient.as_mut()), "{policy:?}");
        net.set(address(1), Habit::Accept(Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(is_woken(patient), "{policy:?}: an endpoint is connected");
    }
}

#[tokio::test(start_paused = true)]
async fn every_waiting_call_is_woken_when_its_cluster_is_removed_or_ends() {
    let net = Net::default();
    net.set(address(1), Habit::Accept(Duration::from_secs(9)));
    for is_removed in [true, false] {
        let handle = start(&net, &cluster([1]));
        let mut calls = [true, false].map(|setting| Box::pin(wait(&handle, setting)));
        if is_removed {
            handle.end(ResourceError::new("the cluster does not exist"));
            handle.changed(handle.published().version).await;
        } else {
            drop(handle);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(calls.iter_mut().all(|call| is_woken(call.as_mut())), "removed: {is_removed}");
    }
}

#[tokio::test(start_paused = true)]
async fn call_that_has_seen_an_older_publication_does_not_wait() {
    let net = Net::default();
    let handle = start(&net, &cluster([1]));
    let seen = handle.published().version;
    handle.changed(seen).await;
    assert!(handle.next_help(WaitForReady(false), seen).is_none());
}
