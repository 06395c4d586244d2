//! Session affinity (gRFC A55, A60) with real endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterChoice, ClusterSettings, Discovery, Endpoint as Place, EndpointSet, FilterOverride,
    FilterOverrides, Forward, HealthStatus, LbPolicy, Locality, MeshConfig, Priority, RingHash, Route,
    RouteAction, RouteMatch, WeightedCluster,
};
use mesh_core::filter::{LostSession, SessionCookie, SessionState, StatefulSession, StatefulSessionOverride};
use mesh_core::runtime::FixedSource;
use tonic::{Code, Request, Status};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{Client, client, hello};

fn settings(name: &str, statuses: &[HealthStatus]) -> ClusterSettings {
    let mut settings = ClusterSettings::new(name);
    settings.override_host_status = statuses.into();
    settings
}

fn cluster(settings: ClusterSettings, endpoints: &[(&Endpoint, HealthStatus)]) -> Cluster {
    let places = endpoints.iter().map(|(endpoint, health)| {
        let mut place = Place::new(endpoint.address);
        place.health = *health;
        place
    });
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(places.collect()))])]);
    Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))))
}

fn cookies() -> StatefulSession {
    StatefulSession::new(SessionState::Cookie(SessionCookie::new("session")))
}

/// All endpoints in one cluster with sessions in cookies.
fn config(settings: ClusterSettings, endpoints: &[(&Endpoint, HealthStatus)]) -> MeshConfig {
    let cluster = cluster(settings, endpoints);
    Config::default()
        .entry("greeter", Ok(cluster))
        .to(Forward::to("greeter"))
        .filter("session", cookies())
        .build()
}

/// A caller that keeps its cookie.
#[derive(Clone)]
struct Browser {
    client: Client,
    cookie: Option<String>,
    /// How often it got a cookie.
    given: usize,
}

impl Browser {
    fn new(mesh: &Mesh) -> Self {
        Self { client: client(mesh), cookie: None, given: 0 }
    }

    /// Calls, and returns who answered.
    async fn call(&mut self) -> Result<String, Status> {
        let mut request = Request::new(hello("you"));
        if let Some(cookie) = &self.cookie {
            request.metadata_mut().insert("cookie", cookie.parse().unwrap());
        }
        let response = self.client.say_hello(request).await?;
        if let Some(given) = response.metadata().get("set-cookie") {
            let given = given.to_str().unwrap();
            assert!(given.ends_with("; Path=/; HttpOnly"), "C38: a session cookie has no end: {given}");
            self.cookie = Some(given.split(';').next().unwrap().to_owned());
            self.given += 1;
        }
        Ok(response.into_inner().endpoint)
    }

    async fn calls(&mut self, count: usize) -> Vec<String> {
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(self.call().await.unwrap());
        }
        answers.sort();
        answers.dedup();
        answers
    }
}

async fn endpoints<const N: usize>() -> [Endpoint; N] {
    let mut started = Vec::new();
    for number in 0..N {
        started.push(Endpoint::start(&number.to_string()).await);
    }
    started.try_into().unwrap_or_else(|_| unreachable!())
}

const HEALTHY: HealthStatus = HealthStatus::Healthy;
const DRAINING: HealthStatus = HealthStatus::Draining;

/// Case C38 a.
///
/// Proves: HF-27, LB-66.
#[tokio::test]
async fn session_stays_at_its_endpoint_and_others_are_spread() {
    let [a, b, c] = endpoints().await;
    let config = config(settings("greeter", &[HEALTHY]), &[(&a, HEALTHY), (&b, HEALTHY), (&c, HEALTHY)]);
    let mesh = Mesh::fixed(config.for_target("greeter"));
    let mut first = Browser::new(&mesh);
    let bound = first.calls(30).await;
    assert_eq!((bound.len(), first.given), (1, 1), "{bound:?}");
    // The third one may still be connecting.
    let mut seen = BTreeSet::new();
    for _ in 0..100_000 {
        seen.insert(Browser { cookie: None, ..first.clone() }.call().await.unwrap());
        if seen.len() == 3 {
            break;
        }
    }
    assert_eq!(seen.len(), 3, "calls without a session go everywhere");
    first.cookie = Some("session=bm90aGluZw==".to_owned());
    first.call().await.unwrap();
    assert_eq!(first.given, 2, "a cookie that names no endpoint is ignored");
}

