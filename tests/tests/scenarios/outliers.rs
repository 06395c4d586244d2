//! Scenario 35: one of five endpoints fails every call, then all of them do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Scenario, eventually, within};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

const INTERVAL: Duration = Duration::from_secs(1);
const EJECTION: Duration = Duration::from_secs(3);

/// Five endpoints e0 to e4, of which one in five may be ejected.
struct Stage {
    _control: ControlServer,
    _greeters: Vec<Greeter>,
    client: Arc<MeshClient>,
}

impl Stage {
    async fn start() -> Self {
        let mut greeters = Vec::new();
        for number in 0..5 {
            greeters.push(Greeter::start(&format!("e{number}"), "v1").await);
        }
        let config = ConfigDir::new();
        let endpoints: Vec<_> = greeters.iter().map(|greeter| Endpoint::new(greeter.address, "v1")).collect();
        let policy = format!(
            "outlierDetection: {{consecutive5xxErrors: 5, interval: {}s, baseEjectionTime: {}s, maxEjectionPercent: 20}}",
            INTERVAL.as_secs(),
            EJECTION.as_secs(),
        );
        config.write("service.yaml", &(yaml::service_entry(&endpoints) + &yaml::destination_rule(&policy)));
        config.write("routes.yaml", &yaml::routes(&[&format!("{{{}}}", yaml::everything())]));
        let control = ControlServer::start(config).await;
        let client = Arc::new(MeshClient::of(&control));
        let stage = Self { _control: control, _greeters: greeters, client };
        let all: BTreeSet<_> = (0..5).map(|number| format!("e{number}")).collect();
        let mut seen = BTreeSet::new();
        eventually("all endpoints answer", async || {
            seen.extend(stage.client.hello().await.map(|reply| reply.endpoint));
            if seen == all { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
        stage
    }

    /// How many endpoints are ejected.
    fn ejected(&self) -> usize {
        self.client.xds.status().ejected.len()
    }
}

/// So many calls a second, until it is dropped.
struct Calls {
    ended: Arc<Mutex<Ended>>,
    task: JoinHandle<()>,
}

/// The results of the calls so far.
#[derive(Debug, Clone, Default)]
struct Ended {
    answers: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Calls {
    /// All of them ask for this `rpc-behavior`.
    fn start(stage: &Stage, per_second: u32, behavior: &'static str) -> Self {
        let (client, ended) = (stage.client.clone(), Arc::<Mutex<Ended>>::default());
        let task = tokio::spawn(run(client, per_second, behavior, ended.clone()));
        Self { ended, task }
    }

    /// What has ended since the last time.
    fn take(&self) -> Ended {
        std::mem::take(&mut *self.ended.lock().unwrap())
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(client: Arc<MeshClient>, per_second: u32, behavior: &'static str, ended: Arc<Mutex<Ended>>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        let (client, ended) = (client.clone(), ended.clone());
        calls.spawn(async move {
            let reply = client.hello_with(&[("rpc-behavior", behavior)]).await;
            let mut ended = ended.lock().unwrap();
            match reply {
                Ok(reply) => *ended.answers.entry(reply.endpoint).or_default() += 1,
                Err(status) => ended.failures.push(status.to_string()),
            }
        });
        while calls.try_join_next().is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_fails_every_call_gets_none_until_its_time_is_over() {
    let scenario = Scenario::begin("one of five fails").await;
    let per_second = scenario.pick(200, 1000);
    let stage = Stage::start().await;
    for round in 0..scenario.pick(1, 5) {
        let calls = Calls::start(&stage, per_second, "hostname=e0,error-code-13");
        let began = Instant::now();
        eventually("the endpoint is ejected", async || match stage.ejected() {
            1 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        let ejected = Instant::now();
        assert!(ejected - began < INTERVAL, "five failures in a row need no interval");
        // Calls that were on their way end.
        eventually("calls have ended", async || match calls.take() {
            Ended { failures, .. } if failures.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        tokio::time::sleep(INTERVAL).await;
        let Ended { answers, failures } = calls.take();
        assert_eq!(failures, [""; 0], "round {round}");
        assert!(answers.len() == 4 && !answers.contains_key("e0"), "{answers:?}");
        drop(calls);
        let calls = Calls::start(&stage, per_second, "sleep-0ms");
        let bound = (EJECTION + INTERVAL) * (round + 1) + Duration::from_secs(10);
        let (_, took) = within(bound, "the endpoint is back", async || match calls.take() {
            ended if ended.answers.contains_key("e0") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let out = ejected.elapsed();
        assert!(out >= EJECTION, "{out:?}");
        scenario.figure("endpoint was out for", format_args!("{out:?}, {took:?} without failures"));
        assert_eq!(calls.take().failures, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_when_every_endpoint_fails() {
    let scenario = Scenario::begin("five of five fail").await;
    let per_second = scenario.pick(200, 1000);
    let stage = Stage::start().await;
    let calls = Calls::start(&stage, per_second, "error-code-13");
    let until = Instant::now() + INTERVAL * scenario.pick(3, 30);
    let (mut most, mut all) = (0, 0);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
        most = most.max(stage.ejected());
        let Ended { answers, failures } = calls.take();
        assert!(answers.is_empty(), "{answers:?}");
        let made_here = failures.iter().find(|failure| !failure.contains("as rpc-behavior asked"));
        assert_eq!(made_here, None, "an endpoint answers every call");
        all += failures.len();
    }
    assert!(all > 0 && most == 1, "{most} of five are ejected at once, 20 % may be; {all} calls");
    scenario.figure("calls", all);
    drop(calls);
    let calls = Calls::start(&stage, per_second, "sleep-0ms");
    eventually("endpoints answer", async || match calls.take() {
        ended if ended.answers.len() >= 4 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(calls.take().failures, [""; 0]);
}
