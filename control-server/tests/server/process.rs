//! The program `control-server`, as a process: flags, files, signals, exit codes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use control_server::resources::ResourceKind::{Cluster, Endpoints, Listener};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::Client;
use crate::support::certificates::{Authority, Files};

/// What the ready file says.
#[derive(Deserialize)]
struct Ready {
    xds: SocketAddr,
    xds_tls: Option<SocketAddr>,
    admin: SocketAddr,
    pid: i32,
}

/// A server with an empty configuration folder.
struct Process {
    child: Child,
    ready: Ready,
    folder: TempDir,
}

impl Process {
    async fn start(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("config")).unwrap();
        Self::start_in(folder, arguments).await
    }

    async fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        let child = command(folder.path()).arg("serve").args(FREE_PORTS).args(arguments).spawn().unwrap();
        let ready = wait_for(|| {
            let text = std::fs::read_to_string(ready_file(folder.path())).ok()?;
            Some(serde_json::from_str(&text).unwrap())
        });
        Self { child, ready: ready.await, folder }
    }

    /// Asks the admin API.
    async fn ask(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.ready.admin).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// The configuration, once it has been read and is as wanted.
    async fn config_once(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        for _ in 0..2000 {
            let config = self.ask("/v1/config").await;
            if config["synced"] == true && wanted(&config) {
                return config;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still {}", self.ask("/v1/config").await);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.ready.pid), signal).unwrap();
    }

    async fn end(self) -> (Output, TempDir) {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait_with_output());
        (ended.await.expect("no end in 20 s").unwrap(), self.folder)
    }
}

const FREE_PORTS: [&str; 6] =
    ["--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ready-file", "ready.json"];

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-server"));
    command.current_dir(folder).env("NO_COLOR", "1").kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ready_file(folder: &Path) -> PathBuf {
    folder.join("ready.json")
}

async fn wait_for<T>(condition: impl Fn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = condition() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in 20 s");
}

async fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(folder).args(arguments).output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn both_signals_drain_and_leave_nothing_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let process = Process::start(&[]).await;
        let mut client = Client::connect_to(process.ready.xds).await;
        client.ask(Listener, &["*"], "");
        client.expect("lds").await;
        process.signal(signal);
        assert_eq!(client.message().await.unwrap_err().code(), tonic::Code::Unavailable);
        let admin = process.ready.admin;
        let (output, folder) = process.end().await;
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert!(log.contains("listening") && log.contains("drained"), "{log}");
        assert!(output.stdout.is_empty());
        assert!(TcpStream::connect(admin).await.is_err());
        let left: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["config"]);
    }
}

#[tokio::test]
async fn second_signal_ends_at_once() {
    let process = Process::start(&["--drain-timeout", "1h"]).await;
    let mut clients = Vec::new();
    // Hundred streams a second may leave.
    for _ in 0..300 {
        clients.push(Client::connect_to(process.ready.xds).await);
    }
    process.signal(Signal::SIGTERM);
    process.signal(Signal::SIGINT);
    let (output, _) = process.end().await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("ended before every client had left"), "{log}");
}

#[tokio::test]
async fn log_can_be_json() {
    let process = Process::start(&["--log-format", "json", "--log", "debug"]).await;
    process.signal(Signal::SIGTERM);
    let (output, _) = process.end().await;
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "listening"), "{log}");
}

/// O10 of the first hour, and X8 of hostile input.
#[tokio::test]
async fn log_names_what_has_changed_and_forges_no_line() {
    let process = Process::start(&[]).await;
    process.config_once(|config| config["revision"] == 1).await;
    let config = process.folder.path().join("config");
    std::fs::write(config.join("a.yaml"), WEB).unwrap();
    std::fs::write(config.join("b\n2030-01-01 ERROR forged.yaml"), "kind: [").unwrap();
    process
        .config_once(|config| {
            !config["objects"].as_array().unwrap().is_empty()
                && config["diagnostics"] != serde_json::json!([])
        })
        .await;
    process.signal(Signal::SIGTERM);
    let (output, _) = process.end().await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains(r#"added="ServiceEntry shop/web (a.yaml:1)""#), "{log}");
    assert!(log.contains("forged.yaml") && !log.lines().any(|line| line.starts_with("2030")), "{log}");
}

const WEB: &str = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec: {hosts: [web.shop], resolution: STATIC, ports: [{number: 80, name: grpc, protocol: GRPC}]}
";

#[tokio::test]
async fn missing_folder_is_explained_and_not_made() {
    let folder = TempDir::new().unwrap();
    let (code, text) = run(folder.path(), &["serve"]).await;
    assert_eq!(code, Some(1));
    for part in ["folder config does not exist", "--config-dir", "CONTROL_SERVER_CONFIG_DIR"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!folder.path().join("config").exists());
}

#[tokio::test]
async fn taken_address_is_named_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--xds", "--admin"), ("--admin", "--xds")] {
        let folder = TempDir::new().unwrap();
        let arguments = [
            "serve",
            "--config-dir",
            ".",
            flag,
            &address,
            other,
            "127.0.0.1:0",
            "--ready-file",
            "ready.json",
        ];
        let (code, text) = run(folder.path(), &arguments).await;
        assert_eq!(code, Some(1));
        assert!(text.contains(&address) && text.contains(flag) && text.contains("in use"), "{text}");
        assert!(!ready_file(folder.path()).exists());
    }
}

