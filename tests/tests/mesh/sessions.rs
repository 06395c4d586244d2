//! `sessionPersistence` of a `GRPCRoute`, from YAML to calls of our client.

use examples::greeter::HelloRequest;
use tests::mesh::MeshClient;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::embedded::{client, document};

/// A client of four endpoints whose only rule keeps sessions.
async fn persistent(persistence: &str) -> MeshClient {
    let spec = format!(
        "{{parentRefs: [{{group: \"\", kind: Service, name: greeter}}], rules: [{{sessionPersistence: {{{persistence}}}, backendRefs: \
         [{{name: greeter, port: 50051}}]}}]}}"
    );
    client(4, &document("gateway.networking.k8s.io/v1", "GRPCRoute", "greeter", &spec)).await
}

/// The endpoint that has answered, and the answer's metadata.
async fn call(client: &MeshClient, session: Option<(&'static str, &str)>) -> (String, MetadataMap) {
    let mut request = Request::new(HelloRequest { name: "test".to_owned(), count: 1 });
    if let Some((name, value)) = session {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let answer = client.greeter().say_hello(request).await.unwrap();
    let (metadata, reply, _) = answer.into_parts();
    (reply.endpoint, metadata)
}

fn text<'m>(metadata: &'m MetadataMap, name: &str) -> &'m str {
    metadata.get(name).unwrap_or_else(|| panic!("no {name} in {metadata:?}")).to_str().unwrap()
}

#[tokio::test]
async fn calls_with_the_cookie_go_to_its_endpoint() {
    let client = persistent("sessionName: basket").await;
    let (endpoint, metadata) = call(&client, None).await;
    let cookie = text(&metadata, "set-cookie");
    assert!(cookie.starts_with("basket="), "{cookie}");
    assert!(!cookie.contains("Max-Age"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    for _ in 0..12 {
        assert_eq!(call(&client, Some(("cookie", session))).await.0, endpoint);
    }
}

#[tokio::test]
async fn permanent_cookie_lasts_as_long_as_it_says() {
    let rows = [
        ("cookieConfig: {lifetimeType: Permanent}", "mesh-session="),
        ("cookie: {name: basket, path: /, lifetimeType: Permanent}", "basket="),
    ];
    for (settings, start) in rows {
        let client = persistent(&format!("absoluteTimeout: 1h, {settings}")).await;
        let (_, metadata) = call(&client, None).await;
        let cookie = text(&metadata, "set-cookie");
        assert!(cookie.starts_with(start) && cookie.contains("Max-Age=3600"), "{cookie}");
    }
}

#[tokio::test]
async fn calls_with_the_header_go_to_its_endpoint() {
    let client = persistent("type: Header, sessionName: X-Basket").await;
    let (endpoint, metadata) = call(&client, None).await;
    let session = text(&metadata, "x-basket");
    for _ in 0..12 {
        assert_eq!(call(&client, Some(("x-basket", session))).await.0, endpoint);
    }
}
