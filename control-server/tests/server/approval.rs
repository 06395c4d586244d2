//! A change that removes much waits for an operator.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use control_server::pipeline;
use control_server::server::{ControlServer, Options, Running};
use tempfile::TempDir;
use tokio::process::Command;

async fn start(config: &Path, data_dir: Option<&Path>) -> Running {
    let free = "127.0.0.1:0".parse().unwrap();
    let options = Options { xds: free, admin: free, ..Options::default() };
    let pipeline = pipeline::Options {
        debounce: Duration::from_millis(5),
        rescan: Duration::from_millis(100),
        data_dir: data_dir.map(Path::to_owned),
        ..pipeline::Options::new(config)
    };
    ControlServer::start(options, pipeline).await.unwrap()
}

async fn meshctl(server: &Running, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(arguments).args(["--admin", &server.admin_address().to_string()]).kill_on_drop(true);
    command.output().await.unwrap()
}

/// The standard output of `meshctl status` once it has a part.
async fn status_with(server: &Running, part: &str) -> String {
    let mut text = String::new();
    for _ in 0..400 {
        text = String::from_utf8(meshctl(server, &["status"]).await.stdout).unwrap();
        if text.contains(part) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {part:?} in\n{text}");
}

fn service(name: &str, endpoints: usize) -> String {
    let addresses: Vec<_> = (1..=endpoints).map(|index| format!("{{address: 10.0.0.{index}}}")).collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{hosts: \
         [{name}.shop], resolution: STATIC, ports: [{{number: 80, name: grpc}}], endpoints: [{}]}}\n",
        addresses.join(", ")
    )
}

#[tokio::test]
async fn change_that_removes_much_waits_and_is_approved() {
    let (config, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let write = |name: &str, text: &str| std::fs::write(config.path().join(name), text).unwrap();
    write("orders.yaml", &service("orders", 20));
    write("users.yaml", &service("users", 1));
    let server = start(config.path(), Some(data.path())).await;
    status_with(&server, "objects         2").await;
    assert_eq!(meshctl(&server, &["approve"]).await.stderr, b"no change waits\n");
    let kept = data.path().join("last-good/orders.yaml");
    while !kept.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    std::fs::remove_file(config.path().join("orders.yaml")).unwrap();
    let status = status_with(&server, "waiting").await;
    assert!(status.contains("1 object, removes 20 of 20 endpoints of orders.shop"), "{status}");
    assert!(status.contains("ready           yes") && status.contains("objects         2:"), "{status}");
    assert_eq!(meshctl(&server, &["status"]).await.status.code(), Some(0));
    assert_eq!(meshctl(&server, &["status", "--strict"]).await.status.code(), Some(1));
    // What removes little takes effect meanwhile.
    write("carts.yaml", &service("carts", 1));
    status_with(&server, "objects         3:").await;
    drop(server);

    // A restart approves nothing; all that has changed since then waits together.
    assert!(kept.exists());
    let server = start(config.path(), Some(data.path())).await;
    let status = status_with(&server, "waiting").await;
    assert!(status.contains("2 objects, removes 20 of 20 endpoints of orders.shop"), "{status}");
    assert!(status.contains("objects         2:"), "{status}");
    let refused = meshctl(&server, &["approve", "0000-0"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(reason.contains("409") && reason.contains("\"0000-0\" does not wait any more"), "{reason}");
    let approved = meshctl(&server, &["approve"]).await;
    assert_eq!(approved.status.code(), Some(0));
    let text = String::from_utf8(approved.stdout).unwrap();
    assert!(text.ends_with(": 2 objects, removes 20 of 20 endpoints of orders.shop\n"), "{text}");
    let status = String::from_utf8(meshctl(&server, &["status"]).await.stdout).unwrap();
    assert_eq!(meshctl(&server, &["status", "--strict"]).await.status.code(), Some(0));
    write("users.yaml", "kind: [");
    status_with(&server, "1 error").await;
    assert_eq!(meshctl(&server, &["status", "--strict"]).await.status.code(), Some(1));
    assert!(!status.contains("waiting") && status.contains("objects         2:"), "{status}");
    while kept.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
