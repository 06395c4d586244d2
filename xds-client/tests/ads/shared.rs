//! The client that a process shares. Variables of the environment are for whole processes, so the test starts one.

use std::process::Command;

use mesh_core::runtime::{ConfigSource, Target};
use xds_client::{Options, StartError, running, shared, shared_with};

const VARIABLE: &str = "GRPC_XDS_BOOTSTRAP_CONFIG";

#[test]
fn process_shares_one_client_while_it_is_in_use() {
    let snapshot = tempfile::tempdir().unwrap();
    let bootstrap = r#"{"xds_servers": [{"server_uri": "127.0.0.1:1", "channel_creds": [{"type": "insecure"}]}],
                        "node": {"id": "n1"}}"#;
    let test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shared::in_a_process_with_a_bootstrap", "--nocapture"])
        .env(VARIABLE, bootstrap)
        .env_remove("GRPC_XDS_BOOTSTRAP")
        .env("MESH_XDS_SNAPSHOT", snapshot.path().join("file"))
        .output()
        .unwrap();
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
}

/// Checks something only when the test above starts it.
#[tokio::test]
async fn in_a_process_with_a_bootstrap() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let target = Target::new("greeter");
    assert!(running().is_none(), "to ask for it starts none");
    let (first, second) = (shared().unwrap(), shared().unwrap());
    assert!(running().is_some());
    assert_eq!(&*first.node_id(), "n1");
    let watches = [first.watch(&target).unwrap(), second.watch(&target).unwrap()];
    assert_eq!(alive(), 1, "one worker");
    drop((first, second, watches));
    while alive() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(running().is_none());
    let third = shared().unwrap();
    let _watch = third.watch(&target).unwrap();
    assert_eq!(alive(), 1, "another, for who comes later");
    let outside = std::thread::spawn(|| shared().map(drop)).join().unwrap();
    assert!(outside.is_ok(), "a running one can be had anywhere");

    let options = Options::from_env();
    let snapshot = options.snapshot.as_ref().and_then(|path| path.file_name());
    assert_eq!(snapshot.unwrap(), "file", "the one of MESH_XDS_SNAPSHOT");
    assert!(shared_with(options.clone()).is_ok(), "it runs with these");
    let mut others = options;
    others.snapshot = None;
    let refused = shared_with(others).unwrap_err();
    assert!(matches!(refused, StartError::OtherOptions), "{refused}");
}
