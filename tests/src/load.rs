//! Calls in the background, and their results.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_tonic::MeshChannel;
use tokio::task::JoinHandle;

/// The results of calls.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// All that ended.
    pub calls: u64,
    /// What failed, with the status.
    pub failures: Vec<String>,
    /// Answers by endpoint.
    pub by_endpoint: BTreeMap<String, u64>,
    /// Answers by version.
    pub by_version: BTreeMap<String, u64>,
}

impl Tally {
    /// How many of a hundred answers came from this version.
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    pub fn percent_of_version(&self, version: &str) -> f64 {
        let answers: u64 = self.by_version.values().sum();
        100.0 * self.by_version.get(version).copied().unwrap_or_default() as f64 / answers.max(1) as f64
    }

    fn add(&mut self, reply: Result<tonic::Response<examples::greeter::HelloReply>, tonic::Status>) {
        self.calls += 1;
        match reply {
            Ok(reply) => {
                let reply = reply.into_inner();
                *self.by_endpoint.entry(reply.endpoint).or_default() += 1;
                *self.by_version.entry(reply.version).or_default() += 1;
            }
            Err(status) => self.failures.push(format!("{status}")),
        }
    }
}

/// So many callers, each with one call after the other, until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `callers` callers.
    pub fn start(channel: &MeshChannel, callers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let callers = (0..callers)
            .map(|_| tokio::spawn(call_until(Arc::clone(&stop), channel.clone(), Arc::clone(&tally))))
            .collect();
        Self { stop, tally, callers }
    }

    /// What ended since the last time.
    pub fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until so many further calls have ended; gives what ended since the last [`take`](Self::take).
    ///
    /// # Panics
    /// When they take too long.
    pub async fn calls(&self, calls: u64) -> Tally {
        let mut tally = Tally::default();
        crate::eventually("calls end", async || {
            let further = self.take();
            tally.calls += further.calls;
            tally.failures.extend(further.failures);
            for (endpoint, answers) in further.by_endpoint {
                *tally.by_endpoint.entry(endpoint).or_default() += answers;
            }
            for (version, answers) in further.by_version {
                *tally.by_version.entry(version).or_default() += answers;
            }
            if tally.calls >= calls { Ok(()) } else { Err(format!("{} calls", tally.calls)) }
        })
        .await;
        tally
    }

    /// Lets the calls in flight end; gives what ended since the last [`take`](Self::take).
    ///
    /// # Panics
    /// When a caller panicked.
    pub async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            caller.await.expect("callers do not panic");
        }
        self.take()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for caller in &self.callers {
            caller.abort();
        }
    }
}

async fn call_until(stop: Arc<AtomicBool>, channel: MeshChannel, tally: Arc<Mutex<Tally>>) {
    let mut greeter = GreeterClient::new(channel);
    while !stop.load(Ordering::Relaxed) {
        let reply = greeter.say_hello(HelloRequest { name: "load".to_owned(), count: 1 }).await;
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(reply);
    }
}