/// Proves: LB-67, EDS-11.
#[tokio::test]
async fn draining_endpoint_keeps_its_sessions_and_gets_no_others() {
    let [a, b] = endpoints().await;
    let statuses = [HealthStatus::Unknown, HEALTHY, DRAINING];
    let with = |health| config(settings("greeter", &statuses), &[(&a, health), (&b, HEALTHY)]);
    let source = FixedSource::any(with(HEALTHY));
    let mesh = Mesh::new(source.clone());
    let mut bound = Browser::new(&mesh);
    while bound.call().await.unwrap() != "0" {
        bound.cookie = None;
    }
    source.set("greeter", with(DRAINING));
    // Until the update is in use.
    loop {
        let answers = Browser { cookie: None, ..bound.clone() }.calls(1).await;
        let again = Browser { cookie: None, ..bound.clone() }.calls(1).await;
        if answers == ["1"] && again == ["1"] {
            break;
        }
    }
    let connections = a.connections();
    let given = bound.given;
    assert_eq!(bound.calls(20).await, ["0"]);
    assert_eq!(Browser { cookie: None, ..bound.clone() }.call().await.unwrap(), "1");
    assert_eq!((bound.given, a.connections()), (given, connections), "the same cookie, the same connection");
    // It has left: another endpoint, another cookie.
    source.set("greeter", config(settings("greeter", &statuses), &[(&b, HEALTHY)]));
    while bound.call().await.unwrap() == "0" {}
    assert_eq!((bound.given, bound.calls(10).await), (given + 1, vec!["1".to_owned()]));
}

/// Proves: LB-67.
#[tokio::test]
async fn draining_endpoint_is_gone_for_sessions_that_may_not_use_it() {
    let [a, b] = endpoints().await;
    let with = |health| config(settings("greeter", &[HEALTHY]), &[(&a, health), (&b, HEALTHY)]);
    let source = FixedSource::any(with(HEALTHY));
    let mut bound = Browser::new(&Mesh::new(source.clone()));
    while bound.call().await.unwrap() != "0" {
        bound.cookie = None;
    }
    source.set("greeter", with(DRAINING));
    while bound.call().await.unwrap() == "0" {}
    assert_eq!(bound.calls(10).await, ["1"]);
}

/// Proves: LB-66.
#[tokio::test]
async fn endpoint_without_a_connection_is_connected_for_its_session() {
    let [a, b, c] = endpoints().await;
    let ring =
        settings("greeter", &[HEALTHY, DRAINING]).with_lb_policy(LbPolicy::RingHash(RingHash::new(64, 64)));
    let config = config(ring, &[(&a, HEALTHY), (&b, HEALTHY), (&c, DRAINING)]);
    let mesh = Mesh::fixed(config.for_target("greeter"));
    for (endpoint, name) in [(&a, "0"), (&b, "1"), (&c, "2")] {
        let mut browser = Browser::new(&mesh);
        let session = format!("{};greeter", endpoint.address);
        browser.cookie = Some(format!("session={}", base64(&session)));
        assert_eq!((browser.calls(5).await, browser.given), (vec![name.to_owned()], 0));
        assert_eq!(endpoint.connections(), 1);
    }
}