#[tokio::test]
async fn mistaken_flags_are_usage_errors() {
    let folder = TempDir::new().unwrap();
    for arguments in
        [&["serve", "--drain-timeout", "10"][..], &["serve", "--xds", "nowhere"], &["dance"], &[]]
    {
        assert_eq!(run(folder.path(), arguments).await.0, Some(2), "{arguments:?}");
    }
}

/// A service with one endpoint.
fn greeter(address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: greeter, namespace: shop}}\n\
         spec:\n  hosts: [greeter.shop]\n  resolution: STATIC\n  \
         ports: [{{number: 80, name: grpc, protocol: GRPC}}]\n  endpoints: [{{address: {address}}}]\n"
    )
}

#[tokio::test]
async fn folder_is_served_and_followed() {
    let process = Process::start(&[]).await;
    let file = process.folder.path().join("config").join("greeter.yaml");
    let write = |address: &str| std::fs::write(&file, greeter(address)).unwrap();
    let mut client = Client::connect_to(process.ready.xds).await;
    client.ask(Listener, &["greeter.shop:80"], "");
    client.ask(Endpoints, &["outbound|80||greeter.shop"], "");
    write("10.0.0.1");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let response = client.message().await.unwrap().unwrap();
        // First it may be told that there is nothing yet.
        if !response.resources.is_empty() {
            seen.push(response.type_url.clone());
        }
        let names = if response.type_url == Listener.type_url() {
            "greeter.shop:80"
        } else {
            "outbound|80||greeter.shop"
        };
        client.answer(&response, &[names], None);
    }
    assert_eq!(seen, [Endpoints.type_url(), Listener.type_url()]);
    write("10.0.0.2");
    let response = client.message().await.unwrap().unwrap();
    assert_eq!(response.type_url, Endpoints.type_url());
    assert!(String::from_utf8_lossy(&response.resources[0].value).contains("10.0.0.2"));
    process.signal(Signal::SIGTERM);
    let (output, _) = process.end().await;
    assert_eq!(output.status.code(), Some(0));
}

