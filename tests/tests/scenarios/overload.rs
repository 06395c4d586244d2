//! Everything fails, and a limit that is raised while calls are at it.

use std::time::{Duration, Instant};

use tests::fleet::Fleet;
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::yaml;
use tests::{ConfigDir, ControlServer, Scenario, eventually, within};
use tokio::task::JoinSet;
use tonic::Code;

/// Scenario 32: retries add a fifth to the calls, and the minimum that is always allowed.
#[tokio::test(flavor = "multi_thread")]
async fn retries_do_not_multiply_calls_when_everything_fails() {
    const BACKOFF: Duration = Duration::from_millis(25);
    let scenario = Scenario::begin("32 all endpoints fail").await;
    let fleet = Fleet::start("e", 5).await;
    let config = ConfigDir::new();
    let budget = yaml::destination_rule("retryBudget: {percent: 20, minRetryConcurrency: 1}");
    config.write("service.yaml", &(yaml::service_entry(&fleet.endpoints()) + &budget));
    let retries =
        format!("retries: {{attempts: 2, retryOn: unavailable, backoff: {}ms}}", BACKOFF.as_millis());
    config.write("routes.yaml", &yaml::routes(&[&format!("{{{}, {retries}}}", yaml::everything())]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.hello().await.unwrap();
    let load = Paced::start(&client.channel, scenario.pick(200, 1000));
    fleet.fail_with(Code::Unavailable);
    load.during(Duration::from_millis(100)).await;
    let (calls_before, began) = (fleet.calls(), Instant::now());
    let outcome = load.during(scenario.pick(Duration::from_secs(2), Duration::from_secs(60))).await;
    let (reached, took) = (fleet.calls() - calls_before, began.elapsed());
    assert_eq!(outcome.times.len(), 0, "an endpoint that fails every call has answered one");
    let calls = outcome.failures.len();
    // One retry may always wait, for the shortest backoff: 0.8 of what is configured.
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    let allowed = calls as f64 * 1.2 + took.as_secs_f64() / (BACKOFF.as_secs_f64() * 0.8) + 20.0;
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    let reached_for = reached as f64;
    assert!(reached_for <= allowed, "{reached} calls reached the endpoints, of {calls}; {allowed} may");
    assert!(reached > calls, "{reached} calls reached the endpoints, of {calls}: nothing was retried");
    scenario.figure("calls, those that reached an endpoint", format_args!("{calls}, {reached}"));
    fleet.fail_with(Code::Ok);
    let (_, healed) = within(Duration::from_secs(2), "calls succeed", async || {
        match load.during(Duration::from_millis(200)).await {
            outcome if outcome.failures.is_empty() => Ok(()),
            outcome => Err(outcome.failures[0].clone()),
        }
    })
    .await;
    load.stop().await.assert_no_failures();
    scenario.figure("healed after", format_args!("{healed:.2?}"));
}

/// Scenario 34: as many calls as the limit allows are in flight, also after it was raised; the others fail at once.
#[tokio::test(flavor = "multi_thread")]
async fn raised_limit_of_calls_is_used_and_kept() {
    let scenario = Scenario::begin("34 limit is raised").await;
    let fleet = Fleet::start("e", 2).await;
    let (limit, raised) = (500, 800);
    let config = ConfigDir::new();
    let limited = |limit: usize| {
        let pool = format!("connectionPool: {{http: {{http2MaxRequests: {limit}}}}}");
        yaml::service_entry(&fleet.endpoints()) + &yaml::destination_rule(&pool)
    };
    config.write("service.yaml", &limited(limit));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.hello().await.unwrap();
    let mut held = Held::default();
    let refused = held.fill(&client, limit + 100).await;
    assert_eq!((held.calls.len(), refused.len()), (limit, 100));
    let bound = scenario.pick(tests::PATIENCE, Duration::from_millis(5));
    for (text, took) in refused {
        assert!(text.contains("calls are in flight, the most allowed") && took <= bound, "{took:?}: {text}");
    }
    control.config.write("service.yaml", &limited(raised));
    let (_, took) = within(Duration::from_secs(1), "the new limit is live", async || {
        // One more than before is let through.
        let refused = held.fill(&client, 1).await;
        if refused.is_empty() { Ok(()) } else { Err("refused".to_owned()) }
    })
    .await;
    let refused = held.fill(&client, raised).await;
    assert_eq!((held.calls.len(), refused.len()), (raised, limit + 1));
    eventually("the endpoints have all of them", async || match fleet.calls() {
        // And the first one.
        calls if calls == raised + 1 => Ok(()),
        calls => Err(calls.to_string()),
    })
    .await;
    scenario.figure("new limit live after", format_args!("{took:.2?}"));
}

/// Calls that no endpoint answers.
#[derive(Default)]
struct Held {
    calls: JoinSet<()>,
}

impl Held {
    /// Starts so many, and keeps those that are in flight; the others are given back: what they failed with, and after how long.
    async fn fill(&mut self, client: &MeshClient, calls: usize) -> Vec<(String, Duration)> {
        let mut refused = Vec::new();
        for _ in 0..calls {
            let mut greeter = client.greeter();
            let mut request = tonic::Request::new(examples::greeter::HelloRequest::default());
            request.metadata_mut().insert("rpc-behavior", "keep-open".parse().unwrap());
            let began = Instant::now();
            let mut call = Box::pin(async move { greeter.say_hello(request).await });
            // What is refused is refused when it is polled first.
            match futures_util::poll!(call.as_mut()) {
                std::task::Poll::Ready(Err(status)) => {
                    refused.push((status.message().to_owned(), began.elapsed()))
                }
                std::task::Poll::Ready(Ok(reply)) => panic!("an answer: {reply:?}"),
                std::task::Poll::Pending => drop(self.calls.spawn(async move { drop(call.await) })),
            }
        }
        refused
    }
}
