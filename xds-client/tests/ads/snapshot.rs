//! A start without a control server, from what an earlier run had accepted (scenario 7), and watches of single
//! resources.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::Name;
use mesh_core::runtime::{ConfigSource, Target};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::resource::{
    AnyResource, ClusterLoadAssignment, ClusterType, DecodeContext, DecodeError, EndpointsType, ResourceType,
};
use xds_client::transport::memory::{self, MemoryServer, MemoryTransport};
use xds_client::{Options, XdsClient, start_with};
use xds_proto::envoy::service::discovery::v3::Resource;
use xds_proto::google::protobuf::Any;

use crate::control::{Control, bootstrap, endpoints, show, until, until_shown};

fn client(transport: MemoryTransport, snapshot: Option<PathBuf>) -> XdsClient {
    let mut options = Options::default().with_rng_seed(7);
    options.snapshot = snapshot;
    start_with(bootstrap("control:15010"), transport, options).unwrap()
}

/// Answers every stream as `control` does, in the background.
fn serve_all(mut server: MemoryServer, control: Control) {
    tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            let mut control = control.clone();
            tokio::spawn(async move {
                while let Some(request) = stream.sotw_request().await {
                    if let Some(response) = control.answer(&request) {
                        stream.respond(response);
                    }
                }
            });
        }
    });
}

/// With a file that an earlier run has written.
async fn earlier_run(path: &Path) {
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
async fn client_starts_from_snapshot_without_control_server() {
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

/// A client that has a snapshot of an earlier run, the folder that it is in, and the client's control server.
async fn with_earlier_run() -> (TempDir, XdsClient, MemoryServer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    earlier_run(&path).await;
    let (transport, server) = memory::pair();
    (folder, client(transport, Some(path)), server)
}

#[tokio::test]
async fn snapshot_is_used_when_control_server_is_silent() {
    let (_folder, client, mut server) = with_earlier_run().await;
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let _stream = server.accept().await.unwrap();
    until_shown(&mut watch, "a=1").await;
    assert!(client.status().stale && client.status().connected);
}

/// In virtual time the second that changes are gathered for never passes by itself.
#[tokio::test(start_paused = true)]
async fn short_run_leaves_a_snapshot_when_its_last_watch_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let (transport, server) = memory::pair();
    serve_all(server, Control::greeter(&["a"], 1));
    let client = client(transport, Some(path.clone()));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, "a=1").await;
    assert!(!path.exists());
    drop((watch, client));
    until_file(&path, |bytes| !bytes.is_empty()).await;
    starts_with(&path, "a=1").await;
}

#[test]
fn run_whose_runtime_ends_leaves_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    first.block_on(async {
        let (transport, server) = memory::pair();
        serve_all(server, Control::greeter(&["a"], 1));
        let client = client(transport, Some(path.clone()));
        let mut watch = client.watch(&Target::new("greeter")).unwrap();
        until_shown(&mut watch, "a=1").await;
    });
    drop(first);
    assert!(path.exists(), "before the runtime's end returns");
    runtime().block_on(starts_with(&path, "a=1"));
}

/// A client without a control server has this configuration from the snapshot.
async fn starts_with(path: &Path, shown: &str) {
    let (transport, server) = memory::pair();
    server.refuse("connection refused");
    let client = client(transport, Some(path.to_owned()));
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, shown).await;
}

#[tokio::test]
async fn resource_deleted_while_unwatched_is_absent_after_server_loss() {
    let (_folder, client, mut server) = with_earlier_run().await;
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let mut stream = server.accept().await.unwrap();
    let mut control = Control::greeter(&["a"], 2);
    tokio::select! {
        () = async {
            while let Some(request) = stream.sotw_request().await {
                control.answer(&request).into_iter().for_each(|response| stream.respond(response));
            }
        } => panic!("the stream ended"),
        _ = until_shown(&mut watch, "a=2") => {}
    }
    drop(watch);
    while stream.sotw_request().await.is_some() {}
    server.refuse("connection refused");
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until(&mut watch, "an answer", |state| state.config.is_some()).await;
    let error = state.config.unwrap().expect_err("what the server had replaced is back");
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(!client.status().stale);
}

/// Endpoints that the authority `x`, which has a server of its own, serves.
const OF_X: &str = "xdstp://x/envoy.config.endpoint.v3.ClusterLoadAssignment/b";

