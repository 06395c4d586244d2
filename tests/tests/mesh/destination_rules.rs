//! Fields of a DestinationRule, from YAML to calls of our client.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::config::{
    Http2Keepalive, LbPolicy, Maglev, SlowStart, TcpKeepalive, WeightSource, WeightedLeastRequest,
    WeightedRoundRobin,
};
use tests::mesh::MeshClient;

use crate::embedded::{client, document, settings, until_all_answer};

fn rule(policy: &str) -> String {
    let spec = format!("{{host: greeter, trafficPolicy: {{{policy}}}}}");
    document("networking.istio.io/v1", "DestinationRule", "greeter", &spec)
}

fn balanced(load_balancer: &str) -> String {
    rule(&format!("loadBalancer: {{{load_balancer}}}"))
}

/// The endpoints of so many calls with this metadata.
async fn endpoints(client: &MeshClient, calls: usize, metadata: &[(&'static str, &str)]) -> Vec<String> {
    let mut endpoints = Vec::new();
    for _ in 0..calls {
        endpoints.push(client.hello_with(metadata).await.unwrap().endpoint);
    }
    endpoints
}

fn different(endpoints: &[String]) -> usize {
    endpoints.iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn random_choice_takes_an_endpoint_twice_in_a_row() {
    let client = client(2, &balanced("simple: RANDOM")).await;
    until_all_answer(&client, 2).await;
    let answered = endpoints(&client, 100, &[]).await;
    assert!(answered.windows(2).any(|pair| pair[0] == pair[1]), "{answered:?}");
    assert_eq!(different(&answered), 2, "{answered:?}");
}

#[tokio::test]
async fn calls_with_the_same_key_go_to_the_same_endpoint() {
    let rows = [
        ("consistentHash: {httpHeaderName: x-user}", "x-user", ["KEY", "KEY"]),
        ("consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 251}}", "x-user", ["KEY", "KEY"]),
        (
            "consistentHash: {httpCookie: {name: session, ttl: 0s}}",
            "cookie",
            ["session=KEY", "a=1; session=KEY; b=2"],
        ),
        (
            "consistentHash: {httpCookie: {name: session}, maglev: {}}",
            "cookie",
            ["b=3; session=KEY", "session=KEY;c=4"],
        ),
    ];
    for (load_balancer, header, values) in rows {
        let client = client(4, &balanced(load_balancer)).await;
        let mut used = Vec::new();
        for key in 0..32 {
            let values = values.map(|value| value.replace("KEY", &key.to_string()));
            let mut answered = endpoints(&client, 2, &[(header, &values[0])]).await;
            answered.extend(endpoints(&client, 2, &[(header, &values[1])]).await);
            assert_eq!(different(&answered), 1, "{load_balancer} {key}: {answered:?}");
            used.extend(answered);
        }
        assert!(different(&used) > 1, "{load_balancer}: one endpoint for 32 keys");
    }
}

#[tokio::test]
async fn channel_stays_with_one_endpoint_where_its_source_decides() {
    let client = client(4, &balanced("consistentHash: {useSourceIp: true}")).await;
    let answered = endpoints(&client, 40, &[]).await;
    assert_eq!(different(&answered), 1, "{answered:?}");
}

#[tokio::test]
async fn load_balancers_reach_the_client() {
    let slow_start = |aggression, percent| {
        let mut slow_start = SlowStart::new(Duration::from_secs(60));
        (slow_start.aggression, slow_start.min_weight_percent) = (aggression, percent);
        slow_start
    };
    let round_robin = |slow_start| {
        LbPolicy::WeightedRoundRobin(
            WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start),
        )
    };
    let mut least_request = WeightedLeastRequest::default();
    least_request.slow_start = Some(slow_start(1.0, 10.0));
    let mut maglev = Maglev::default();
    maglev.table_size = 251;
    let rows = [
        ("simple: ROUND_ROBIN", LbPolicy::RoundRobin),
        ("simple: LEAST_REQUEST", LbPolicy::LeastRequest { choice_count: 2 }),
        ("simple: RANDOM", LbPolicy::Random),
        ("warmup: {duration: 60s, minimumPercent: 5, aggression: 2}", round_robin(slow_start(2.0, 5.0))),
        ("warmupDurationSecs: 60s", round_robin(slow_start(1.0, 10.0))),
        ("simple: LEAST_REQUEST, warmup: {duration: 60s}", LbPolicy::WeightedLeastRequest(least_request)),
        ("simple: RANDOM, warmup: {duration: 60s}", LbPolicy::Random),
        ("consistentHash: {httpHeaderName: x, maglev: {tableSize: 251}}", LbPolicy::Maglev(maglev)),
        ("consistentHash: {httpQueryParameterName: x}", LbPolicy::RoundRobin),
    ];
    for (load_balancer, expected) in rows {
        let client = client(1, &balanced(load_balancer)).await;
        assert_eq!(settings(&client).await.lb_policy, expected, "{load_balancer}");
        client.hello().await.unwrap();
    }
}

#[tokio::test]
async fn connection_pool_reaches_the_client() {
    let pool = "tcp: {connectTimeout: 3s, tcpKeepalive: {probes: 4, time: 30s, interval: 1.5s}}, http: {idleTimeout: 90s, \
                maxRequestsPerConnection: 9, maxConcurrentStreams: 7, http2KeepAlive: {interval: 40s, timeout: 5s}}";
    let client = client(1, &rule(&format!("connectionPool: {{{pool}}}"))).await;
    let connection = settings(&client).await.connection;
    let seconds = Duration::from_secs;
    assert_eq!(connection.connect_timeout, Some(seconds(3)));
    assert_eq!(connection.idle_timeout, Some(seconds(90)));
    assert_eq!(connection.max_requests, NonZeroU32::new(9));
    assert_eq!(connection.max_concurrent_streams, NonZeroU32::new(7));
    assert_eq!(
        connection.http2_keepalive,
        Some(Http2Keepalive { interval: seconds(40), timeout: seconds(5) })
    );
    let probes =
        TcpKeepalive { probes: NonZeroU32::new(4), time: Some(seconds(30)), interval: Some(seconds(2)) };
    assert_eq!(connection.tcp_keepalive, Some(probes));
    for _ in 0..30 {
        client.hello().await.unwrap();
    }
}

#[tokio::test]
async fn idle_timeout_of_zero_keeps_connections() {
    let client = client(1, &rule("connectionPool: {tcp: {idleTimeout: 0s}}")).await;
    assert_eq!(settings(&client).await.connection.idle_timeout, None);
}
