//! The story, chapter by chapter.

use std::time::Duration;

use anyhow::{Result, bail};
use examples::greeter::HelloRequest;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Code;

use super::load::Tally;
use super::stage::Stage;

/// How long a split is watched.
const WATCH: Duration = Duration::from_secs(5);
/// How long something may take until it shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells all chapters.
pub(crate) async fn tell(stage: &mut Stage) -> Result<()> {
    split_90_10(stage).await?;
    split_50_50(stage).await?;
    endpoint_dies(stage).await?;
    control_server_dies(stage).await?;
    broken_yaml(stage).await?;
    strangers_are_refused(stage).await
}

async fn split_90_10(stage: &mut Stage) -> Result<()> {
    stage.screen.say("v1 gets 90 of 100 calls, v2 gets 10: weights in a VirtualService");
    stage.await_split(90, PATIENCE).await?;
    watch(stage, "90/10", 90).await
}

async fn split_50_50(stage: &mut Stage) -> Result<()> {
    stage.screen.say("someone edits the YAML: 50/50");
    stage.edit_split(50)?;
    stage.await_split(50, PATIENCE).await?;
    watch(stage, "50/50", 50).await
}

async fn endpoint_dies(stage: &mut Stage) -> Result<()> {
    let victim = stage.endpoints[0].name.clone();
    stage.screen.say(&format!("endpoint {victim} is killed with -9, calls in flight and all"));
    stage.settle();
    let mut tally = Tally::default();
    stage.endpoints[0].kill().await?;
    run(stage, WATCH / 2, &mut tally).await;
    stage.screen.say(&format!("endpoint {victim} comes back, at the same address"));
    stage.restart_endpoint(0).await?;
    let back = Instant::now() + PATIENCE;
    let mut calls = 0;
    while calls == 0 {
        if Instant::now() > back {
            bail!("endpoint {victim} came back and got no call for {PATIENCE:?}");
        }
        calls = run(stage, Duration::from_secs(1), &mut tally)
            .await
            .by_endpoint
            .get(&victim)
            .copied()
            .unwrap_or(0);
    }
    stage.screen.say(&format!("endpoint {victim} takes calls again"));
    run(stage, Duration::from_secs(2), &mut tally).await;
    stage.finish("endpoint killed", 50, tally);
    Ok(())
}

async fn control_server_dies(stage: &mut Stage) -> Result<()> {
    stage.screen.say("the control-server is killed with -9; no call fails");
    stage.settle();
    stage.control.kill().await?;
    watch(stage, "control-server killed", 50).await?;
    stage.screen.say("while it is away, the YAML becomes 20/80; then it starts again");
    stage.edit_split(20)?;
    stage.restart_control().await?;
    stage.await_split(20, PATIENCE).await?;
    watch(stage, "control-server back, 20/80", 20).await
}

async fn broken_yaml(stage: &mut Stage) -> Result<()> {
    stage.screen.say("someone breaks the YAML; the control-server refuses it:");
    stage.break_yaml()?;
    let until = Instant::now() + PATIENCE;
    let complaint = loop {
        if let Some(complaint) = stage.complaint().await? {
            break complaint;
        }
        if Instant::now() > until {
            bail!("the control-server says nothing about the broken YAML");
        }
        sleep(Duration::from_millis(50)).await;
    };
    stage.screen.say(&format!("  {complaint}"));
    watch(stage, "broken YAML", 20).await?;
    stage.screen.say("nothing changed; the YAML is mended");
    stage.edit_split(20)?;
    Ok(())
}

async fn strangers_are_refused(stage: &mut Stage) -> Result<()> {
    stage.screen.say(
        "one object makes mutual TLS a must for the whole mesh, another lets only the account `front` call",
    );
    stage.settle();
    stage.secure()?;
    let mut tally = Tally::default();
    let refused = until_refused(stage, &mut tally).await?;
    stage.screen.say(&format!("  the account `stranger`: {refused}"));
    match stage.call_in_plaintext().await? {
        Some(status) => stage.screen.say(&format!("  plaintext: {:?}: {}", status.code(), status.message())),
        None => bail!("a call in plaintext is answered although mutual TLS is a must"),
    }
    run(stage, WATCH / 2, &mut tally).await;
    stage.finish("mutual TLS a must, strangers refused", 20, tally);
    Ok(())
}

/// Lets calls run until the policy holds at every endpoint that a stranger may meet.
async fn until_refused(stage: &mut Stage, tally: &mut Tally) -> Result<String> {
    let mut stranger = stage.stranger()?;
    let until = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    loop {
        match stranger.say_hello(HelloRequest::default()).await {
            Err(status) if status.code() == Code::PermissionDenied => in_a_row += 1,
            _ => {
                in_a_row = 0;
                run(stage, Duration::from_millis(100), tally).await;
            }
        }
        // calls go round
        if in_a_row == 2 * stage.endpoints.len() {
            return Ok("PERMISSION_DENIED by every endpoint".to_owned());
        }
        if Instant::now() > until {
            bail!("a stranger is not refused {PATIENCE:?} after the policy was written");
        }
    }
}

/// Counts the calls of a while as one chapter.
async fn watch(stage: &mut Stage, name: &'static str, v1_percent: u32) -> Result<()> {
    stage.settle();
    let mut tally = Tally::default();
    run(stage, WATCH, &mut tally).await;
    stage.finish(name, v1_percent, tally);
    Ok(())
}

/// Lets calls run for a while, second by second; gives the calls of this while alone.
async fn run(stage: &mut Stage, time: Duration, tally: &mut Tally) -> Tally {
    let end = Instant::now() + time;
    let mut all = Tally::default();
    while Instant::now() < end {
        sleep_until(end.min(Instant::now() + Duration::from_secs(1))).await;
        let mut second = stage.load.take();
        stage.screen.show(&stage.endpoints, &mut second);
        all.add(second);
    }
    tally.add(all.clone());
    all
}
