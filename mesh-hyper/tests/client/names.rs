//! URLs: which service a request is for.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::{ConfigSource, ConfigWatch, FixedSource, SourceError, Target};
use mesh_hyper::{ClientErrorKind, MaxTargets, Mesh, MeshClient};

use crate::endpoint::{Endpoint, Version};
use crate::{client_to, send, text};

fn request(method: &str, url: &str) -> Request<Empty<Bytes>> {
    Request::builder().method(method).uri(url).body(Empty::new()).unwrap()
}

/// T1: every spelling of a name is the same service, and the endpoint sees one form.
#[tokio::test]
async fn spellings_of_a_name_reach_the_same_service() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let client = client_to([endpoint.address]);
    for url in [
        "http://orders.shop/list?q=1",
        "http://Orders.SHOP/list?q=1",
        "http://orders.shop.:80/list?q=1",
        "http://user:secret@orders.shop/list?q=1",
    ] {
        let response = send(&client, request("GET", url)).await;
        assert_eq!(text(response).await, "GET http://orders.shop/list?q=1 ", "{url}");
        assert!(!endpoint.last().headers.contains_key("host"), "{url}");
    }
    assert_eq!(endpoint.connections(), 1);
}

/// T4: the path is sent as the caller has written it.
#[tokio::test]
async fn paths_are_not_rewritten() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let client = client_to([endpoint.address]);
    for path in ["/a/../b", "//a", "/a%2fb", "/%7Ea", "/?", "/"] {
        let response = send(&client, request("GET", &format!("http://orders.shop{path}"))).await;
        assert_eq!(text(response).await, format!("GET http://orders.shop{path} "));
    }
}

#[tokio::test]
async fn request_that_is_not_for_the_mesh_fails_by_its_kind() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let client = client_to([endpoint.address]);
    let rows = [
        ("GET", "http://elsewhere.example/", ClientErrorKind::NotInMesh),
        ("GET", "http://orders.shop:8080/", ClientErrorKind::NotInMesh),
        ("GET", "https://orders.shop/", ClientErrorKind::Url),
        ("GET", "ftp://orders.shop/", ClientErrorKind::Url),
        ("GET", "/list", ClientErrorKind::Url),
        ("GET", "http://:80/", ClientErrorKind::Url),
        ("CONNECT", "orders.shop:80", ClientErrorKind::Request),
    ];
    for (method, url, kind) in rows {
        let error = client.send(request(method, url)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert_eq!(error.is_not_in_mesh(), kind == ClientErrorKind::NotInMesh);
    }
    assert_eq!(endpoint.requests(), 0);
}

/// A service that is known and broken is not taken for one that the mesh does not have.
#[tokio::test]
async fn broken_service_is_no_unknown_service() {
    let source = FixedSource::new();
    source.fail("broken.shop", SourceError::new("xDS route configuration \"r\": does not exist"));
    source.fail("gone.shop", SourceError::absent("xDS listener \"gone.shop\": does not exist"));
    let client = MeshClient::new(&Mesh::new(source));
    let response = send(&client, request("GET", "http://broken.shop/")).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["mesh-reason"]),
        (503, &"no-configuration".parse().unwrap())
    );
    let error = client.send(request("GET", "http://gone.shop/")).await.unwrap_err();
    assert!(error.is_not_in_mesh(), "{error:?}");
}

/// T1: never two views of one request.
#[tokio::test]
async fn host_field_that_differs_from_the_url_is_refused() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let client = client_to([endpoint.address]);
    for (hosts, passes) in [
        (&["Orders.shop:80"][..], true),
        (&["other.shop"], false),
        (&["orders.shop", "other.shop"], false),
        (&[""], false),
    ] {
        let mut request = request("GET", "http://orders.shop/");
        for host in hosts {
            request.headers_mut().append("host", host.parse().unwrap());
        }
        match client.send(request).await {
            Ok(_) => assert!(passes, "{hosts:?}"),
            Err(error) => assert!(!passes && error.kind() == ClientErrorKind::Request, "{hosts:?}: {error}"),
        }
    }
}

/// A source that can be asked how many targets are watched.
#[derive(Debug, Clone)]
struct CountedSource(FixedSource, Arc<()>);

struct Both(#[expect(dead_code, reason = "held")] ConfigWatch, #[expect(dead_code, reason = "held")] Arc<()>);

impl ConfigSource for CountedSource {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        let mut watch = self.0.watch(target)?;
        let states = tokio::sync::watch::Sender::new(watch.borrow_and_update());
        let guard: Box<dyn Any + Send + Sync> = Box::new(Both(watch, self.1.clone()));
        Ok(ConfigWatch::new(states.subscribe(), (guard, states)))
    }
}

/// URLs of strangers cannot fill the memory: the target that was used least recently goes.
#[tokio::test]
async fn client_keeps_no_more_targets_than_it_may() {
    let endpoint = Endpoint::echo(Version::Http2).await;
    let config = MeshConfig::to_endpoints("any", [endpoint.address]);
    let source = CountedSource(FixedSource::any(config), Arc::default());
    let watched = source.1.clone();
    let watched = || Arc::strong_count(&watched) - 2;
    let max = MaxTargets(NonZeroUsize::new(3).unwrap());
    let client = MeshClient::builder().mesh(&Mesh::new(source.clone())).max_targets(max).build().unwrap();
    drop(source);
    let in_use = client.send(request("GET", "http://kept.shop/"));
    in_use.await.unwrap();
    for number in 0..20 {
        send(&client, request("GET", &format!("http://name-{number}.shop/"))).await;
        send(&client, request("GET", "http://kept.shop/")).await;
    }
    // a target's task holds its watch until it has been scheduled once more
    for _ in 0..10_000 {
        if watched() <= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    assert!(watched() <= 3, "{}", watched());
    assert_eq!(endpoint.connections(), 1, "the endpoint's connection is shared by all names");
}
