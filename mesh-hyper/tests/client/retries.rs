//! Retries by Envoy's conditions.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use mesh_core::config::{ClusterSettings, Forward, RetryConditions as On};
use mesh_core::testing::reserved_address;

use crate::endpoint::{Endpoint, Version, reply};
use crate::{client_of, config, get, post, retrying, send, text};

/// The statuses of the first answers; then 200.
async fn failing(statuses: &'static [u16]) -> Endpoint {
    Endpoint::start(Version::Http2, move |number, request: Request<hyper::body::Incoming>| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        match statuses.get(number) {
            Some(status) => reply(*status, "failed"),
            None => reply(200, body),
        }
    })
    .await
}

#[tokio::test]
async fn conditions_decide_which_statuses_are_tried_again() {
    let rows: [(On, &[u16], u16, usize); 8] = [
        (On::SERVER_ERROR, &[500, 503], 200, 3),
        (On::SERVER_ERROR, &[503, 503, 503], 503, 3),
        (On::SERVER_ERROR, &[404], 404, 1),
        (On::GATEWAY_ERROR, &[500], 500, 1),
        (On::GATEWAY_ERROR, &[502], 200, 2),
        (On::RETRIABLE_4XX, &[409], 200, 2),
        (On::RETRIABLE_4XX, &[400], 400, 1),
        (On::CONNECT_FAILURE, &[503], 503, 1),
    ];
    for (conditions, statuses, status, requests) in rows {
        let endpoint = failing(statuses).await;
        let forward = Forward::to("orders").with_retry(retrying(conditions, 3));
        let client = client_of(config(forward, ClusterSettings::new("orders"), &[endpoint.address]));
        let response = send(&client, post("/", "the body")).await;
        assert_eq!(response.status(), status, "{statuses:?}");
        assert_eq!(text(response).await, if status == 200 { "the body" } else { "failed" });
        assert_eq!(endpoint.requests(), requests, "{statuses:?}");
    }
}

/// A request that was never sent goes to another endpoint, whatever its method.
#[tokio::test]
async fn endpoint_that_cannot_be_reached_costs_no_request() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let endpoints = [reserved_address(), endpoint.address];
    let client = client_of(config(Forward::to("orders"), ClusterSettings::new("orders"), &endpoints));
    for _ in 0..4 {
        assert_eq!(send(&client, post("/", "x")).await.status(), 200);
    }
}

/// R3: the timeout of one attempt runs to the head only, and a slow body is not cut.
#[tokio::test]
async fn per_try_timeout_runs_to_the_head() {
    let (go, gone) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let waits = go.clone();
    let endpoint = Endpoint::start(Version::Http2, move |number, _| {
        let waits = waits.clone();
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            let frames = futures_util::stream::once(async move {
                waits.notified().await;
                Ok(http_body::Frame::data(bytes::Bytes::from("late")))
            });
            http::Response::new(http_body_util::StreamBody::new(frames).boxed())
        }
    })
    .await;
    let policy = retrying(On::SERVER_ERROR, 5).with_per_try_timeout(Duration::from_secs(1));
    let forward = Forward::to("orders").with_retry(policy);
    let client = client_of(config(forward, ClusterSettings::new("orders"), &[endpoint.address]));
    let response = send(&client, get("/")).await;
    assert!(endpoint.requests() >= 2, "the first attempt has no head");
    let released = gone.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        go.notify_waiters();
        go.notify_one();
        released.notify_one();
    });
    assert_eq!(text(response).await, "late");
    gone.notified().await;
}
