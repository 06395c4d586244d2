//! The filter: what callers, later filters and handlers get of a token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::Request;
use http::header::AUTHORIZATION;
use http::{HeaderName, Uri};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::*;
use crate::config::{
    FilterInstance, FilterOverride, FilterOverrides, HeaderMutations, MeshConfig, RouteMatch,
};
use crate::counters::CounterStore;
use crate::filter::{
    CallFilters, CallPath, ChainCompiler, DynamicMetadata, FilterScope, Level, Progress, RbacConfig,
    RouteFilters,
};
use crate::peer::Peer;
use crate::policy::jwt::{ClaimHeader, JwtRequirement, PayloadHeader, RemoteKeys};
use crate::policy::matcher::{MetadataMatcher, PathMatcher, StringMatcher, StringPattern, ValueMatcher};
use crate::policy::rbac::{Permission, Principal, RbacAction, RbacPolicy, RbacRules};
use crate::testing::TokenIssuer;

const ISSUER: &str = "https://issuer.example";

fn key_set(name: &str, key: usize) -> Arc<KeySet> {
    let text = TokenIssuer::key_set([&TokenIssuer::new(name, key)]);
    Arc::new(KeySet::parse(text.as_bytes()).unwrap())
}

fn inline() -> JwtProvider {
    JwtProvider::new(ISSUER, KeySource::Inline(key_set("one", 0))).with_payload_field("payload")
}

fn remote() -> JwtProvider {
    let keys = RemoteKeys::new(Uri::from_static("https://issuer.example/keys"));
    JwtProvider { keys: KeySource::Remote(keys), ..inline() }
}

fn config(provider: JwtProvider) -> JwtConfig {
    let either = JwtRequirement::AnyOf(vec![
        JwtRequirement::Provider("a".to_owned(), None),
        JwtRequirement::AllowMissing,
    ]);
    JwtConfig::new([("a".into(), provider)], either)
}

fn token(issuer: &TokenIssuer, more: &Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": "me"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    issuer.sign(&claims)
}

fn good(more: &Value) -> String {
    token(&TokenIssuer::new("one", 0), more)
}

