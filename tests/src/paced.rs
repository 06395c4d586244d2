//! Calls at a fixed rate, whether those before have ended or not, and how long each took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_tonic::MeshChannel;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tonic::Request;

/// The results of calls.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How long each successful call took, from when it was due.
    pub times: Vec<Duration>,
    /// What failed, with the status.
    pub failures: Vec<String>,
}

impl Outcome {
    /// The time that so many of a hundred calls took at most.
    ///
    /// # Panics
    /// When there was no call.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of a test"
    )]
    pub fn percentile(&self, percent: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (times.len() as f64 * percent / 100.0).ceil() as usize;
        times[rank.clamp(1, times.len()) - 1]
    }

    /// That calls have ended at all is what [`Paced::during`] sees to; the rest after it may be none.
    ///
    /// # Panics
    /// When a call has failed.
    pub fn assert_no_failures(&self) {
        assert!(self.failures.is_empty(), "{} failed, first: {}", self.failures.len(), self.failures[0]);
    }
}

/// Calls of the greeter at a fixed rate, until it is stopped.
#[derive(Debug)]
pub struct Paced {
    outcome: Arc<Mutex<Outcome>>,
    stop: tokio::sync::watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Paced {
    /// Starts with so many calls a second. A call that takes longer than [`DEADLINE`] fails.
    pub fn start(channel: &MeshChannel, calls_per_second: u32) -> Self {
        let outcome = Arc::<Mutex<Outcome>>::default();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let interval = Duration::from_secs(1) / calls_per_second;
        let task = tokio::spawn(run(channel.clone(), interval, Arc::clone(&outcome), stopped));
        Self { outcome, stop, task }
    }

    /// What ended since the last time.
    pub fn take(&self) -> Outcome {
        std::mem::take(&mut *lock(&self.outcome))
    }

    /// Lets it run for a while, longer if need be for a call to end, and gives what ended in it.
    ///
    /// # Panics
    /// When no call ends.
    pub async fn during(&self, time: Duration) -> Outcome {
        self.take();
        tokio::time::sleep(time).await;
        crate::eventually("a call ends", async || match self.take() {
            outcome if outcome.times.is_empty() && outcome.failures.is_empty() => Err("none".to_owned()),
            outcome => Ok(outcome),
        })
        .await
    }

    /// Lets the calls in flight end; gives what ended since the last [`take`](Self::take).
    ///
    /// # Panics
    /// When a call panicked.
    pub async fn stop(mut self) -> Outcome {
        self.stop.send_replace(true);
        (&mut self.task).await.expect("calls do not panic");
        self.take()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    channel: MeshChannel,
    interval: Duration,
    outcome: Arc<Mutex<Outcome>>,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(interval);
    // What is due stays due.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            due = ticks.tick() => {
                calls.spawn(call(channel.clone(), due.into_std(), Arc::clone(&outcome)));
                while let Some(call) = calls.try_join_next() {
                    call.expect("calls do not panic");
                }
            }
        }
    }
    while let Some(call) = calls.join_next().await {
        call.expect("calls do not panic");
    }
}

async fn call(channel: MeshChannel, due: Instant, outcome: Arc<Mutex<Outcome>>) {
    let mut request = Request::new(HelloRequest { name: "paced".to_owned(), count: 1 });
    request.set_timeout(DEADLINE);
    let reply = GreeterClient::new(channel).say_hello(request).await;
    let took = due.elapsed();
    let mut outcome = lock(&outcome);
    match reply {
        Ok(_) => outcome.times.push(took),
        Err(status) => outcome.failures.push(status.to_string()),
    }
}

fn lock(outcome: &Mutex<Outcome>) -> std::sync::MutexGuard<'_, Outcome> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call's deadline.
pub const DEADLINE: Duration = Duration::from_secs(10);
