//! Fields on the way to an endpoint.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use mesh_hyper::ClientErrorKind;

use crate::endpoint::{Endpoint, Version};
use crate::{client_to, get, post, send, text};

/// H2: a request that was made for HTTP/1.1 goes over HTTP/2 as well, without the fields of one connection.
#[tokio::test]
async fn fields_of_http1_do_not_travel_over_http2() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let mut request = get("/");
    for (name, value) in [
        ("connection", "keep-alive, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"),
        ("te", "trailers, deflate"),
        ("x-kept", "1"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let response = send(&client_to([endpoint.address]), request).await;
    assert_eq!(response.status(), 200);
    let mut expected = HeaderMap::new();
    expected.insert("te", "trailers".parse().unwrap());
    expected.insert("x-kept", "1".parse().unwrap());
    assert_eq!(endpoint.last().headers, expected);
}

/// F7, S2: the announced length is the one of the body, or the request is not sent.
#[tokio::test]
async fn announced_length_is_that_of_the_body() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let client = client_to([endpoint.address]);
    let length = |head: &http::request::Parts| {
        head.headers.get("content-length").map(|value| value.to_str().unwrap().to_owned())
    };
    for (method, body, expected) in [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "", Some("0")),
        ("PUT", "abc", Some("3")),
        ("GET", "abc", Some("3")),
    ] {
        let request = Request::builder().method(method).uri("http://orders.shop/");
        let response = send(&client, request.body(Full::<Bytes>::from(body.to_owned())).unwrap()).await;
        assert_eq!(text(response).await, format!("{method} http://orders.shop/ {body}"));
        assert_eq!(length(&endpoint.last()).as_deref(), expected, "{method} {body:?}");
    }
    let sent = endpoint.requests();
    for value in ["2", "4", "+3", "3, 3", ""] {
        let mut request = post("/", "abc");
        request.headers_mut().insert("content-length", value.parse().unwrap());
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Request, "{value:?}");
    }
    assert_eq!(endpoint.requests(), sent);
}

/// H3: trailers travel both ways, apart from the headers.
#[tokio::test]
async fn trailers_travel_both_ways() {
    let endpoint = Endpoint::start(Version::Http2, async |_, request| {
        let collected = request.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned();
        let body = Full::new(collected.to_bytes()).with_trailers(async move { trailers.map(Ok) });
        http::Response::new(body.boxed())
    })
    .await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let sent = trailers.clone();
    let body = Full::new(Bytes::from("data")).with_trailers(async move { Some(Ok(sent)) });
    let request = Request::post("http://orders.shop/").body(body).unwrap();
    let response = send(&client_to([endpoint.address]), request).await;
    assert!(!response.headers().contains_key("x-sum"));
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "data");
}

/// X5: the mesh adds no coding and unpacks none.
#[tokio::test]
async fn coded_response_passes_untouched() {
    let fields = [
        ("content-encoding", "gzip"),
        ("etag", "\"x\""),
        ("vary", "accept-encoding"),
        ("via", "1.1 p"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let endpoint = Endpoint::start(Version::Http2, move |_, request: Request<_>| async move {
        assert!(!request.headers().contains_key("accept-encoding"));
        let body = if request.method() == "HEAD" { "" } else { "\x1f\u{7f}packed" };
        let mut response = crate::endpoint::reply(200, body);
        for (name, value) in fields {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
    .await;
    let client = client_to([endpoint.address]);
    for method in ["GET", "HEAD"] {
        let request =
            Request::builder().method(method).uri("http://orders.shop/").body(Empty::<Bytes>::new());
        let response = send(&client, request.unwrap()).await;
        for (name, value) in fields {
            assert_eq!(response.headers()[name], value, "{method}");
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, if method == "GET" { "\x1f\u{7f}packed" } else { "" });
    }
}

/// A body that fails ends the request with the body's error.
#[tokio::test]
async fn failing_body_is_the_requests_error() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let frames = tokio_stream(vec![Ok(Bytes::from("a")), Err(std::io::Error::other("disk"))]);
    let request = Request::post("http://orders.shop/").body(StreamBody::new(frames)).unwrap();
    let error = client_to([endpoint.address]).send(request).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::RequestBody);
    assert!(format!("{error:?}").contains("disk"), "{error:?}");
}

fn tokio_stream(
    frames: Vec<Result<Bytes, std::io::Error>>,
) -> impl futures_util::Stream<Item = Result<http_body::Frame<Bytes>, std::io::Error>> {
    futures_util::stream::iter(frames.into_iter().map(|frame| frame.map(http_body::Frame::data)))
}