/// Case E3: the object that a refused resource comes from shows what the client says.
#[tokio::test]
async fn refusal_of_a_client_is_shown_on_the_object_that_caused_it() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).unwrap();
    let rule = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: rule, namespace: shop}\n\
                spec: {host: greeter.shop, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}\n";
    std::fs::write(config.join("greeter.yaml"), greeter("10.0.0.1") + rule).unwrap();
    let process = Process::start_in(folder, &[]).await;
    let mut client = Client::connect_to(process.ready.xds).await;
    client.ask(Cluster, &["outbound|80||greeter.shop"], "");
    let response = client.message().await.unwrap().unwrap();
    client.answer(
        &response,
        &["outbound|80||greeter.shop"],
        Some("outbound|80||greeter.shop: too new a policy"),
    );
    let objects = loop {
        let objects = process.ask("/v1/objects").await["objects"].clone();
        if objects[0].get("refused_by").is_some() {
            break objects;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let names = ["DestinationRule shop/rule", "ServiceEntry shop/greeter"];
    for (object, name) in objects.as_array().unwrap().iter().zip(names) {
        assert_eq!(object["object"], name);
        let programmed = &object["conditions"][2];
        assert_eq!((&programmed["type"], &programmed["status"]), (&"Programmed".into(), &"False".into()));
        let text =
            "node-1 refuses cds outbound|80||greeter.shop: outbound|80||greeter.shop: too new a policy";
        assert_eq!(programmed["message"], text);
    }
    let admin = process.ready.admin.to_string();
    let mut meshctl = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    let output = meshctl.args(["status", "--strict", "--admin", &admin]).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(": DestinationRule shop/rule: node-1 refuses cds"), "{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
    process.signal(Signal::SIGTERM);
    process.end().await;
}

/// The version of the greeter's endpoints, once they are served.
async fn endpoints_version(process: &Process) -> serde_json::Value {
    for _ in 0..2000 {
        let listed = process.ask("/v1/resources?type=eds&name=outbound|80||greeter.shop").await;
        if let Some(resource) = listed["resources"].get(0) {
            return resource["version"].clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never served");
}

/// Kills a server, and returns what it has left.
async fn kill_9(process: Process) -> TempDir {
    process.signal(Signal::SIGKILL);
    let (_, folder) = process.end().await;
    std::fs::remove_file(ready_file(folder.path())).unwrap();
    folder
}

#[tokio::test]
async fn last_good_objects_survive_kill_9_with_a_data_folder() {
    let arguments = ["--data-dir=kept/data"];
    let process = Process::start(&arguments).await;
    let file = process.folder.path().join("config/greeter.yaml");
    std::fs::write(&file, greeter("10.0.0.1")).unwrap();
    process
        .config_once(|config| config["objects"].as_array().is_some_and(|objects| objects.len() == 1))
        .await;
    let copy = process.folder.path().join("kept/data/last-good/greeter.yaml");
    wait_for(|| copy.exists().then_some(())).await;
    let good = endpoints_version(&process).await;

    let folder = kill_9(process).await;
    std::fs::write(&file, "kind: [").unwrap();
    let process = Process::start_in(folder, &arguments).await;
    let config = process.config_once(|_| true).await;
    assert_eq!(config["objects"][0]["name"], "greeter");
    assert_eq!(config["objects"][0]["stale"], true);
    assert_eq!(config["diagnostics"][0]["file"], "greeter.yaml");
    assert_eq!(config["diagnostics"][0]["severity"], "error");
    assert_eq!(endpoints_version(&process).await, good);

    let folder = kill_9(process).await;
    let process = Process::start_in(folder, &[]).await;
    let config = process.config_once(|_| true).await;
    assert_eq!(config["objects"], serde_json::json!([]), "without the flag it was all in memory");
}

#[tokio::test]
async fn data_folder_of_another_server_is_refused() {
    let process = Process::start(&["--data-dir", "data"]).await;
    let arguments = [&["serve"][..], &FREE_PORTS[..4], &["--data-dir=data"]].concat();
    let (code, text) = run(process.folder.path(), &arguments).await;
    assert_eq!(code, Some(1));
    for part in
        ["data folder data;", "--data-dir", "CONTROL_SERVER_DATA_DIR", "another control-server uses it"]
    {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[tokio::test]
async fn data_folder_that_cannot_be_made_is_named_with_its_flag() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let arguments = [&["serve"][..], &FREE_PORTS, &["--data-dir", "file/data"]].concat();
    let (code, text) = run(folder.path(), &arguments).await;
    assert_eq!(code, Some(1));
    for part in ["data folder file/data;", "--data-dir", "CONTROL_SERVER_DATA_DIR"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!ready_file(folder.path()).exists());
}

#[tokio::test]
async fn tls_is_served_beside_plaintext() {
    let authority = Authority::new("ours");
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let files = Files::new(&authority);
    let (certificate, key) = (files.path("cert"), files.path("key"));
    let arguments = ["--xds-tls", "127.0.0.1:0", "--tls-cert", certificate.to_str().unwrap()];
    let arguments = [&arguments[..], &["--tls-key", key.to_str().unwrap()]].concat();
    let process = Process::start_in(folder, &arguments).await;
    let address = process.ready.xds_tls.unwrap();
    for mut client in [
        Client::connect_tls(address, authority.client(None)).await.unwrap(),
        Client::connect_to(process.ready.xds).await,
    ] {
        client.ask(Listener, &["*"], "");
        client.expect("lds").await;
    }
    process.signal(Signal::SIGTERM);
    assert_eq!(process.end().await.0.status.code(), Some(0));
}

#[tokio::test]
async fn missing_tls_file_is_named_with_its_flag() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let files = Files::new(&Authority::new("ours"));
    let key = files.path("key");
    let arguments =
        ["--xds-tls", "127.0.0.1:0", "--tls-cert", "nowhere.pem", "--tls-key", key.to_str().unwrap()];
    let (code, text) = run(folder.path(), &[&["serve"][..], &FREE_PORTS, &arguments].concat()).await;
    assert_eq!(code, Some(1));
    for part in ["cannot read the certificate nowhere.pem", "--tls-cert", "No such file"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!ready_file(folder.path()).exists());
}

#[tokio::test]
async fn plaintext_to_other_machines_is_warned_of() {
    let process = Process::start(&[]).await;
    let (output, folder) = stop(process).await;
    assert!(!log(&output).contains("plaintext"), "{}", log(&output));
    // Bound to every address of this machine; no client connects.
    let arguments = [&["serve"][..], &FREE_PORTS[2..], &["--xds", "0.0.0.0:0"]].concat();
    let child = command(folder.path()).args(arguments).spawn().unwrap();
    let ready = wait_for(|| {
        let text = std::fs::read_to_string(ready_file(folder.path())).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    });
    let (output, _) = stop(Process { child, ready: ready.await, folder }).await;
    assert!(log(&output).contains("xDS is served in plaintext to other machines"), "{}", log(&output));
}

async fn stop(process: Process) -> (Output, TempDir) {
    process.signal(Signal::SIGTERM);
    process.end().await
}

fn log(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
