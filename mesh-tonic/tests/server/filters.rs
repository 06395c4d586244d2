//! Filters that come with the mesh, on the calls of a server.

use std::time::Duration;

use mesh_core::config::{FilterInstance, ServerChain, ServerConfig, ServerRoutes};
use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, FaultPolicy, Percentage, RateLimitPolicy, TokenLimit,
};
use mesh_core::policy::matcher::Fraction;
use mesh_tonic::{FixedServer, ServerSettings};
use tonic::Code;

use crate::{Running, call};

async fn server_with(filter: FilterInstance) -> Running {
    let chain = ServerChain::new(ServerRoutes::all()).with_filters([filter]);
    let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
    Running::start("a", &config, ServerSettings::default()).await
}

/// The bucket is filled once in an hour, so that the calls of the test are all that it gets.
#[tokio::test]
async fn calls_over_a_servers_rate_limit_do_not_reach_the_handler() {
    let mut policy =
        RateLimitPolicy::new("server", TokenLimit::new(3, 3, Duration::from_secs(3600)).unwrap());
    (policy.enabled, policy.enforced) = (Fraction::ALL, Fraction::ALL);
    let server = server_with(FilterInstance::new("limit", policy)).await;
    // two clients share the bucket
    let mut clients = [server.client(), server.client()];
    let mut codes = Vec::new();
    for turn in 0..5 {
        let called = call(&mut clients[turn % 2]).await;
        codes.push(called.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    let refused = Code::Unavailable;
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::Ok, refused, refused]);
}

#[tokio::test]
async fn faults_of_a_server_end_calls_before_the_handler() {
    let mut policy = FaultPolicy::new();
    let source = AbortSource::Status(AbortStatus::Grpc(Code::ResourceExhausted as u32));
    policy.abort = Some(Abort { source, percentage: Percentage::of_hundred(100) });
    let server = server_with(FilterInstance::new("fault", policy)).await;
    let status = call(&mut server.client()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "aborted by fault injection"));
}
