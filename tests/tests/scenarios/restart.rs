//! A control-server that comes back without its source, or with an older one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use control_server::admin::ClientList;
use control_server::discovery::SyncState;
use tests::ads::ENDPOINTS;
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::{ControlServer, Scenario, within};
use xds_client::Options;
use xds_client::protocol::{BackoffSettings, ResourceState};

use crate::stage::{Stage, assert_all_acked, until_version};

/// A client that is back within a second.
fn prompt() -> Options {
    let backoff = BackoffSettings::new(Duration::from_secs(1), Duration::from_millis(800));
    Options::default().with_backoff(backoff)
}

/// Scenario 12: the folder is gone when the control-server starts.
#[tokio::test(flavor = "multi_thread")]
async fn restart_without_folder_serves_nothing_and_fails_no_call() {
    let scenario = Scenario::begin("12 source is gone").await;
    let mut stage = Stage::start().await;
    let client = MeshClient::with(&stage.control.bootstrap("n1"), prompt());
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let load = Paced::start(&client.channel, scenario.pick(100, 1000));
    stage.control.kill().await;
    let (folder, away) = (stage.control.config.path(), stage.control.config.beside("away"));
    fs::rename(&folder, &away).unwrap();
    let text = stage.control.fail_to_restart().await;
    assert!(text.contains(&*folder.to_string_lossy()), "{text}");
    load.during(scenario.pick(Duration::from_secs(1), Duration::from_secs(60))).await.assert_no_failures();
    assert_all_acked(&client);
    fs::rename(&away, &folder).unwrap();
    stage.control.restart().await;
    stage.route_to("v2");
    until_version(&client, "v2", Duration::from_secs(5)).await;
    load.stop().await.assert_no_failures();
}

/// Scenario 12: the folder is there, and a part of it cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn restart_with_unreadable_folder_removes_no_endpoint() {
    let scenario = Scenario::begin("12 source is unreadable").await;
    let mut stage = Stage::start().await;
    let config = &stage.control.config;
    let part = config.path().join("part");
    for file in ["service.yaml", "route.yaml"] {
        let text = fs::read_to_string(config.path().join(file)).unwrap();
        config.write(&format!("part/{file}"), &text);
        config.remove(file);
    }
    let client = MeshClient::with(&stage.control.bootstrap("n1"), prompt());
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let kept = stage.control.config.beside("data/last-good/part/service.yaml");
    within(Duration::from_secs(10), "the last good text is kept", async || {
        if kept.exists() { Ok(()) } else { Err(format!("no {}", kept.display())) }
    })
    .await;
    let load = Paced::start(&client.channel, scenario.pick(100, 1000));
    stage.control.kill().await;
    let away = stage.control.config.beside("away");
    fs::rename(&part, &away).unwrap();
    // Not even root can read a link that leads to itself.
    symlink(&part, &part).unwrap();
    stage.control.restart().await;
    until_synced(&stage.control, 1, Duration::from_secs(10)).await;
    load.during(scenario.pick(Duration::from_secs(2), Duration::from_secs(60))).await.assert_no_failures();
    assert_all_acked(&client);
    let fresh = MeshClient::with(&stage.control.bootstrap("n2"), prompt());
    until_version(&fresh, "v1", Duration::from_secs(5)).await;
    load.stop().await.assert_no_failures();
}

/// Scenario 13.
#[tokio::test(flavor = "multi_thread")]
async fn restart_from_nothing_or_from_an_older_copy_is_accepted_again() {
    let scenario = Scenario::begin("13 restored").await;
    let clients = scenario.pick(3, 100);
    let mut stage = Stage::start().await;
    let all: Vec<_> = (0..clients)
        .map(|number| MeshClient::with(&stage.control.bootstrap(&format!("n{number}")), prompt()))
        .collect();
    for client in &all {
        until_version(client, "v1", Duration::from_secs(10)).await;
    }
    let load = Paced::start(&all[0].channel, scenario.pick(100, 1000));
    let (config, data) = (stage.control.config.path(), stage.control.config.beside("data"));
    let [old_config, old_data] = ["old-config", "old-data"].map(|name| stage.control.config.beside(name));
    copy(&config, &old_config);
    copy(&data, &old_data);
    stage.route_to("v2");
    until_version(&all[0], "v2", Duration::from_secs(5)).await;

    // Without anything that it had written.
    stage.control.kill().await;
    fs::remove_dir_all(&data).unwrap();
    stage.control.restart().await;
    let anew = all_accept(&stage.control, &all, "v2").await;

    // From a copy of before.
    stage.control.kill().await;
    for (folder, old) in [(&config, &old_config), (&data, &old_data)] {
        fs::remove_dir_all(folder).unwrap();
        copy(old, folder);
    }
    stage.control.restart().await;
    let restored = all_accept(&stage.control, &all, "v1").await;
    load.stop().await.assert_no_failures();
    scenario.figure("all accepted, data folder deleted", format_args!("{anew:.2?}"));
    scenario.figure("all accepted, older copy", format_args!("{restored:.2?}"));
}

/// Every client has accepted everything from the server that runs now, has endpoints, and uses this version.
async fn all_accept(control: &ControlServer, clients: &[MeshClient], version: &str) -> Duration {
    let began = Instant::now();
    let bound = Duration::from_secs(5);
    until_synced(control, clients.len(), bound).await;
    for client in clients {
        until_version(client, version, bound.saturating_sub(began.elapsed())).await;
        assert_all_acked(client);
        let resources = client.xds.status().resources;
        let endpoints = resources.iter().filter(|resource| resource.type_url == ENDPOINTS);
        assert!(endpoints.into_iter().all(|of| of.state == ResourceState::Acked), "{resources:?}");
    }
    began.elapsed()
}

async fn until_synced(control: &ControlServer, clients: usize, bound: Duration) {
    let probe = async || {
        let list: ClientList = control.admin("/v1/clients").await;
        let synced = list.clients.iter().filter(|client| {
            // Four types: a client that has just connected has not subscribed to all of them.
            client.state == SyncState::Synced && client.types.len() == 4
        });
        if synced.count() == clients { Ok(()) } else { Err(format!("{list:?}")) }
    };
    within(bound, "all clients have accepted everything", probe).await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
