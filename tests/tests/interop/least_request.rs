//! Least request, which some languages' gRPC has and some has not.

use tests::eventually;
use tests::stock::Calls;
use tests::yaml::{self, Endpoint, split};

use super::grpc::until_all_answer;
use super::stage::{Language, Stage};

/// Two endpoints e0 and e1 under a rule with least request.
async fn stage(language: Language) -> Option<Stage> {
    let stage = Stage::start(language, "least_request", &["v1", "v1"]).await?;
    let endpoints: Vec<_> = stage.servers.iter().map(|server| Endpoint::new(server.address, "v1")).collect();
    let service = yaml::service(&endpoints).replace("simple: ROUND_ROBIN", "simple: LEAST_REQUEST");
    stage.control.config.write("service.yaml", &service);
    stage.routes(&[&format!("{{{}}}", split(&[("v1", 100)]))]);
    Some(stage)
}

/// gRPC for Python and for Node have no least request; the cluster offers them round robin too.
async fn a_load_balancer_that_the_client_does_not_have_gives_way_to_one_that_it_has(language: Language) {
    let Some(stage) = stage(language).await else { return };
    let mut client = stage.client().await;
    until_all_answer(&mut client, 2).await;
    let report = client.call(Calls::new(100)).await;
    assert_eq!(report.failed(), 0, "{report:?}");
    let held = client.csds().await;
    let refused: Vec<_> = held.iter().filter(|resource| !resource.error.is_empty()).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// A policy that ignores how many calls an endpoint has, round robin or random, gives the slow one half of the calls.
async fn endpoint_that_is_slow_gets_fewer_calls(language: Language) {
    let Some(stage) = stage(language).await else { return };
    let mut client = stage.client().await;
    until_all_answer(&mut client, 2).await;
    eventually("the slow endpoint gets fewer calls", async || {
        let calls = Calls::new(200).concurrently(8).metadata("rpc-behavior", "hostname=e0,sleep-100ms");
        let report = client.call(calls).await;
        // gRPC for Go fails calls ("unknown cluster selected") while it takes new routes over.
        if report.failed() > 0 {
            return Err(format!("{report:?}"));
        }
        let slow = report.endpoints.get("e0").copied().unwrap_or_default();
        if (1..70).contains(&slow) { Ok(()) } else { Err(format!("{report:?}")) }
    })
    .await;
}

for_each! { python: super::Language::Python, node: super::Language::Node => [
    a_load_balancer_that_the_client_does_not_have_gives_way_to_one_that_it_has,
] }

for_each! { go: super::Language::Go, java: super::Language::Java => [endpoint_that_is_slow_gets_fewer_calls] }
