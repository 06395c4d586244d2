//! Scenario 31: the control-server's name cannot be resolved.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tests::client_process::{Answer, ClientProcess, Settings};
use tests::dns::{NameServer, Says};
use tests::{Scenario, within};

use crate::stage::Stage;

const HERE: Says = Says::Address(Ipv4Addr::LOCALHOST);

async fn until_called(client: &mut ClientProcess, version: &str, bound: Duration) -> Duration {
    let what = format!("{version} answers");
    let probe = async || match client.call().await {
        Answer::Version(found) if found == version => Ok(()),
        other => Err(format!("{other:?}")),
    };
    within(bound, &what, probe).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn name_is_resolved_late_and_after_removal() {
    let scenario = Scenario::begin("31 names").await;
    let mut stage = Stage::start().await;
    let began = Instant::now();
    let config = &stage.control.config;
    let Some(names) =
        NameServer::start("name_is_resolved_late_and_after_removal", config, Says::NoSuchName).await
    else {
        return;
    };
    let mut bootstrap = stage.control.bootstrap("n1");
    let uri = format!("control.mesh.test:{}", stage.control.addresses.xds.port());
    bootstrap["xds_servers"][0]["server_uri"] = uri.as_str().into();
    // To be back within five seconds, the longest wait is shorter.
    let settings = Settings { bootstrap, max_backoff_ms: 3000 };
    let mut client = ClientProcess::start(&names.front(), &settings);

    // There is no such name at the start.
    match client.call().await {
        Answer::Failed(text) if text.contains(&uri) && text.contains("lookup") => {
            scenario.figure("text", text)
        }
        other => panic!("the text names the name: {other:?}"),
    }
    tokio::time::sleep(scenario.pick(Duration::from_secs(2), Duration::from_secs(60))).await;
    names.say(HERE);
    let booted = until_called(&mut client, "v1", Duration::from_secs(5)).await;

    // No server answers, and no test needs an answer.
    names.say(Says::Nothing);
    let asked = names.lookups().len();
    tokio::time::sleep(scenario.pick(Duration::from_secs(2), Duration::from_secs(300))).await;
    assert!(client.state().await.connected);
    stage.route_to("v2");
    let live = until_called(&mut client, "v2", Duration::from_secs(5)).await;
    assert_eq!(names.lookups().len(), asked, "a live stream needs no name");

    // There, and not, and there again, while the control-server comes back.
    stage.control.kill().await;
    stage.control.restart().await;
    stage.route_to("v1");
    let flaps = scenario.pick(10, 100);
    for flap in 0..flaps {
        names.say([Says::NoSuchName, HERE][flap % 2]);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    names.say(HERE);
    let flapped = until_called(&mut client, "v1", Duration::from_secs(5)).await;

    let (lookups, time) = (names.lookups().len(), began.elapsed());
    assert!(lookups as u64 <= time.as_secs() + 2, "{lookups} lookups in {time:?}");
    let output = client.process.output();
    let lines = output.lines().filter(|line| line.contains(" WARN ") && line.contains(&uri)).count();
    assert!(lines <= lookups, "{lines} lines of log for {lookups} lookups:\n{output}");
    scenario.figure("booted after the name", format_args!("{booted:.2?}"));
    scenario.figure("new configuration without names", format_args!("{live:.2?}"));
    scenario.figure("back after flapping", format_args!("{flapped:.2?}"));
    scenario.figure("lookups, lines of log", format_args!("{lookups}, {lines} in {time:.0?}"));
}
