//! The calls that ought not to notice anything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use examples::greeter::Payload;
use examples::greeter::echo_client::EchoClient;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::peers::Service;

/// How calls went.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Of the calls that succeeded, in ascending order.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) failed: u32,
    /// What the failures said, and how often.
    pub(crate) reasons: BTreeMap<String, u32>,
}

impl Sample {
    pub(crate) fn calls(&self) -> usize {
        self.latencies.len() + self.failed as usize
    }

    pub(crate) fn quantile(&self, per_mille: usize) -> Option<Duration> {
        self.latencies.get(self.latencies.len().saturating_sub(1) * per_mille / 1_000).copied()
    }

    fn add(&mut self, outcome: Result<Duration, String>) {
        match outcome {
            Ok(latency) => self.latencies.push(latency),
            Err(reason) => {
                self.failed += 1;
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }
}

/// Makes a call every millisecond for this long, whether or not those before have ended.
pub(crate) async fn run<S: Service>(client: &EchoClient<S>, time: Duration) -> Result<Sample> {
    let mut ticks = tokio::time::interval(PERIOD);
    // What was missed is made up for: the number of calls does not depend on how they go.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    let mut sample = Sample::default();
    for _ in 0..time.as_micros() / PERIOD.as_micros() {
        ticks.tick().await;
        calls.spawn(call(client.clone()));
        while let Some(ended) = calls.try_join_next() {
            sample.add(ended?);
        }
    }
    while let Some(ended) = calls.join_next().await {
        sample.add(ended?);
    }
    sample.latencies.sort_unstable();
    Ok(sample)
}

async fn call<S: Service>(mut client: EchoClient<S>) -> Result<Duration, String> {
    let start = Instant::now();
    let call = client.unary(Payload { body: vec![7; PAYLOAD] });
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(_)) => Ok(start.elapsed()),
        Ok(Err(status)) => Err(format!("{:?}: {}", status.code(), status.message())),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

/// 1,000 calls per second.
const PERIOD: Duration = Duration::from_millis(1);
const PAYLOAD: usize = 32;

/// A call that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
