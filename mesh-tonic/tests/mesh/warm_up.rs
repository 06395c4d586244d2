//! Channels that connect before the first call, and say how they stand.

use std::time::Duration;

use mesh_core::config::{Cluster, ClusterSettings, LbPolicy, MeshConfig};
use mesh_core::runtime::{FixedSource, SourceError};
use mesh_core::testing::reserved_address;
use mesh_tonic::{ChannelState, Mesh, MeshChannel, MeshErrorKind};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::endpoint::Endpoint;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn channel(mesh: &Mesh) -> MeshChannel {
    MeshChannel::builder("greeter").mesh(mesh).build().unwrap()
}

#[tokio::test]
async fn warm_up_connects_without_a_call() {
    let endpoint = Endpoint::start("a").await;
    let channel = MeshChannel::to_endpoints("greeter", [endpoint.address]).unwrap();
    assert_eq!(channel.state(), ChannelState::Connecting);
    channel.warm_up(LONG).await.unwrap();
    assert_eq!((channel.state(), endpoint.connections(), endpoint.calls()), (ChannelState::Ready, 1, 0));
    channel.warm_up(LONG).await.unwrap();
}

/// Its balancer connects for calls only.
#[tokio::test]
async fn warm_up_wakes_an_idle_cluster() {
    let endpoint = Endpoint::start("a").await;
    let config = Config::default().cluster("one", &[endpoint.address]);
    let Ok(cluster) = &config.clusters[0].1 else { panic!("a cluster") };
    let pick_first = LbPolicy::PickFirst { shuffle: false };
    let settings = ClusterSettings::clone(&cluster.settings).with_lb_policy(pick_first);
    let cluster = Cluster::new(settings, cluster.discovery.clone());
    let config = Config::default().entry("one", Ok(cluster)).to(mesh_core::config::Forward::to("one"));
    let channel = channel(&Mesh::fixed(config.build()));
    channel.warm_up(LONG).await.unwrap();
    assert_eq!((channel.state(), endpoint.connections()), (ChannelState::Ready, 1));
}

#[tokio::test]
async fn warm_up_waits_for_configuration_and_endpoint_that_come_late() {
    let source = FixedSource::new();
    source.fail("greeter", SourceError::new("no listener"));
    let channel = channel(&Mesh::new(source.clone()));
    assert_eq!(channel.state(), ChannelState::TransientFailure);
    let warm = tokio::spawn({
        let channel = channel.clone();
        async move { channel.warm_up(LONG).await }
    });
    tokio::task::yield_now().await;
    source.set("greeter", MeshConfig::to_endpoints("greeter", []));
    tokio::task::yield_now().await;
    assert!(!warm.is_finished());
    let endpoint = Endpoint::start("a").await;
    source.set("greeter", MeshConfig::to_endpoints("greeter", [endpoint.address]));
    warm.await.unwrap().unwrap();
    assert_eq!(channel.state(), ChannelState::Ready);
}

#[tokio::test]
async fn unreachable_cluster_does_not_delay_warm_up_of_others() {
    let endpoint = Endpoint::start("a").await;
    let weighted = [("good", 9), ("canary", 1)]
        .map(|(name, weight)| mesh_core::config::WeightedCluster::new(name, weight));
    let forward =
        mesh_core::config::Forward::new(mesh_core::config::ClusterChoice::weighted(weighted).unwrap());
    let config = Config::default()
        .cluster("good", &[endpoint.address])
        .cluster("canary", &[reserved_address()])
        .to(forward);
    let channel = channel(&Mesh::fixed(config.build()));
    channel.warm_up(LONG).await.unwrap();
    assert_eq!(channel.state(), ChannelState::Ready);
}

#[tokio::test]
async fn warm_up_says_what_was_missing_at_its_timeout() {
    let address = reserved_address();
    let unreachable = MeshChannel::to_endpoints("greeter", [address]).unwrap();
    let source = FixedSource::new();
    source.fail("greeter", SourceError::new("control server 10.0.0.9:15010 unreachable"));
    let unconfigured = channel(&Mesh::new(source));
    // Accepts, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = MeshChannel::to_endpoints("greeter", [silent.local_addr().unwrap()]).unwrap();
    let rows = [
        (&unreachable, ChannelState::TransientFailure, vec!["no connection within 300ms", "refused"]),
        (
            &unconfigured,
            ChannelState::TransientFailure,
            vec!["no configuration within 300ms", "10.0.0.9:15010"],
        ),
        (&connecting, ChannelState::Connecting, vec!["no connection within 300ms"]),
    ];
    for (channel, state, parts) in rows {
        let error = channel.warm_up(SHORT).await.unwrap_err();
        assert_eq!((error.kind(), channel.state()), (MeshErrorKind::DeadlineExceeded, state));
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}