/// What a cookie says is its caller's word. Endpoints that are unhealthy are not in the cluster, either.
///
/// Proves: SEC-13.
#[tokio::test]
async fn session_reaches_no_endpoint_that_the_cluster_does_not_have() {
    let [known, stranger] = endpoints().await;
    let mesh =
        Mesh::fixed(config(settings("greeter", &[HEALTHY]), &[(&known, HEALTHY)]).for_target("greeter"));
    for _ in 0..5 {
        let mut browser = Browser::new(&mesh);
        browser.cookie = Some(format!("session={}", base64(&format!("{};greeter", stranger.address))));
        assert_eq!((browser.call().await.unwrap(), browser.given), ("0".to_owned(), 1));
    }
    assert_eq!((stranger.calls(), stranger.connections()), (0, 0));
}

/// As in RFC 4648, for texts whose length is known to need it.
fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let at = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= three.len() { DIGITS[at] as char } else { '=' });
        }
    }
    out
}

fn weighted(clusters: &[&str]) -> Forward {
    let entries = clusters.iter().map(|name| WeightedCluster::new(*name, 50));
    Forward::new(ClusterChoice::weighted(entries).unwrap())
}

/// Case C38 b.
///
/// Proves: HF-26.
#[tokio::test]
async fn session_stays_in_its_cluster_as_long_as_the_route_has_it() {
    let [a, b] = endpoints().await;
    let with = |names: &[&str]| {
        let (a, b) = (
            cluster(settings("a", &[HEALTHY]), &[(&a, HEALTHY)]),
            cluster(settings("b", &[HEALTHY]), &[(&b, HEALTHY)]),
        );
        let clusters = Config::default().entry("a", Ok(a)).entry("b", Ok(b));
        clusters.to(weighted(names)).filter("session", cookies()).build()
    };
    let source = FixedSource::any(with(&["a", "b"]));
    let mesh = Mesh::new(source.clone());
    for name in ["0", "1"] {
        let mut browser = Browser::new(&mesh);
        while browser.call().await.unwrap() != name {
            browser.cookie = None;
        }
        assert_eq!(browser.calls(30).await, [name], "half of the calls would go to the other cluster");
    }
    let mut browser = Browser::new(&mesh);
    while browser.call().await.unwrap() != "0" {
        browser.cookie = None;
    }
    let given = browser.given;
    source.set("greeter", with(&["b"]));
    while browser.call().await.unwrap() == "0" {}
    assert_eq!((browser.given, browser.calls(5).await), (given + 1, vec!["1".to_owned()]));
}

/// Proves: HF-24.
#[tokio::test]
async fn route_may_have_no_sessions_or_strict_ones_in_a_header() {
    let [a, b] = endpoints().await;
    let with = |over: StatefulSessionOverride| {
        let mut route = Route::new(RouteMatch::any(), RouteAction::Forward(Forward::to("greeter")));
        route.filters = FilterOverrides::new().with("session", FilterOverride::config(over));
        let both = cluster(settings("greeter", &[HEALTHY]), &[(&a, HEALTHY), (&b, HEALTHY)]);
        let mut config = Config::default().entry("greeter", Ok(both)).filter("session", cookies());
        config.routes.push(Arc::new(route));
        Mesh::fixed(config.build().for_target("greeter"))
    };
    let mut none = Browser::new(&with(StatefulSessionOverride::Disabled));
    assert_eq!((none.calls(20).await.len(), none.given), (2, 0));
    let mut strict = StatefulSession::new(SessionState::Header("x-session".parse().unwrap()));
    strict.lost = LostSession::Fail;
    let mut client = client(&with(StatefulSessionOverride::Config(strict)));
    let response = client.say_hello(hello("you")).await.unwrap();
    let session = response.metadata().get("x-session").unwrap().clone();
    let name = response.into_inner().endpoint;
    for _ in 0..10 {
        let mut request = Request::new(hello("you"));
        request.metadata_mut().insert("x-session", session.clone());
        assert_eq!(client.say_hello(request).await.unwrap().into_inner().endpoint, name);
    }
    let mut request = Request::new(hello("you"));
    request.metadata_mut().insert("x-session", base64("127.0.0.1:1;greeter").parse().unwrap());
    let status = client.say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}
