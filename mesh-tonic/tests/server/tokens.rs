//! Tokens over real connections: which calls reach the handler, and where keys come from.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use mesh_core::config::{FilterInstance, ServerChain, ServerConfig, ServerRoutes};
use mesh_core::filter::{JwtConfig, RbacConfig};
use mesh_core::policy::jwt::{Audiences, JwtProvider, JwtRequirement, KeySet, KeySource, RemoteKeys};
use mesh_core::policy::matcher::{MetadataMatcher, StringMatcher, StringPattern, ValueMatcher};
use mesh_core::policy::rbac::{IpRange, Permission, Principal, RbacAction, RbacPolicy, RbacRules};
use mesh_core::testing::TokenIssuer;
use mesh_tonic::{FixedServer, ServerSettings, TokenKeySettings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::{Code, Request};

use crate::{HelloRequest, Running};

const ISSUER: &str = "https://issuer.example";

/// Tokens for `us` are believed, others refuse a call, and only the caller `me` is served.
fn only_me(keys: KeySource) -> ServerConfig {
    let provider = JwtProvider::new(ISSUER, keys)
        .with_audiences(Audiences::new(["us"]).unwrap())
        .with_payload_field("payload");
    let required = JwtRequirement::AnyOf(vec![
        JwtRequirement::Provider("issuer".to_owned(), None),
        JwtRequirement::AllowMissing,
    ]);
    let me = StringMatcher { pattern: StringPattern::Exact("me".to_owned()), ignore_case: false };
    let claim =
        MetadataMatcher::new("envoy.filters.http.jwt_authn", ["payload", "sub"], ValueMatcher::Text(me));
    let policy = RbacPolicy::new("me", [Permission::Any], [Principal::Metadata(claim)]);
    let chain = ServerChain::new(ServerRoutes::all()).with_filters([
        FilterInstance::new("jwt", JwtConfig::new([("issuer".into(), provider)], required)),
        FilterInstance::new("rbac", RbacConfig::new(RbacRules::new(RbacAction::Allow, [policy]))),
    ]);
    ServerConfig::of_chain(chain).unwrap()
}

fn token(issuer: &TokenIssuer, subject: &str, audience: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    issuer.sign(&json!({"iss": ISSUER, "sub": subject, "aud": audience, "exp": now + 3600}))
}

async fn code(server: &Running, token: Option<&str>) -> Code {
    let mut request = Request::new(HelloRequest::default());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    server.client().say_hello(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn only_calls_with_a_believed_token_reach_the_handler() {
    let (ours, foreign) = (TokenIssuer::new("one", 0), TokenIssuer::new("one", 1));
    let keys = KeySet::parse(TokenIssuer::key_set([&ours]).as_bytes()).unwrap();
    let config = FixedServer::new(only_me(KeySource::Inline(keys.into())));
    let server = Running::start("a", &config, ServerSettings::default()).await;
    let rows = [
        ("the right token", Some(token(&ours, "me", "us")), Code::Ok),
        ("another caller's", Some(token(&ours, "you", "us")), Code::PermissionDenied),
        ("for another server", Some(token(&ours, "me", "them")), Code::PermissionDenied),
        ("signed by a stranger", Some(token(&foreign, "me", "us")), Code::Unauthenticated),
        ("nonsense", Some("nonsense".to_owned()), Code::Unauthenticated),
        ("none", None, Code::PermissionDenied),
    ];
    for (row, token, expected) in rows {
        assert_eq!(code(&server, token.as_deref()).await, expected, "{row}");
    }
}

/// Answers every connection with this key set.
async fn key_server(keys: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") && stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0)
            {
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Keys that cannot be had let no token through: here because their address is local.
#[tokio::test]
async fn keys_at_a_url_are_fetched_where_the_settings_allow_it() {
    let issuer = TokenIssuer::new("one", 0);
    let address = key_server(TokenIssuer::key_set([&issuer])).await;
    let mut remote = RemoteKeys::new(format!("http://{address}/keys").parse().unwrap());
    remote.timeout = Duration::from_secs(60);
    let config = FixedServer::new(only_me(KeySource::Remote(remote)));
    let good = token(&issuer, "me", "us");
    let strict = Running::start("a", &config, ServerSettings::default()).await;
    assert_eq!(code(&strict, Some(&good)).await, Code::Unauthenticated);
    assert_eq!(code(&strict, None).await, Code::PermissionDenied);
    let mut settings = ServerSettings::default();
    settings.token_keys = TokenKeySettings::default();
    settings.token_keys.allowed_addresses = vec![IpRange::new(address.ip(), None).unwrap()];
    let allowing = Running::start("b", &config, settings).await;
    // the first call waits for the keys
    assert_eq!(code(&allowing, Some(&good)).await, Code::Ok);
}