/// A run of a client with two servers that watches these endpoints, all of which it is to get, until the snapshot is
/// as wanted.
async fn run(
    path: &Path,
    names: &[&str],
    play: impl FnOnce(MemoryServer),
    is_written: impl Fn(&[u8]) -> bool,
) {
    let (transport, server) = memory::pair();
    play(server);
    let bootstrap = Bootstrap::builder().server(ServerConfig::insecure("control:15010")).node_id("n1");
    let bootstrap = bootstrap.authority("x", None, vec![ServerConfig::insecure("x:15010")]).build().unwrap();
    let options = Options::default().with_rng_seed(7).with_snapshot(path);
    let client = start_with(bootstrap, transport, options).unwrap();
    let watch = |name: &&str| client.watch_resource::<ClusterLoadAssignment>(EndpointsType, *name);
    let mut watches: Vec<_> = names.iter().map(watch).collect();
    let done = async {
        for watch in &mut watches {
            while !matches!(watch.borrow_and_update().value, Some(Ok(_))) {
                assert!(watch.changed().await);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.expect("a value never came");
    until_file(path, is_written).await;
}

async fn until_file(path: &Path, is_written: impl Fn(&[u8]) -> bool) {
    let written = async {
        while !is_written(&std::fs::read(path).unwrap_or_default()) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.expect("the file is never as it should be");
}

fn has(file: &[u8], text: &str) -> bool {
    file.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn unanswered_resources_stay_in_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut control = Control::default();
    let all = ["a", OF_X, "never-asked-for-again"];
    all.iter().for_each(|name| control.put(name, &endpoints(name, &[1])));
    let is_whole = |file: &[u8]| all.iter().all(|name| has(file, name));
    run(&path, &all, |server| serve_all(server, control.clone()), is_whole).await;
    let before = std::fs::read(&path).unwrap();
    let one_is_away = |server: MemoryServer| {
        server.refuse_server("x:15010", "connection refused");
        control.put("a", &endpoints("a", &[2]));
        serve_all(server, control);
    };
    run(&path, &all[..2], one_is_away, |file| file != before).await;
    let all_are_away = |server: MemoryServer| server.refuse("connection refused");
    run(&path, &all, all_are_away, is_whole).await;
}

/// A text: a type of the user's own. Notes the threads that decode it.
#[derive(Debug, Clone, Default)]
struct TextType {
    threads: Arc<Mutex<Vec<ThreadId>>>,
}

impl ResourceType for TextType {
    fn type_url(&self) -> &'static str {
        TEXT
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn decode(
        &self,
        _: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        self.threads.lock().unwrap().push(thread::current().id());
        Ok((name.cloned().unwrap(), Arc::new(String::from_utf8(bytes.to_vec()).unwrap())))
    }
}

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
const TEXT: &str = "type.googleapis.com/example.Text";

#[tokio::test]
async fn resources_of_a_users_type_are_kept_until_their_type_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let text = Any { type_url: TEXT.to_owned(), value: b"hello".to_vec() };
    let wrapped = Resource { name: "one".to_owned(), resource: Some(text), ..Resource::default() };
    let value = prost::Message::encode_to_vec(&wrapped);
    let wrapped = Any { type_url: WRAPPER.to_owned(), value };
    let mut control = Control::greeter(&["a"], 1);
    control.resources.entry(TEXT.to_owned()).or_default().insert("one".to_owned(), wrapped);
    let kind = TextType::default();
    for run in ["served", "not asked for", "without a control server"] {
        let (transport, server) = memory::pair();
        match run {
            "without a control server" => server.refuse("connection refused"),
            _ => serve_all(server, control.clone()),
        }
        let client = client(transport, Some(path.clone()));
        if run == "not asked for" {
            let before = std::fs::read(&path).unwrap();
            let mut watch = client.watch(&Target::new("greeter")).unwrap();
            until_shown(&mut watch, "a=1").await;
            until_file(&path, |file| file != before && has(file, "hello")).await;
            continue;
        }
        let mut watch = client.watch_resource::<String>(kind.clone(), "one");
        while !matches!(watch.borrow_and_update().value, Some(Ok(text)) if *text == "hello") {
            assert!(watch.changed().await, "{run}");
        }
        until_file(&path, |file| has(file, "hello")).await;
    }
    let threads = kind.threads.lock().unwrap();
    assert_eq!(threads.len(), 2, "once from the server, once from the file");
    assert!(!threads.contains(&thread::current().id()), "decoded by the runtime's only worker");
}

#[tokio::test]
async fn damaged_snapshot_is_ignored() {
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
async fn single_resource_is_watched_beside_targets() {
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
