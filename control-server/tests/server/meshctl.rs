//! The program `meshctl`, as a process.

use std::process::Output;

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::{Cluster, Listener};
use mesh_core::testing::reserved_address;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{Client, Fixture};

/// Runs it with arguments, in an environment without any variable of its own.
async fn meshctl(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(arguments).env_remove("MESHCTL_ADMIN").env_remove("MESHCTL_XDS").kill_on_drop(true);
    command.output().await.unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output)).unwrap()
}

#[tokio::test]
async fn status_says_whether_the_server_is_ready() {
    let fixture = Fixture::unsynced().await;
    let admin = fixture.running.admin_address().to_string();
    let before = meshctl(&["status", "--admin", &admin]).await;
    assert_eq!(before.status.code(), Some(1), "{}", stderr(&before));
    assert!(stdout(&before).contains("no: the configuration has not been read yet"), "{}", stdout(&before));
    fixture.sync();
    let url = format!("http://{admin}/");
    for _ in 0..100 {
        let after = meshctl(&["status", "--admin", &url, "-o", "json"]).await;
        if after.status.success() {
            assert_eq!(json(&after)["status"]["ready"], Value::Bool(true));
            assert_eq!(json(&after)["admin"], Value::String(admin));
            return;
        }
    }
    panic!("never ready");
}

#[tokio::test]
async fn clients_are_a_table_with_reasons() {
    let fixture = Fixture::with(&["cds a=1", "lds l=1"]).await;
    let admin = fixture.running.admin_address().to_string();
    let none = meshctl(&["clients", "--admin", &admin]).await;
    assert_eq!(stdout(&none), "no client is connected\n");
    let mut client = Client::connect(&fixture).await;
    client.ask(Listener, &["l", "gone"], "");
    let listener = client.expect("lds l=1").await;
    client.answer(&listener, &["l", "gone"], None);
    client.ask(Cluster, &["a"], "");
    let cluster = client.expect("cds a=1").await;
    client.answer(&cluster, &["a"], Some("cluster a: too round"));
    fixture.clients_once(|clients| clients[0].state == SyncState::Nacked).await;

    let load = meshctl(&["load", "--admin", &admin]).await;
    assert_eq!(stdout(&load), "no load reported by 0 reporters\n");
    let one = meshctl(&["load", "--admin", &admin, "--cluster", "outbound|80||a b&c", "-o", "json"]).await;
    assert_eq!(json(&one)["clusters"], Value::Array(vec![]));

    let table = meshctl(&["clients", "--admin", &admin]).await;
    let lines: Vec<_> = stdout(&table).lines().collect();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns(lines[0]), ["NODE", "PEER", "AGENT", "UP", "LDS", "RDS", "CDS", "EDS", "LEDS"]);
    assert!(lines[1].starts_with("node-1  127.0.0.1:"), "{}", lines[1]);
    assert_eq!(columns(lines[1])[6..], ["MISSING", "-", "NACKED", "-", "-"]);
    assert_eq!(lines[0].find("LDS"), lines[1].find("MISSING"), "columns align");
    assert!(
        lines[3..].iter().any(|line| line.starts_with("node-1: refused cds ") && line.ends_with("too round"))
    );
    assert!(lines[3..].contains(&"node-1: lds asked for, not in the configuration: gone"), "{lines:?}");
    assert!(!stdout(&table).contains('\u{1b}'), "no colour in a pipe");

    let listed = json(&meshctl(&["clients", "--admin", &admin, "-o", "json"]).await);
    assert_eq!(listed["clients"][0]["node_id"], "node-1");
    assert_eq!(listed["clients"][0]["state"], "NACKED");
}

