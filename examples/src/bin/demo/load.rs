//! Calls at a steady rate, and their results.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_tonic::MeshChannel;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// How often a batch of calls is started.
const TICK: Duration = Duration::from_millis(5);

/// The results of the calls since the last [`Load::take`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The first failure's text.
    pub(crate) first_failure: Option<String>,
    pub(crate) by_version: BTreeMap<String, u64>,
    pub(crate) by_endpoint: BTreeMap<String, u64>,
    /// Microseconds, in no order.
    pub(crate) latencies: Vec<u32>,
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        for (version, calls) in other.by_version {
            *self.by_version.entry(version).or_default() += calls;
        }
        for (endpoint, calls) in other.by_endpoint {
            *self.by_endpoint.entry(endpoint).or_default() += calls;
        }
        self.latencies.extend(other.latencies);
    }

    /// The latency, in microseconds, that this share of the calls did not exceed.
    pub(crate) fn quantile(&mut self, share: f64) -> u32 {
        if self.latencies.is_empty() {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index below the length"
        )]
        let index = ((self.latencies.len() - 1) as f64 * share) as usize;
        *self.latencies.select_nth_unstable(index).1
    }
}

/// An open loop: calls start at their time, whether or not earlier ones have ended.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
}

impl Load {
    /// Starts `rate` calls a second.
    pub(crate) fn start(channel: MeshChannel, rate: u32) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let task = tokio::spawn(drive(channel, rate, Arc::clone(&tally)));
        Self { tally, task }
    }

    /// What ended since the last time.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(channel: MeshChannel, rate: u32, tally: Arc<Mutex<Tally>>) {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut started = 0;
    loop {
        ticks.tick().await;
        let due = start.elapsed().as_millis() as u64 * u64::from(rate) / 1000;
        for _ in started..due {
            tokio::spawn(call(channel.clone(), Arc::clone(&tally)));
        }
        started = due;
    }
}

async fn call(channel: MeshChannel, tally: Arc<Mutex<Tally>>) {
    let start = Instant::now();
    let reply = GreeterClient::new(channel).say_hello(HelloRequest { name: "mesh".into(), count: 1 }).await;
    let micros = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.requests += 1;
    tally.latencies.push(micros);
    match reply {
        Ok(reply) => {
            let reply = reply.into_inner();
            *tally.by_version.entry(reply.version).or_default() += 1;
            *tally.by_endpoint.entry(reply.endpoint).or_default() += 1;
        }
        Err(status) => {
            tally.failed += 1;
            tally.first_failure.get_or_insert_with(|| status.to_string());
        }
    }
}
