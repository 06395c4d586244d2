//! What goes over the wire beside the messages, and what comes back that is no message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use http::{Response, StatusCode};
use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_tonic::MeshChannel;
use tonic::{Code, Request};

use examples::greeter::greeter_client::GreeterClient;

use crate::{client, hello, raw};

#[tokio::test]
async fn heads_are_those_of_grpc() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let address = raw::serve(move |request, respond| {
        seen.lock().unwrap().push(request.into_parts().0);
        raw::succeed(respond);
    })
    .await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
    client(&mesh).say_hello(hello("you")).await.unwrap();
    let other = MeshChannel::builder("xds:///greeter").mesh(&mesh).authority("shop:8080").build().unwrap();
    let mut request = Request::new(hello("you"));
    request.set_timeout(Duration::from_secs(5));
    GreeterClient::new(other).say_hello(request).await.unwrap();

    let heads = heads.lock().unwrap();
    let value = |name: &str| heads[0].headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(heads[0].uri.to_string(), "http://greeter/mesh.examples.v1.Greeter/SayHello");
    assert_eq!(heads[0].method, http::Method::POST);
    assert_eq!(value("te").as_deref(), Some("trailers"));
    assert_eq!(value("content-type").as_deref(), Some("application/grpc"));
    assert_eq!(value("user-agent").unwrap(), format!("mesh-tonic/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(value("grpc-timeout"), None);
    assert_eq!(value("grpc-previous-rpc-attempts"), None);
    assert_eq!(heads[1].uri.authority().unwrap(), "shop:8080");
    assert!(heads[1].headers.contains_key("grpc-timeout"));
}

#[tokio::test]
async fn resets_and_non_grpc_responses_map_to_grpc_codes() {
    let reset = |reason: Reason| {
        move |respond: &mut h2::server::SendResponse<bytes::Bytes>| respond.send_reset(reason)
    };
    let status = |status: StatusCode| {
        move |respond: &mut h2::server::SendResponse<bytes::Bytes>| {
            let head = Response::builder().status(status).body(()).unwrap();
            drop(respond.send_response(head, true));
        }
    };
    type Answer = Box<dyn Fn(&mut h2::server::SendResponse<bytes::Bytes>) + Send + Sync>;
    let rows: Vec<(&str, Answer, Code)> = vec![
        ("REFUSED_STREAM", Box::new(reset(Reason::REFUSED_STREAM)), Code::Unavailable),
        ("CANCEL", Box::new(reset(Reason::CANCEL)), Code::Cancelled),
        ("ENHANCE_YOUR_CALM", Box::new(reset(Reason::ENHANCE_YOUR_CALM)), Code::ResourceExhausted),
        ("INADEQUATE_SECURITY", Box::new(reset(Reason::INADEQUATE_SECURITY)), Code::PermissionDenied),
        ("INTERNAL_ERROR", Box::new(reset(Reason::INTERNAL_ERROR)), Code::Internal),
        ("503", Box::new(status(StatusCode::SERVICE_UNAVAILABLE)), Code::Unavailable),
        ("404", Box::new(status(StatusCode::NOT_FOUND)), Code::Unimplemented),
        ("401", Box::new(status(StatusCode::UNAUTHORIZED)), Code::Unauthenticated),
    ];
    for (name, answer, code) in rows {
        let address = raw::serve(move |_, mut respond| answer(&mut respond)).await;
        let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
        let status = client(&mesh).say_hello(hello("you")).await.unwrap_err();
        assert_eq!(status.code(), code, "{name}: {status}");
    }
}

#[tokio::test]
async fn failing_request_stream_fails_the_call_with_its_own_status() {
    let endpoint = crate::endpoint::Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    // too long for the encoder's limit
    let mut client = client(&mesh).max_encoding_message_size(10);
    let status = client.say_hello(hello("a name that is too long")).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}