#[tokio::test]
async fn resources_are_a_table_by_type_and_name() {
    let fixture = Fixture::with(&["cds a=1", "cds b=1", "lds l=1"]).await;
    let admin = fixture.running.admin_address().to_string();
    let all = meshctl(&["resources", "--admin", &admin]).await;
    let words: Vec<Vec<&str>> =
        stdout(&all).lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(words[0], ["TYPE", "NAME", "CLIENTS", "BYTES"]);
    let rows: Vec<&[&str]> = words[1..].iter().map(Vec::as_slice).collect();
    assert_eq!(
        rows,
        [["cds", "a", "all", "others"], ["cds", "b", "all", "others"], ["lds", "l", "all", "others"]]
    );
    let one = meshctl(&["resources", "--admin", &admin, "--type", "cds", "--name", "b", "-o", "json"]).await;
    assert_eq!(json(&one)["resources"].as_array().unwrap().len(), 1);
    let none = meshctl(&["resources", "--admin", &admin, "--name", "c"]).await;
    assert_eq!(stdout(&none), "no such resource is served\n");
}

#[tokio::test]
async fn unreachable_server_is_explained() {
    let free = reserved_address().to_string();
    for command in ["status", "clients", "load"] {
        let output = meshctl(&[command, "--admin", &free]).await;
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        for part in [free.as_str(), "refused", "--admin", "MESHCTL_ADMIN"] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
    let no_address = meshctl(&["status", "--admin", "somewhere"]).await;
    assert!(stderr(&no_address).contains("expected host:port"));
}

#[tokio::test]
async fn xds_port_is_distinguished_from_admin_port() {
    let fixture = Fixture::with(&[]).await;
    let output = meshctl(&["status", "--admin", &fixture.running.xds_address().to_string()]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
}

#[tokio::test]
async fn bootstrap_is_json_and_the_hint_is_beside_it() {
    for (language, hint) in [
        ("rust", "mesh-tonic"),
        ("go", "google.golang.org/grpc/xds"),
        ("java", "grpc-xds"),
        ("python", "pip install grpcio"),
        ("node", "@grpc/grpc-js-xds"),
        ("cpp", "grpc++"),
    ] {
        let output = meshctl(&["bootstrap", "--lang", language, "--xds", "10.0.0.1:15010"]).await;
        assert!(output.status.success());
        let bootstrap = json(&output);
        assert_eq!(bootstrap["xds_servers"][0]["server_uri"], "10.0.0.1:15010");
        assert_eq!(bootstrap["xds_servers"][0]["channel_creds"][0]["type"], "insecure");
        assert_eq!(bootstrap["xds_servers"][0]["server_features"][0], "xds_v3");
        assert!(
            stderr(&output).contains(hint) && stderr(&output).contains("GRPC_XDS_BOOTSTRAP"),
            "{language}"
        );
    }
    let arguments = ["--node-id", "me", "--namespace", "shop", "--locality", "eu/a/1"];
    let output = meshctl(&[&["bootstrap", "--lang", "go"], &arguments[..]].concat()).await;
    let node = &json(&output)["node"];
    assert_eq!((&node["id"], &node["cluster"]), (&"me".into(), &"shop".into()));
    assert_eq!(node["locality"]["sub_zone"], "1");
    let output = meshctl(&["bootstrap", "--lang", "go", "--namespace", "shop"]).await;
    let id = json(&output)["node"]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("sidecar~127.0.0.1~") && id.ends_with(".shop~shop.svc.cluster.local"), "{id}");
}

#[tokio::test]
async fn bootstrap_takes_several_servers_and_refuses_what_is_no_address() {
    let output = meshctl(&["bootstrap", "--lang", "rust", "--xds", "a.example:15010,b.example:15010"]).await;
    let servers = &json(&output)["xds_servers"];
    let uris: Vec<_> = servers.as_array().unwrap().iter().map(|server| &server["server_uri"]).collect();
    assert_eq!(uris, ["a.example:15010", "b.example:15010"]);
    for (address, reason) in [
        ("localhost", "the port is missing"),
        ("http://x:1", "not a URL"),
        ("a.example:15010,", "the port is missing"),
        ("a.example:15010,b.example", "the port is missing"),
    ] {
        let output = meshctl(&["bootstrap", "--lang", "go", "--xds", address]).await;
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{address}");
        assert!(stderr(&output).contains(reason), "{address}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn mistaken_flags_are_usage_errors() {
    for arguments in [&["bootstrap"][..], &["bootstrap", "--lang", "cobol"], &["frobnicate"], &[]] {
        let output = meshctl(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let help = meshctl(&["--help"]).await;
    assert!(help.status.success() && stdout(&help).contains("bootstrap"));
}

const SERVICE: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter, namespace: shop}
spec:
  hosts: [greeter.shop]
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC}]
  endpoints: [{address: 10.0.0.1}]
";

#[tokio::test]
async fn validate_prints_lines_as_compilers_do() {
    let folder = tempfile::TempDir::new().unwrap();
    let (good, bad) = (folder.path().join("good.yaml"), folder.path().join("bad.yaml"));
    std::fs::write(&good, SERVICE).unwrap();
    std::fs::write(&bad, SERVICE.replace("greeter", "other").replace("number: 80", "number: eighty"))
        .unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();

    let output = meshctl(&["validate", "-f", &path(&good)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!((stdout(&output), stderr(&output)), ("", "0 errors, 0 warnings; 1 object in 1 file\n"));

    let output = meshctl(&["validate", "-f", &path(&bad), &path(&good)]).await;
    assert_eq!(output.status.code(), Some(1));
    let line = stdout(&output).lines().next().unwrap();
    assert!(line.starts_with(&format!("{}:7:", path(&bad))), "{line}");
    assert!(line.contains(": error: ") && line.contains("spec.ports[0].number"), "{line}");

    let output = meshctl(&["validate", "-f", &path(folder.path()), "-o", "json"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)[0]["severity"], "error");
}

#[tokio::test]
async fn validate_counts_other_kinds_and_refuses_them_if_strict() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let deployment =
        |name: &str| format!("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n");
    write("shop.yaml", &(SERVICE.to_owned() + &deployment("a") + &deployment("b")));
    write("values.yaml", "replicas: 3\n");
    write("Chart.yaml", "apiVersion: v2\nname: shop\n");
    let path = folder.path().to_str().unwrap().to_owned();

    let output = meshctl(&["validate", "-f", &path]).await;
    assert_eq!(output.status.code(), Some(0));
    let expected = "0 errors, 0 warnings; 1 object in 3 files\n\
                    passed over 4 documents of other kinds: Deployment of apps/v1 (2), a document of v2 without kind (1), a \
                    document without kind and apiVersion (1)\n";
    assert_eq!((stdout(&output), stderr(&output)), ("", expected));

    let output = meshctl(&["validate", "--strict", "-f", &path]).await;
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        "Chart.yaml:1:1: error: a document of v2 without kind is none of the kinds that the control server knows",
        "shop.yaml:10:1: error: Deployment of apps/v1 is none of the kinds that the control server knows",
        "shop.yaml:14:1: error: Deployment of apps/v1 is none of the kinds that the control server knows",
        "values.yaml:1:1: error: a document without kind and apiVersion is none of the kinds that the control server knows",
    ];
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected);
    assert_eq!(stderr(&output), "4 errors, 0 warnings; 1 object in 3 files\n");
}

#[tokio::test]
async fn validate_reads_standard_input() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(["validate", "-f", "-"]).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"kind: [\n").await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("<stdin>:1:7: error: "), "{}", stdout(&output));
}

#[tokio::test]
async fn schema_prints_one_kind_or_all() {
    let one = meshctl(&["schema", "grpcroute"]).await;
    assert_eq!(json(&one)["title"], "GRPCRoute");
    let all = meshctl(&["schema"]).await;
    assert_eq!(json(&all)["VirtualService"]["properties"]["kind"]["const"], "VirtualService");
    let unknown = meshctl(&["schema", "VirtualServise"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("did you mean `VirtualService`?"), "{}", stderr(&unknown));
}
