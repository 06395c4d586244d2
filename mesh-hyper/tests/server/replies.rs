//! What callers get that a server refuses: HTTP's statuses, and gRPC's for calls of gRPC.

use std::time::Duration;

use http::StatusCode;
use mesh_core::config::{FilterInstance, ServerChain, ServerConfig, ServerRoutes};
use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, FaultPolicy, Percentage, RateLimitPolicy, RbacConfig, TokenLimit,
};
use mesh_core::policy::matcher::{Fraction, StringMatcher, StringPattern};
use mesh_core::policy::rbac::{Permission, Principal, RbacAction, RbacPolicy, RbacRules};
use mesh_hyper::{FixedServer, ServerSettings};

use crate::{Running, router};

fn no_admin() -> FilterInstance {
    let admin = StringMatcher { pattern: StringPattern::Prefix("/admin".to_owned()), ignore_case: false };
    let policy = RbacPolicy::new("no-admin", [Permission::UrlPath(admin)], [Principal::Any]);
    FilterInstance::new("rbac", RbacConfig::new(RbacRules::new(RbacAction::Deny, [policy])))
}

fn aborting(status: AbortStatus) -> FilterInstance {
    let mut policy = FaultPolicy::new();
    let source = AbortSource::Status(status);
    policy.abort = Some(Abort { source, percentage: Percentage::of_hundred(100) });
    FilterInstance::new("fault", policy)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

fn call(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
}

/// No other form of a path slips past a rule.
#[tokio::test]
async fn denied_path_is_forbidden_in_every_form() {
    let server = Running::filtering([no_admin()]).await;
    for path in
        ["/admin", "/x/../admin", "/x/%2e%2e/admin", "/%61dmin", "/x\\..\\admin", "/admin#x", "/./admin"]
    {
        let answer = server.exchange(get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
        assert!(!answer.contains("no-admin"), "{path}: {answer}");
    }
    assert!(server.exchange(get("/public")).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn refused_call_of_grpc_gets_a_grpc_status() {
    let server = Running::filtering([no_admin()]).await;
    let answer = server.exchange(call("/admin/Get")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for field in
        ["content-type: application/grpc\r\n", "grpc-status: 7\r\n", "grpc-message: access denied\r\n"]
    {
        assert!(answer.contains(field), "{field}: {answer}");
    }
}

#[tokio::test]
async fn faults_have_the_status_of_the_callers_protocol() {
    let rows = [
        (AbortStatus::Http(StatusCode::IM_A_TEAPOT), "HTTP/1.1 418 ", "grpc-status: 2\r\n"),
        (AbortStatus::Grpc(8), "HTTP/1.1 429 ", "grpc-status: 8\r\n"),
        (AbortStatus::Grpc(14), "HTTP/1.1 503 ", "grpc-status: 14\r\n"),
    ];
    for (status, http, grpc) in rows {
        let server = Running::filtering([aborting(status)]).await;
        let answer = server.exchange(get("/x")).await;
        assert!(answer.starts_with(http), "{answer}");
        assert!(server.exchange(call("/pkg.Svc/Get")).await.contains(grpc), "{grpc}");
    }
}

/// The bucket is filled once in an hour, so that the requests of the test are all that it gets.
#[tokio::test]
async fn requests_over_a_servers_rate_limit_do_not_reach_the_handler() {
    let limit = TokenLimit::new(2, 2, Duration::from_secs(3600)).unwrap();
    let mut policy = RateLimitPolicy::new("server", limit);
    (policy.enabled, policy.enforced) = (Fraction::ALL, Fraction::ALL);
    let server = Running::filtering([FilterInstance::new("limit", policy)]).await;
    for expected in ["HTTP/1.1 200 ", "HTTP/1.1 200 ", "HTTP/1.1 429 "] {
        let answer = server.exchange(get("/x")).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn request_that_no_route_takes_is_not_found() {
    let chain = ServerChain::new(ServerRoutes::default());
    let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
    let server = Running::start(&config, ServerSettings::default(), router()).await;
    assert!(server.exchange(get("/x")).await.starts_with("HTTP/1.1 404 "));
    assert!(server.exchange(call("/pkg.Svc/Get")).await.contains("grpc-status: 14\r\n"));
}
