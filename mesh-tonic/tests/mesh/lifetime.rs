//! Nothing outlives its last handle.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::{ConfigSource, ConfigState, ConfigWatch, SourceError, Target};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::endpoint::Endpoint;
use crate::{call, client, eventually};

/// Counts its watches.
#[derive(Debug, Clone)]
struct Counting(MeshConfig, Arc<()>);

impl ConfigSource for Counting {
    fn watch(&self, _: &Target) -> Result<ConfigWatch, SourceError> {
        let state = ConfigState::of(self.0.clone());
        let (sender, states) = watch::channel(state);
        Ok(ConfigWatch::new(states, (sender, self.1.clone())))
    }
}

#[tokio::test]
async fn two_hundred_channels_share_connections_and_free_all() {
    let endpoint = Endpoint::start("a").await;
    let idle = Handle::current().metrics().num_alive_tasks();
    let watches = Arc::new(());
    let source = Counting(MeshConfig::to_endpoints("greeter", [endpoint.address]), watches.clone());
    let mesh = Mesh::new(source);
    let mut clients: Vec<_> = (0..200).map(|_| client(&mesh)).collect();
    for client in &mut clients {
        call(client).await.unwrap();
    }
    assert_eq!(endpoint.connections(), 1);
    assert_eq!(Arc::strong_count(&watches), 3, "this one, the source's, and one watch");

    drop(clients);
    eventually("no connection is left", || endpoint.connections() == 0).await;
    eventually("no watch is left", || Arc::strong_count(&watches) == 2).await;
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() <= idle).await;

    call(&mut client(&mesh)).await.unwrap();
    drop(mesh);
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() <= idle).await;
    assert_eq!(Arc::strong_count(&watches), 1);
}

/// R1: a static channel outlives the runtime of the test that made it. One has been used before, the other has not.
#[test]
fn channel_of_a_runtime_that_has_ended_fails_calls_at_once_and_says_why() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = servers.block_on(Endpoint::start("a"));
    for is_used in [true, false] {
        let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
        let first = runtime();
        let mut client = first.block_on(async {
            let mut client = client(&mesh);
            if is_used {
                call(&mut client).await.unwrap();
            }
            client
        });
        drop(first);
        let called = async {
            let mut patient = tonic::Request::new(crate::hello("you"));
            patient.extensions_mut().insert(mesh_tonic::WaitForReady(true));
            [call(&mut client).await.map(drop), client.say_hello(patient).await.map(drop)]
        };
        let results =
            runtime().block_on(async { tokio::time::timeout(Duration::from_secs(60), called).await });
        for result in results.expect("an answer in time, without any deadline") {
            let status = result.unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unavailable);
            assert!(status.message().contains("runtime"), "used: {is_used}: {status}");
        }
    }
}

#[test]
fn mesh_serves_the_next_runtime_after_its_first_has_ended() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = servers.block_on(Endpoint::start("a"));
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    for _ in 0..3 {
        let called = async { tokio::time::timeout(Duration::from_secs(60), call(&mut client(&mesh))).await };
        runtime().block_on(called).expect("an answer in time").unwrap();
    }
}
