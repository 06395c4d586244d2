//! Responses without a body, and what keeps a request in flight.

use bytes::Bytes;
use http::Request;
use http_body::Body;
use http_body_util::Empty;
use mesh_core::config::{ClusterSettings, Forward, MaxRequests, RetryConditions};

use crate::endpoint::{Endpoint, Version, reply};
use crate::{client_of, client_to, config, get, retrying, send, text};

/// F1: a response that has no body by its request or status ends with its head, whatever length it names.
#[tokio::test]
async fn response_without_a_body_ends_with_its_head() {
    let endpoint = Endpoint::start(Version::Http2, async |_, request: Request<_>| {
        let status = request.uri().path()[1..].parse().unwrap();
        let mut response = reply(status, "");
        if status != 204 {
            response.headers_mut().insert("content-length", "1000".parse().unwrap());
        }
        response
    })
    .await;
    let client = client_to([endpoint.address]);
    for (method, status) in [("HEAD", 200), ("GET", 304), ("GET", 204), ("HEAD", 404)] {
        let request = Request::builder().method(method).uri(format!("http://orders.shop/{status}"));
        let response = send(&client, request.body(Empty::<Bytes>::new()).unwrap()).await;
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(text(response).await, "", "{method} {status}");
    }
    assert_eq!(endpoint.connections(), 1);
}

/// A request counts until its body ends, with a retry policy as without one: an answer is no end.
#[tokio::test]
async fn request_is_in_flight_until_its_body_ends() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let settings = ClusterSettings::new("orders").with_max_requests(MaxRequests(1));
    for forward in
        [Forward::to("orders"), Forward::to("orders").with_retry(retrying(RetryConditions::SERVER_ERROR, 3))]
    {
        let client = client_of(config(forward, settings.clone(), &[endpoint.address]));
        let first = send(&client, get("/")).await;
        assert!(!first.body().is_end_stream());
        let second = send(&client, get("/")).await;
        assert_eq!(second.status(), 503);
        assert_eq!(second.headers()["mesh-reason"], "circuit-breaker");
        assert_eq!(text(first).await, "GET http://orders.shop/ ");
        assert_eq!(send(&client, get("/")).await.status(), 200);
    }
}
