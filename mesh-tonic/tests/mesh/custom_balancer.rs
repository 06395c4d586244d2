//! A balancer of a user, by the public surface alone.

use std::num::NonZeroU32;
use std::sync::Arc;

use examples::heaviest::Heaviest;
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint as Place, EndpointSet, Forward, LbPolicy, Locality,
    Priority,
};
use mesh_core::runtime::FixedSource;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{call, client, eventually};

#[tokio::test]
async fn balancer_of_a_user_chooses_endpoints_and_follows_updates() {
    let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await, Endpoint::start("c").await];
    let config = |weights: [u32; 3]| {
        let places = endpoints.iter().zip(weights).map(|(endpoint, weight)| {
            let mut place = Place::new(endpoint.address);
            place.weight = NonZeroU32::new(weight).unwrap();
            place
        });
        let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(places.collect()))])]);
        let settings = ClusterSettings::new("greeter").with_lb_policy(LbPolicy::Custom(Heaviest::policy(1)));
        let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
        Config::default().entry("greeter", Ok(cluster)).to(Forward::to("greeter")).build()
    };
    let source = FixedSource::new();
    source.set("greeter", config([1, 3, 2]));
    let mut client = client(&Mesh::new(source.clone()));
    eventually("all are connected", || endpoints.iter().all(|endpoint| endpoint.connections() == 1)).await;
    let served_by = async |client: &mut _, expected: &str| {
        for _ in 0..1_000 {
            if call(client).await.unwrap() == expected {
                break;
            }
        }
        for _ in 0..20 {
            assert_eq!(call(client).await.unwrap(), expected);
        }
    };
    served_by(&mut client, "b").await;

    source.set("greeter", config([5, 3, 2]));
    served_by(&mut client, "a").await;
    assert!(
        endpoints.iter().all(|endpoint| endpoint.connections() == 1),
        "an equal policy keeps its connections"
    );

    let [a, ..] = endpoints;
    a.stop().await;
    served_by(&mut client, "b").await;
}
