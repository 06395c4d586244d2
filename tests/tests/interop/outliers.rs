//! Outlier detection: our client against an Envoy, over the same answers of the same endpoints.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::{HelloReply, HelloRequest};
use mesh_tonic::MeshChannel;
use serde_json::{Value, json};
use tests::envoy::Envoy;
use tests::mesh::MeshClient;
use tests::python::Python;
use tests::scripted::Scripted;
use tests::xds_server::XdsServer;
use tests::{eventually, xds};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Response, Status};
use xds_client::Options;

/// What five endpoints answer, a letter for each call (see [`Scripted`]), over and over; and who is ejected then.
struct History {
    name: &'static str,
    /// `outlier_detection` without the times; success rates are off unless it says something of them.
    settings: fn() -> Value,
    scripts: [&'static str; 5],
    ours: &'static [usize],
    envoys: &'static [usize],
}

const fn agree(
    name: &'static str,
    settings: fn() -> Value,
    scripts: [&'static str; 5],
    ejected: &'static [usize],
) -> History {
    History { name, settings, scripts, ours: ejected, envoys: ejected }
}

fn server_errors(threshold: u32) -> Value {
    json!({"consecutive_5xx": threshold})
}

fn gateway_errors() -> Value {
    json!({
        "consecutive_5xx": 0, "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100,
    })
}

fn at_most(percent: u32) -> Value {
    json!({"consecutive_5xx": 3, "max_ejection_percent": percent})
}

fn rates(mut settings: Value) -> Value {
    settings["consecutive_5xx"] = 0.into();
    for volume in ["success_rate_request_volume", "failure_percentage_request_volume"] {
        if settings.get(volume).is_none() {
            settings[volume] = 10.into();
        }
    }
    settings
}

fn success_rate() -> Value {
    rates(json!({"enforcing_success_rate": 100}))
}

fn failure_percentage(threshold: u32) -> Value {
    rates(json!({"enforcing_failure_percentage": 100, "failure_percentage_threshold": threshold}))
}

/// The last three are those in which the two rules differ: docs/outlier-detection.md says which holds for us.
const HISTORIES: &[History] = &[
    agree("five in a row", || server_errors(5), ["U", ".", ".", ".", "."], &[0]),
    agree("INTERNAL", || server_errors(5), [".", "I", ".", ".", "."], &[1]),
    agree("UNKNOWN and DATA_LOSS", || server_errors(5), ["K", ".", "L", ".", "."], &[0, 2]),
    agree("UNIMPLEMENTED", || server_errors(3), [".", ".", ".", "M", "."], &[3]),
    agree("DEADLINE_EXCEEDED", || server_errors(3), [".", ".", ".", ".", "D"], &[4]),
    agree("mixed server errors", || server_errors(3), ["UIK", ".", ".", ".", "."], &[0]),
    agree("never three in a row", || server_errors(3), ["II.", ".", ".", ".", "UU."], &[]),
    agree("three after a while", || server_errors(3), ["...III", ".", ".", ".", "."], &[0]),
    agree("NOT_FOUND ends a row", || server_errors(3), ["IIN", ".", ".", ".", "."], &[]),
    agree("NOT_FOUND is none", || server_errors(3), ["N", ".", ".", ".", "."], &[]),
    agree("RESOURCE_EXHAUSTED is none", || server_errors(3), [".", "R", ".", ".", "."], &[]),
    agree("all fail", || server_errors(3), ["U", "I", "K", "U", "I"], &[0, 1, 2, 3, 4]),
    agree("not enforced", || json!({"consecutive_5xx": 3, "enforcing_consecutive_5xx": 0}), ["I"; 5], &[]),
    agree("gateway errors", gateway_errors, ["U", ".", ".", ".", "."], &[0]),
    agree("both gateway errors", gateway_errors, [".", "UD", ".", ".", "."], &[1]),
    agree("INTERNAL ends a row of gateway errors", gateway_errors, ["UUI", ".", ".", ".", "."], &[]),
    agree("INTERNAL is no gateway error", gateway_errors, ["I", ".", ".", ".", "."], &[]),
    agree("one fits the limit", || at_most(20), ["I", ".", ".", ".", "."], &[0]),
    agree("one does not fit the limit", || at_most(19), ["I", ".", ".", ".", "."], &[]),
    agree(
        "one goes in any case",
        || json!({"consecutive_5xx": 3, "max_ejection_percent": 19, "always_eject_one_host": true}),
        ["I", ".", ".", ".", "."],
        &[0],
    ),
    agree("success rate", success_rate, [".", ".", ".", ".", "I"], &[4]),
    agree("success rate, all fail alike", success_rate, ["U"; 5], &[]),
    agree(
        "success rate, too few endpoints",
        || rates(json!({"enforcing_success_rate": 100, "success_rate_minimum_hosts": 6})),
        ["I", ".", ".", ".", "."],
        &[],
    ),
    agree(
        "success rate, too few calls",
        || rates(json!({"enforcing_success_rate": 100, "success_rate_request_volume": 1000})),
        ["I", ".", ".", ".", "."],
        &[],
    ),
    agree("failure percentage", || failure_percentage(85), ["I", "I.", ".", ".", "."], &[0]),
    agree("a lower failure percentage", || failure_percentage(30), ["I", "I.", "I....", ".", "."], &[0, 1]),
    agree(
        "failure percentage, too few endpoints",
        || rates(json!({"enforcing_failure_percentage": 100, "failure_percentage_minimum_hosts": 6})),
        ["I", ".", ".", ".", "."],
        &[],
    ),
    History {
        name: "gRPC ejects above the threshold, Envoy at it",
        settings: || failure_percentage(100),
        scripts: ["I", ".", ".", ".", "."],
        ours: &[],
        envoys: &[0],
    },
    History {
        name: "to gRPC every status but OK is a failure",
        settings: success_rate,
        scripts: ["N", ".", ".", ".", "."],
        ours: &[0],
        envoys: &[],
    },
    History {
        name: "gRPC ejects while less than the limit are ejected, Envoy if the limit holds afterwards",
        settings: || {
            let mut settings = failure_percentage(85);
            settings["max_ejection_percent"] = 10.into();
            settings
        },
        scripts: ["I", ".", ".", ".", "."],
        ours: &[0],
        envoys: &[],
    },
];

/// How many calls the endpoints of one history get together.
const CALLS: usize = 100;

/// The endpoints of every history.
struct Stage(Vec<[Scripted; 5]>);

impl Stage {
    async fn start() -> Self {
        let mut all = Vec::new();
        for History { scripts, .. } in HISTORIES {
            let mut endpoints = Vec::new();
            for script in scripts {
                endpoints.push(Scripted::start("e", script).await);
            }
            all.push(endpoints.try_into().unwrap());
        }
        Self(all)
    }

    fn addresses(&self, history: usize) -> [SocketAddr; 5] {
        self.0[history].each_ref().map(|endpoint| endpoint.address)
    }

    /// Which endpoints of each history are among these.
    fn numbers(&self, ejected: &BTreeMap<String, BTreeSet<SocketAddr>>) -> Vec<Vec<usize>> {
        let of_history = |history| {
            let found = ejected.get(&name(history)).cloned().unwrap_or_default();
            (0..5).filter(|number| found.contains(&self.addresses(history)[*number])).collect()
        };
        (0..HISTORIES.len()).map(of_history).collect()
    }
}

fn name(history: usize) -> String {
    format!("h{history}")
}

/// The ejection time is longer than the test, so no endpoint returns, and the test sees exactly one sweep.
fn outlier_detection(history: &History, interval: Duration) -> Value {
    let mut settings = json!({
        "interval": format!("{}s", interval.as_secs()),
        "base_ejection_time": "600s", "max_ejection_time": "600s",
        "max_ejection_percent": 100, "enforcing_success_rate": 0,
    });
    let own = (history.settings)();
    for (field, value) in own.as_object().unwrap() {
        settings[field] = value.clone();
    }
    settings
}

/// All calls of one history, one after the other.
async fn calls<F: Future<Output = Result<Response<HelloReply>, Status>>>(call: impl Fn(HelloRequest) -> F) {
    for _ in 0..CALLS {
        call(HelloRequest { name: "you".to_owned(), count: 1 }).await.ok();
    }
}

/// Who is ejected in each history; `None`: the calls took longer than the interval in which they are to be judged.
async fn by_envoy(program: &std::path::Path, interval: Duration) -> Option<Vec<Vec<usize>>> {
    let stage = Stage::start().await;
    let began = Instant::now();
    let envoy = Envoy::with_bootstrap(program.to_owned(), &bootstrap(&stage, interval).to_string()).await;
    let mut tasks = JoinSet::new();
    for history in 0..HISTORIES.len() {
        let endpoint = Channel::from_shared(format!("http://{}", envoy.address)).unwrap();
        let origin = format!("http://{}", name(history)).parse().unwrap();
        let client = GreeterClient::new(endpoint.origin(origin).connect_lazy());
        tasks.spawn(calls(move |request| {
            let mut client = client.clone();
            async move { client.say_hello(request).await }
        }));
    }
    tasks.join_all().await;
    if began.elapsed() >= interval {
        return None;
    }
    Some(
        after_sweep(interval, async || stage.numbers(&envoy.ejected().await), |history| history.envoys).await,
    )
}

async fn by_our_client(python: &Python, interval: Duration) -> Option<Vec<Vec<usize>>> {
    let stage = Stage::start().await;
    let mut control = XdsServer::start(python).await;
    let mut resources = Vec::new();
    for (number, history) in HISTORIES.iter().enumerate() {
        let name = name(number);
        let mut all = xds::service(&name, &name, &name, &stage.addresses(number));
        all[0]["outlier_detection"] = outlier_detection(history, interval);
        resources.extend(all);
    }
    control.set(&resources).await;
    let bootstrap = json!({
        "xds_servers": [{"server_uri": control.address.to_string(), "channel_creds": [{"type": "insecure"}]}],
        "node": {"id": "outliers"},
    });
    let began = Instant::now();
    let client = MeshClient::with_target(&bootstrap, Options::default(), "xds:///h0");
    let (mut tasks, mut channels) = (JoinSet::new(), Vec::new());
    for history in 0..HISTORIES.len() {
        let target = format!("xds:///{}", name(history));
        let channel = MeshChannel::builder(&target).mesh(&client.mesh).build().unwrap();
        channels.push(channel.clone());
        let client = GreeterClient::new(channel);
        tasks.spawn(calls(move |request| {
            let mut client = client.clone();
            async move { client.say_hello(request).await }
        }));
    }
    tasks.join_all().await;
    if began.elapsed() >= interval {
        return None;
    }
    let ejected = async || {
        let mut found = BTreeMap::<String, BTreeSet<_>>::new();
        for ejected in client.xds.status().ejected {
            found.entry(ejected.cluster.to_string()).or_default().insert(ejected.addresses.first());
        }
        stage.numbers(&found)
    };
    Some(after_sweep(interval, ejected, |history| history.ours).await)
}

/// Who is ejected once everybody is who should be, and the interval is over.
async fn after_sweep(
    interval: Duration,
    ejected: impl AsyncFn() -> Vec<Vec<usize>>,
    expected: impl Fn(&History) -> &'static [usize],
) -> Vec<Vec<usize>> {
    let over = Instant::now() + interval;
    eventually("those are ejected that should be", async || {
        let found = ejected().await;
        let is_missing = |(found, history): (&Vec<usize>, &History)| {
            expected(history).iter().any(|number| !found.contains(number))
        };
        let missing = found.iter().zip(HISTORIES).any(is_missing);
        if missing { Err(format!("{found:?}")) } else { Ok(()) }
    })
    .await;
    // An endpoint that must stay could be ejected by the sweep, and Envoy does not report when it sweeps.
    tokio::time::sleep_until(over.into()).await;
    ejected().await
}

/// An Envoy with a cluster for each history, chosen by the authority.
fn bootstrap(stage: &Stage, interval: Duration) -> Value {
    let (mut clusters, mut hosts) = (Vec::new(), Vec::new());
    for (number, history) in HISTORIES.iter().enumerate() {
        let name = name(number);
        let endpoints = stage.addresses(number).map(|address| {
            let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
            json!({"endpoint": {"address": {"socket_address": socket}}})
        });
        clusters.push(json!({
            "name": name, "type": "STATIC",
            "outlier_detection": outlier_detection(history, interval),
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
        }));
        hosts.push(json!({
            "name": name, "domains": [name],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}],
        }));
    }
    let manager = json!({
        "@type": "type.googleapis.com/\
            envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "greeter", "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }}],
    });
    let any_port = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    json!({
        "node": {"id": "envoy", "cluster": "tests"},
        "admin": {"address": any_port},
        "static_resources": {
            "clusters": clusters,
            "listeners": [{
                "name": "greeter", "address": any_port,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                }]}],
            }],
        },
    })
}

