//! Scenario 21: a client begins with one very large route configuration.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use examples::service::GreeterService;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Scenario};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;

/// Endpoints in a thread of their own, so that the one thread of the test is the client's alone. They end with the
/// sender.
fn endpoints(count: usize) -> (Vec<SocketAddr>, oneshot::Sender<()>) {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            for listener in listeners {
                listener.set_nonblocking(true).unwrap();
                let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
                let service = GreeterService::new("many", "v1").into_server();
                let server = tonic::transport::Server::builder().add_service(service);
                tokio::spawn(server.serve_with_incoming(incoming));
            }
            drop(ended.await);
        });
    });
    (addresses, end)
}

/// The greeter with so many subsets, which all have all endpoints.
fn service(addresses: &[SocketAddr], clusters: usize) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|address| Endpoint::new(*address, "v1")).collect();
    let service = yaml::service(&endpoints);
    let mut text = service.split("---").next().unwrap().to_owned();
    write!(
        text,
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: greeter, namespace: shop}}\n\
         spec:\n  host: {}\n  subsets:\n",
        yaml::HOST
    )
    .unwrap();
    for number in 0..clusters {
        writeln!(text, "  - {{name: s{number}, labels: {{version: v1}}}}").unwrap();
    }
    text
}

fn rules(clusters: usize) -> String {
    let rules: Vec<_> = (0..clusters)
        .map(|number| {
            let destination = yaml::split(&[(&format!("s{number}"), 100)]);
            format!("{{match: [{{headers: {{x-cluster: {{exact: \"{number}\"}}}}}}], {destination}}}")
        })
        .collect();
    yaml::routes(&rules.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "current_thread")]
async fn thousands_of_clusters_in_one_route_configuration_are_usable_with_one_thread() {
    let scenario = Scenario::begin("21 cold start").await;
    let (clusters, each) = scenario.pick((1000, 5), (2000, 50));
    let (addresses, _end) = endpoints(each);
    let config = ConfigDir::new();
    config.write("service.yaml", &service(&addresses, clusters));
    config.write("route.yaml", &rules(clusters));
    let control = ControlServer::start(config).await;
    let began = Instant::now();
    let client = MeshClient::of(&control);
    client.hello_with(&[("x-cluster", "0")]).await.unwrap();
    let first = began.elapsed();
    let calls = async {
        for number in 0..clusters {
            client.hello_with(&[("x-cluster", &number.to_string())]).await.unwrap();
        }
    };
    let bound = scenario.pick(Duration::from_secs(60), Duration::from_secs(10));
    let all = tokio::time::timeout(bound - first, calls).await.map(|()| began.elapsed());
    let all = all.expect("all clusters can be used in time");
    scenario.figure("clusters, endpoints each", format_args!("{clusters}, {each}"));
    scenario.figure("first call after", format_args!("{first:.2?}"));
    scenario.figure("each cluster called once after", format_args!("{all:.2?}"));
}