/// A call with a token, and with headers of its own.
fn request(path: &str, token: Option<&str>, headers: &[(&'static str, &str)]) -> request::Parts {
    let mut request = Request::post(format!("http://svc{path}"));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// A server's filters in their order.
struct Server {
    config: MeshConfig,
    scope: FilterScope,
    counters: Arc<CounterStore>,
    overrides: FilterOverrides,
}

impl Server {
    fn new(jwt: JwtConfig, rbac: Option<RbacConfig>) -> Self {
        let rbac = rbac.map(|rbac| FilterInstance::new("rbac", rbac));
        let filters: Vec<_> = std::iter::once(FilterInstance::new("jwt", jwt)).chain(rbac).collect();
        let config = MeshConfig::to_endpoints("c", []).with_filters(filters);
        let counters = Arc::new(CounterStore::default());
        let scope = FilterScope::new(counters.clone());
        Self { config, scope, counters, overrides: FilterOverrides::default() }
    }

    /// The head of a call that is taken, or the reply, after all waits.
    async fn call(&self, mut head: request::Parts) -> Result<request::Parts, LocalReply> {
        let headers = HeaderMutations::new();
        let level = Level { name: "", filters: &self.overrides, headers: &headers };
        let Some(chain) = ChainCompiler::new(&self.config, &self.scope).chain(&[level]) else {
            return Ok(head);
        };
        let path = CallPath { route: "r".into(), cluster: "".into(), authority: "svc".into() }.into();
        let peer = Peer::new("10.0.0.1:4711".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let mut filters = CallFilters::new(Arc::new(RouteFilters { chain, path }), Some(Arc::new(peer)));
        let mut rng = StdRng::seed_from_u64(41);
        let mut progress = filters.on_request(&mut head, &mut rng);
        loop {
            match progress {
                Progress::Passed => return Ok(head),
                Progress::Reply(reply) => return Err(reply),
                Progress::Wait(until) => progress = filters.resume(until.await, &mut head, &mut rng),
            }
        }
    }

    async fn message(&self, head: request::Parts) -> Result<(), String> {
        self.call(head).await.map(drop).map_err(|reply| reply.message.to_string())
    }

    fn counted(&self) -> Vec<String> {
        let counters = self.counters.values().into_iter();
        counters
            .filter(|one| one.family == crate::counters::TOKENS)
            .map(|one| format!("{} {}", one.labels.join(" "), one.value))
            .collect()
    }
}

/// Rules that take callers whose token has this subject.
fn only(subject: StringPattern) -> RbacConfig {
    let subject = ValueMatcher::Text(StringMatcher { pattern: subject, ignore_case: false });
    let claim = MetadataMatcher::new("envoy.filters.http.jwt_authn", ["payload", "sub"], subject);
    let policy = RbacPolicy::new("only", [Permission::Any], [Principal::Metadata(claim)]);
    RbacConfig::new(RbacRules::new(RbacAction::Allow, [policy]))
}

/// Row J7 of the identity cases, the engine's half.
#[tokio::test]
async fn claims_of_a_believed_token_reach_authorization() {
    let server = Server::new(config(inline()), Some(only(StringPattern::Exact("me".to_owned()))));
    let other = good(&json!({"sub": "you"}));
    let forged = token(&TokenIssuer::new("one", 1), &json!({}));
    let rows = [
        (Some(good(&json!({}))), Ok(())),
        (Some(other), Err("access denied")),
        (Some(forged), Err("the token's signature is wrong")),
        (Some("x".to_owned()), Err("the token is malformed")),
        (None, Err("access denied")),
    ];
    for (token, expected) in rows {
        let verdict = server.message(request("/s/m", token.as_deref(), &[])).await;
        assert_eq!(verdict, expected.map_err(str::to_owned), "{token:?}");
    }
    assert_eq!(server.counted(), ["jwt accepted 3", "jwt malformed 1", "jwt signature 1"]);
}

/// Proves: HF-44.
#[tokio::test]
async fn application_gets_what_was_checked_and_no_forged_header() {
    let (payload, claim) = (HeaderName::from_static("x-payload"), HeaderName::from_static("x-sub"));
    let list = ClaimHeader::new(HeaderName::from_static("x-roles"), ["realm.x", "roles"]);
    let provider = JwtProvider {
        payload_header: Some(PayloadHeader::new(payload.clone())),
        claim_headers: vec![ClaimHeader::new(claim.clone(), ["sub"]), list],
        split_claims: vec!["scope".to_owned()],
        header_field: Some("header".to_owned()),
        ..inline()
    };
    let server = Server::new(config(provider.clone()), None);
    let token = good(&json!({"scope": "a b", "realm.x": {"roles": ["r"]}}));
    let forged = [("x-payload", "forged"), ("x-sub", "admin"), ("x-roles", "all")];
    let head = server.call(request("/s/m", Some(&token), &forged)).await.unwrap();
    let sent = token.split('.').nth(1).unwrap();
    assert_eq!(head.headers[&payload], sent);
    assert_eq!(
        (&head.headers[&claim], &head.headers["x-roles"]),
        (&"me".parse().unwrap(), &"WyJyIl0".parse().unwrap())
    );
    assert_eq!(head.headers.get(AUTHORIZATION), None);
    let metadata = head.extensions.get::<DynamicMetadata>().unwrap();
    let written = metadata.namespace("envoy.filters.http.jwt_authn").unwrap();
    assert_eq!(
        (&written["payload"]["scope"], &written["header"]["kid"]),
        (&json!(["a", "b"]), &json!("one"))
    );

    // without a token the headers are gone all the same
    let head = server.call(request("/s/m", None, &forged)).await.unwrap();
    assert_eq!(head.headers.len(), 0);

    let forwarding = Server::new(config(JwtProvider { forward: true, ..provider }), None);
    let head = forwarding.call(request("/s/m", Some(&token), &[])).await.unwrap();
    assert!(head.headers.contains_key(AUTHORIZATION));
}

/// Proves: HF-43.
#[tokio::test]
async fn first_rule_that_matches_counts_and_routes_choose_others() {
    let required = JwtRequirement::Provider("a".to_owned(), None);
    let of = |path: &str, requirement: Option<JwtRequirement>| JwtRule {
        matches: RouteMatch::new(PathMatcher::Prefix { prefix: path.to_owned(), ignore_case: false }),
        requirement,
    };
    let provider = inline().with_audiences(crate::policy::jwt::Audiences::new(["us"]).unwrap());
    let config = JwtConfig {
        rules: vec![of("/open", None), of("/s", Some(required.clone()))],
        named: vec![("strict".to_owned(), required)],
        ..config(provider)
    };
    let mut server = Server::new(config.clone(), None);
    for (path, expected) in [("/open/m", true), ("/s/m", false), ("/other/m", true)] {
        assert_eq!(server.call(request(path, None, &[])).await.is_ok(), expected, "{path}");
    }
    let missing = server.call(request("/s/m", None, &[])).await.unwrap_err();
    assert_eq!(missing.status, crate::filter::LocalStatus::Http(StatusCode::UNAUTHORIZED));
    assert_eq!(missing.headers[WWW_AUTHENTICATE], "Bearer");
    let elsewhere = server.call(request("/s/m", Some(&good(&json!({}))), &[])).await.unwrap_err();
    assert_eq!(elsewhere.status, crate::filter::LocalStatus::Http(StatusCode::FORBIDDEN));

    let with = |entry| [("jwt".into(), FilterOverride::config(entry))].into_iter().collect();
    server.overrides = with(JwtOverride::Disabled);
    assert!(server.call(request("/s/m", None, &[])).await.is_ok());
    server.overrides = with(JwtOverride::Requirement("strict".to_owned()));
    assert!(server.call(request("/open/m", None, &[])).await.is_err());
    server.overrides = with(JwtOverride::Requirement("unknown".to_owned()));
    let message = server.message(request("/open/m", Some(&good(&json!({"aud": "us"}))), &[])).await;
    assert!(message.unwrap_err().contains("there is no requirement \"unknown\""));

    let hiding = Server::new(JwtConfig { hides_reason: true, ..config }, None);
    let refused = hiding.call(request("/s/m", None, &[])).await.unwrap_err();
    assert_eq!((&*refused.message, refused.headers.len()), ("", 0));
}

/// Key sets that the test hands out.
#[derive(Debug, Default)]
struct Fetcher {
    current: Mutex<Option<Arc<KeySet>>>,
    /// What the next fetch brings; `None`: it fails, and nothing more is fetched.
    next: Mutex<Option<Arc<KeySet>>>,
    may_fetch: AtomicBool,
}

/// The one key set of a fetcher.
#[derive(Debug)]
struct Fetching(Arc<Fetcher>);

impl RemoteKeySets for Arc<Fetcher> {
    fn of(&self, _: &RemoteKeys) -> Result<Arc<dyn RemoteKeySet>, String> {
        Ok(Arc::new(Fetching(self.clone())))
    }
}

impl RemoteKeySet for Fetching {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.0.current.lock().unwrap().clone()
    }

    fn on_unknown_key(&self) -> Option<remote::Fetched> {
        let fetcher = self.0.clone();
        fetcher.may_fetch.swap(false, Ordering::Relaxed).then(|| {
            Box::pin(async move {
                let next = fetcher.next.lock().unwrap().take();
                if next.is_some() {
                    *fetcher.current.lock().unwrap() = next;
                }
            }) as remote::Fetched
        })
    }
}

/// Rows J5 and J6 of the identity cases, the filter's half.
#[tokio::test]
async fn call_waits_for_one_fetch_and_is_refused_without_keys() {
    let fetcher = Arc::new(Fetcher::default());
    let mut server = Server::new(config(remote()), None);
    server.scope = server.scope.with_remote_keys(Arc::new(fetcher.clone()));
    let (one, two) = (good(&json!({})), token(&TokenIssuer::new("two", 1), &json!({})));
    let call = async |token: &str| server.message(request("/s/m", Some(token), &[])).await;
    let no_keys = Err("the issuer's keys are not known".to_owned());
    let unknown = Err("the token's key is not known".to_owned());
    // the server of the keys is down
    assert_eq!(call(&one).await, no_keys);
    fetcher.may_fetch.store(true, Ordering::Relaxed);
    assert_eq!(call(&one).await, no_keys);
    // calls without a token do not need it
    assert_eq!(server.message(request("/s/m", None, &[])).await, Ok(()));
    // it is back
    *fetcher.next.lock().unwrap() = Some(key_set("one", 0));
    fetcher.may_fetch.store(true, Ordering::Relaxed);
    assert_eq!(call(&one).await, Ok(()));
    // a key that is not there yet
    assert_eq!(call(&two).await, unknown);
    assert_eq!(call(&one).await, Ok(()));
    *fetcher.next.lock().unwrap() = Some(key_set("two", 1));
    fetcher.may_fetch.store(true, Ordering::Relaxed);
    assert_eq!(call(&two).await, Ok(()));
    assert_eq!(call(&one).await, unknown);
}

/// A filter that cannot be made refuses calls.
#[tokio::test]
async fn calls_fail_where_keys_cannot_be_fetched() {
    let server = Server::new(config(remote()), None);
    let message = server.message(request("/s/m", None, &[])).await.unwrap_err();
    assert!(message.contains("key sets are fetched by servers only"), "{message}");
    let unknown = JwtConfig::new([], JwtRequirement::Provider("a".to_owned(), None));
    let message = Server::new(unknown, None).message(request("/s/m", None, &[])).await.unwrap_err();
    assert!(message.contains("there is no provider \"a\""), "{message}");
}