/// Calls that take longer than the interval are repeated with a longer one.
macro_rules! within_one_interval {
    ($run:expr) => {
        'found: {
            for seconds in [5, 10, 20] {
                if let Some(found) = $run(Duration::from_secs(seconds)).await {
                    break 'found found;
                }
            }
            panic!("the calls take longer than 20 s");
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ejected_endpoints_are_those_that_an_envoy_ejects() {
    let test = "outlier detection beside Envoy";
    let (Some(program), Some(python)) = (Envoy::find(test), Python::find(test)) else { return };
    let envoys = within_one_interval!(async |interval| by_envoy(&program, interval).await);
    let ours = within_one_interval!(async |interval| by_our_client(&python, interval).await);
    for ((history, envoy), own) in HISTORIES.iter().zip(&envoys).zip(&ours) {
        assert_eq!(own, history.ours, "our client: {}", history.name);
        assert_eq!(envoy, history.envoys, "Envoy: {}", history.name);
    }
    let agreeing = HISTORIES.iter().filter(|history| history.ours == history.envoys).count();
    assert!(agreeing >= 20 && HISTORIES.len() - agreeing == 3, "{agreeing} of {}", HISTORIES.len());
}

/// gRPC's interoperability test of outlier detection: five servers, 100 calls a second, success rate, 2 s, 20 calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_server_drops_out_of_the_distribution_and_returns() {
    let Some(python) = Python::find("outlier detection") else { return };
    let mut servers = Vec::new();
    for number in 0..5 {
        servers.push(Scripted::start(&format!("e{number}"), ".").await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let mut control = XdsServer::start(&python).await;
    let mut resources = xds::service("greeter", "routes", "cluster", &addresses);
    resources[0]["outlier_detection"] = json!({
        "interval": "2s", "base_ejection_time": "3s", "max_ejection_percent": 20,
        "consecutive_5xx": 0, "success_rate_request_volume": 20,
    });
    control.set(&resources).await;
    let bootstrap = json!({
        "xds_servers": [{"server_uri": control.address.to_string(), "channel_creds": [{"type": "insecure"}]}],
        "node": {"id": "outliers"},
    });
    let client = MeshClient::with_target(&bootstrap, Options::default(), "xds:///greeter");
    let load = tests::paced::Paced::start(&client.channel, 100);
    let all_answer = async |what: &str| {
        servers.iter().for_each(|server| server.follow("."));
        eventually(what, async || {
            let calls: Vec<_> = servers.iter().map(Scripted::calls).collect();
            if calls.iter().all(|count| *count > 0) { Ok(()) } else { Err(format!("{calls:?}")) }
        })
        .await;
    };
    all_answer("every server answers").await;
    servers[0].follow("I");
    eventually("the failing server is ejected", async || {
        let ejected = client.xds.status().ejected;
        let is_it = ejected.iter().map(|ejected| ejected.addresses.first()).eq([addresses[0]]);
        if is_it { Ok(()) } else { Err(format!("{ejected:?}")) }
    })
    .await;
    load.take();
    servers.iter().for_each(|server| server.follow("."));
    let outcome = load.during(Duration::from_secs(1)).await;
    // A call may have been on its way when the server was ejected.
    assert!(servers[0].calls() <= 1 && outcome.failures.len() <= 1, "{:?}", outcome.failures);
    all_answer("the server is back").await;
    assert_eq!(client.xds.status().ejected, []);
    load.stop().await;
}
