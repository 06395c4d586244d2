//! Paths and authorities that routes change.

use std::sync::{Arc, Mutex};

use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterChoice, ClusterSettings, Discovery, Endpoint, EndpointSet, Forward, HostRewrite,
    Locality, MeshConfig, PathRewrite, Priority, RegexRewrite, Rewrite, RouteMatch, WeightedCluster,
};
use mesh_core::policy::matcher::{CapturingRegex, PathMatcher};
use mesh_tonic::{MeshChannel, MeshErrorKind};
use tonic::Code;

use crate::config::{Config, with_retries};
use crate::{call, client, hello, kind, raw};

/// The authorities and paths of requests.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Records requests; the first `refused` are refused with UNAVAILABLE.
async fn recorder(refused: usize) -> (std::net::SocketAddr, Seen) {
    let seen = Seen::default();
    let record = seen.clone();
    let address = raw::serve(move |request, respond| {
        let mut seen = record.lock().unwrap();
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        seen.push((authority, request.uri().path().to_owned()));
        match seen.len() > refused {
            true => raw::echo(request, respond),
            false => raw::push_back(respond, "0"),
        }
    })
    .await;
    (address, seen)
}

fn take(seen: &Seen) -> Vec<(String, String)> {
    std::mem::take(&mut seen.lock().unwrap())
}

fn one(authority: &str, path: &str) -> Vec<(String, String)> {
    vec![(authority.to_owned(), path.to_owned())]
}

const PATH: &str = "/mesh.examples.v1.Greeter/SayHello";

/// Proves: RT-60, RT-61, RT-62.
#[tokio::test]
async fn requests_are_sent_with_the_routes_path_and_authority() {
    let (address, seen) = recorder(0).await;
    let regex = |pattern: &str, by: &str| RegexRewrite::new(CapturingRegex::new(pattern).unwrap(), by);
    let path = |rewrite| Rewrite::default().with_path(rewrite);
    let host = |text: &str| HostRewrite::Literal(text.parse().unwrap());
    let rows = [
        (Rewrite::default(), "greeter", PATH),
        (path(PathRewrite::Prefix("/other.V2/".to_owned())), "greeter", "/other.V2/SayHello"),
        (path(PathRewrite::Regex(regex("v1[.]Greeter", "V2"))), "greeter", "/mesh.examples.V2/SayHello"),
        (Rewrite::default().with_host(host("new.test:81")), "new.test:81", PATH),
    ];
    for (rewrite, authority, expected) in rows {
        let prefix =
            PathMatcher::Prefix { prefix: "/mesh.examples.v1.Greeter/".to_owned(), ignore_case: false };
        let config = Config::default()
            .cluster("greeter", &[address])
            .route(RouteMatch::new(prefix), Forward::to("greeter").with_rewrite(rewrite));
        call(&mut client(&Mesh::fixed(config.build()))).await.unwrap();
        assert_eq!(take(&seen), one(authority, expected));
    }
    let mut cluster = WeightedCluster::new("greeter", 1);
    cluster.host = Some(host("of.cluster"));
    let forward = Forward::new(ClusterChoice::weighted([cluster]).unwrap());
    let forward = forward.with_rewrite(Rewrite::default().with_host(host("of.route")));
    let config = Config::default().cluster("greeter", &[address]).to(forward);
    call(&mut client(&Mesh::fixed(config.build()))).await.unwrap();
    assert_eq!(take(&seen), one("of.cluster", PATH), "the most specific one counts");
}

#[tokio::test]
async fn call_fails_if_its_path_becomes_invalid() {
    let (address, seen) = recorder(0).await;
    let rewrite = RegexRewrite::new(CapturingRegex::new("Say").unwrap(), " ");
    let rewrite = Rewrite::default().with_path(PathRewrite::Regex(rewrite));
    let config =
        Config::default().cluster("greeter", &[address]).to(Forward::to("greeter").with_rewrite(rewrite));
    let status = call(&mut client(&Mesh::fixed(config.build()))).await.unwrap_err();
    assert_eq!((status.code(), kind(&status)), (Code::Internal, Some(MeshErrorKind::MalformedRequest)));
    assert!(status.message().contains("/mesh.examples.v1.Greeter/ Hello"), "{status}");
    assert_eq!(take(&seen), []);
}

fn named(address: std::net::SocketAddr, hostname: &str) -> Endpoint {
    let mut endpoint = Endpoint::new(address);
    endpoint.hostname = hostname.into();
    endpoint
}

fn to_endpoints(endpoints: Vec<Endpoint>, mut forward: Forward) -> MeshConfig {
    forward.auto_host_rewrite = true;
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints))])]);
    let cluster = Cluster::new(ClusterSettings::new("greeter"), Discovery::Endpoints(Ok(Arc::new(set))));
    Config::default().entry("greeter", Ok(cluster)).to(forward).build()
}

/// Each attempt has the name of its own endpoint, or the target's.
///
/// Proves: RT-59.
#[tokio::test]
async fn attempts_have_their_endpoints_name_as_authority_unless_the_application_has_chosen_one() {
    let (address, seen) = recorder(0).await;
    for (hostname, authority) in [("one.test", "one.test"), ("", "greeter"), ("no name", "greeter")] {
        let mesh = Mesh::fixed(to_endpoints(vec![named(address, hostname)], Forward::to("greeter")));
        call(&mut client(&mesh)).await.unwrap();
        assert_eq!(take(&seen), one(authority, PATH), "{hostname:?}");
    }
    let mesh = Mesh::fixed(to_endpoints(vec![named(address, "one.test")], Forward::to("greeter")));
    let channel = MeshChannel::builder("greeter").mesh(&mesh).build().unwrap();
    let mut chosen = GreeterClient::with_origin(channel, "http://chosen.test".parse().unwrap());
    chosen.say_hello(hello("you")).await.unwrap();
    assert_eq!(take(&seen), one("chosen.test", PATH));

    let ((refusing, first), (answering, second)) = (recorder(usize::MAX).await, recorder(0).await);
    let both = vec![named(refusing, "first.test"), named(answering, "")];
    let mesh = Mesh::fixed(to_endpoints(both, with_retries("greeter", 2)));
    let mut client = client(&mesh);
    let mut retried = false;
    for _ in 0..1000 {
        call(&mut client).await.unwrap();
        let first = take(&first);
        assert!(first.iter().all(|(authority, _)| authority == "first.test"));
        retried |= !first.is_empty();
    }
    assert!(retried, "no call began at the endpoint that refuses");
    assert!(take(&second).iter().all(|(authority, _)| authority == "greeter"));
}
