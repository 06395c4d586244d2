//! A start without a control server, from what an earlier run had accepted (scenario 7), and watches of single
//! resources.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use tokio::time::{Instant, sleep};
use xds_client::resource::ClusterType;
use xds_client::transport::memory::{self, MemoryServer, MemoryTransport};
use xds_client::{Options, XdsClient, start_with};

use crate::control::{Control, bootstrap, show, until, until_shown};

fn client(transport: MemoryTransport, snapshot: Option<PathBuf>) -> XdsClient {
    let options = Options { rng_seed: Some(7), snapshot, ..Options::default() };
    start_with(bootstrap("control:15010"), transport, options).unwrap()
}

/// Answers every stream as `control` does, in the background.
fn serve_all(mut server: MemoryServer, mut control: Control) {
    tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            control.reset();
            while let Some(request) = stream.sotw_request().await {
                if let Some(response) = control.answer(&request) {
                    stream.respond(response);
                }
            }
        }
    });
}

/// With a file that an earlier run has written.
async fn earlier_run(path: &std::path::Path) {
    let (transport, server) = memory::pair();
    serve_all(server, Control::greeter(&["a"], 1));
    let client = client(transport, Some(path.to_owned()));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, "a=1").await;
    while !path.exists() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!client.status().stale);
}

#[tokio::test]
async fn a_client_starts_without_a_control_server_from_what_was_last_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    earlier_run(&path).await;
    let (transport, server) = memory::pair();
    server.refuse("connection refused");
    let began = Instant::now();
    let client = client(transport, Some(path));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until_shown(&mut watch, "a=1").await;
    assert!(began.elapsed() < Duration::from_secs(5), "well within the first backoffs");
    assert!(client.status().stale && !client.status().connected);
    assert!(state.ambient.is_some(), "and says that the control server is away");
    server.admit();
    serve_all(server, Control::greeter(&["b"], 2));
    until_shown(&mut watch, "b=2").await;
    assert!(!client.status().stale);
}

#[tokio::test]
async fn a_silent_control_server_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    earlier_run(&path).await;
    let (transport, mut server) = memory::pair();
    let client = client(transport, Some(path));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let _stream = server.accept().await.unwrap();
    until_shown(&mut watch, "a=1").await;
    assert!(client.status().stale && client.status().connected);
}

#[tokio::test]
async fn a_damaged_file_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    earlier_run(&path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (transport, server) = memory::pair();
    server.refuse("connection refused");
    let client = client(transport, Some(path));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until(&mut watch, "an error", |state| matches!(state.config, Some(Err(_)))).await;
    assert!(state.config.unwrap().unwrap_err().to_string().contains("connection refused"));
    assert!(!client.status().stale);
}

#[tokio::test(start_paused = true)]
async fn a_single_resource_can_be_watched_beside_the_targets() {
    let (transport, server) = memory::pair();
    serve_all(server, Control::greeter(&["a"], 1));
    let client = client(transport, None);
    let mut cluster = client.watch_resource::<xds_client::resource::Cluster>(ClusterType, "a");
    let mut other = client.watch_resource::<String>(ClusterType, "a");
    while cluster.borrow_and_update().value.is_none() {
        assert!(cluster.changed().await);
    }
    let value: Arc<xds_client::resource::Cluster> = cluster.borrow_and_update().value.unwrap().unwrap();
    assert_eq!(&*value.settings.name, "a");
    while other.borrow_and_update().value.is_none() {
        assert!(other.changed().await);
    }
    let error = other.borrow_and_update().value.unwrap().unwrap_err();
    assert!(error.to_string().contains("String"), "{error}");
    let mut target = client.watch(&Target::new("greeter")).unwrap();
    let state = until_shown(&mut target, "a=1").await;
    assert_eq!(show(&state.config.unwrap().unwrap()), "a=1");
    drop((cluster, other));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.status().resources.len(), 4, "the target still needs it");
    drop(target);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.status().resources, []);
}
