//! The mesh's own replies.

use std::time::Duration;

use mesh_core::config::{ClusterSettings, Forward, MaxRequests, Route, RouteAction, RouteMatch};
use mesh_core::testing::reserved_address;
use mesh_hyper::{CallOptions, LocalFailure, MeshErrorKind, REASON};

use crate::endpoint::{Endpoint, Version, reply};
use crate::{client_of, client_to, config, get, routes, send};

#[tokio::test]
async fn failures_have_statuses_and_reasons_of_http() {
    let silent = Endpoint::start(Version::Http2, |_, _| std::future::pending()).await;
    let settings = || ClusterSettings::new("orders");
    let limited = settings().with_max_requests(MaxRequests(0));
    let unsupported = Route::new(RouteMatch::any(), RouteAction::NonForwarding);
    let rows = [
        (routes(vec![], settings(), &[]), 404, "no-route", MeshErrorKind::NoRoute),
        (
            routes(vec![unsupported], settings(), &[]),
            503,
            "unsupported-route",
            MeshErrorKind::UnsupportedRoute,
        ),
        (config(Forward::to("orders"), settings(), &[]), 503, "no-endpoint", MeshErrorKind::NoEndpoint),
        (
            config(Forward::to("orders"), settings(), &[reserved_address()]),
            503,
            "no-endpoint",
            MeshErrorKind::NoEndpoint,
        ),
        (
            config(Forward::to("orders"), limited, &[silent.address]),
            503,
            "circuit-breaker",
            MeshErrorKind::CircuitBreaker,
        ),
        (
            config(Forward::to("orders"), settings(), &[silent.address]),
            504,
            "deadline",
            MeshErrorKind::DeadlineExceeded,
        ),
    ];
    for (config, status, reason, kind) in rows {
        let client = client_of(config);
        let mut request = get("/");
        if reason == "deadline" {
            let mut options = CallOptions::default();
            options.timeout = Some(Duration::from_millis(20));
            request.extensions_mut().insert(options);
        }
        let response = send(&client, request).await;
        assert_eq!(response.status(), status, "{reason}");
        assert_eq!(response.headers()[REASON], reason);
        let failure = response.extensions().get::<LocalFailure>().unwrap();
        assert_eq!(failure.error().kind(), kind);
        assert!(failure.error().to_string().starts_with("xds:///orders.shop"), "{failure:?}");
    }
}

/// What an endpoint says of itself is never taken for the mesh's own.
#[tokio::test]
async fn endpoint_cannot_forge_a_reply_of_the_mesh() {
    let endpoint = Endpoint::start(Version::Http2, async |_, _| {
        let mut response = reply(503, "busy");
        response.headers_mut().insert(REASON, "no-endpoint".parse().unwrap());
        response
    })
    .await;
    let response = send(&client_to([endpoint.address]), get("/")).await;
    assert_eq!(response.status(), 503);
    assert!(response.extensions().get::<LocalFailure>().is_none());
    let info = response.extensions().get::<mesh_hyper::CallInfo>().unwrap();
    assert_eq!(info.endpoint(), endpoint.address);
}
