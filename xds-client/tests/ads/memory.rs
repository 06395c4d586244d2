//! The whole client against a server in memory, on virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use xds_client::protocol::ResourceState;
use xds_client::transport::TransportError;
use xds_client::transport::memory::{self, MemoryServer, MemoryStream, MemoryTransport};
use xds_client::{Options, XdsClient, start_with};
use xds_proto::envoy::service::discovery::v3::DiscoveryRequest;

use crate::control::{
    Control, EDS, LDS, RDS, bootstrap, cluster, endpoints, listener, routes, show, until, until_shown,
};

fn client(transport: MemoryTransport) -> XdsClient {
    let options = Options::default().with_rng_seed(7);
    start_with(bootstrap("control:15010"), transport, options).unwrap()
}

/// Answers as `control` does, until the client ends the stream; returns what was asked.
async fn serve(stream: &mut MemoryStream, control: &Arc<Mutex<Control>>) -> Vec<DiscoveryRequest> {
    control.lock().unwrap().reset();
    let mut requests = Vec::new();
    while let Some(request) = stream.sotw_request().await {
        if let Some(response) = control.lock().unwrap().answer(&request) {
            stream.respond(response);
        }
        requests.push(request);
    }
    requests
}

/// Serves every stream, in the background; gives the number of streams so far.
fn serve_all(mut server: MemoryServer, control: Control) -> Arc<Mutex<usize>> {
    let (streams, control) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(control)));
    let count = streams.clone();
    tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            *count.lock().unwrap() += 1;
            let control = control.clone();
            tokio::spawn(async move { serve(&mut stream, &control).await });
        }
    });
    streams
}

#[tokio::test(start_paused = true)]
async fn two_hundred_targets_share_one_stream_and_free_all() {
    let (transport, server) = memory::pair();
    let mut control = Control::default();
    control.put("routes", &routes("routes", &["a"]));
    control.put("a", &cluster("a"));
    control.put("a", &endpoints("a", &[1]));
    let names: Vec<String> = (0..200).map(|index| format!("target-{index}")).collect();
    for name in &names {
        control.put(name, &listener(name, "routes"));
    }
    let streams = serve_all(server, control);
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let client = client(transport);
    let watches = names.iter().map(|name| client.watch(&Target::new(name)).unwrap());
    let mut watches: Vec<_> = watches.collect();
    for watch in &mut watches {
        until_shown(watch, "a=1").await;
    }
    assert_eq!(*streams.lock().unwrap(), 1);
    assert_eq!(client.status().resources.len(), 200 + 3);
    assert!(client.status().resources.iter().all(|resource| resource.state == ResourceState::Acked));
    assert!(client.status().connected);
    drop(watches);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.status().resources, []);
    drop(client);
    sleep(Duration::from_secs(1)).await;
    let after = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(
        after,
        before - 1,
        "only the server's own task had been there, and it ended with the transport"
    );
}

#[tokio::test(start_paused = true)]
async fn last_watch_keeps_the_client_alive_without_a_handle() {
    let (transport, server) = memory::pair();
    serve_all(server, Control::greeter(&["a"], 1));
    let handle = client(transport);
    let mut first = handle.watch(&Target::new("greeter")).unwrap();
    drop(handle);
    let mut second = first.clone();
    until_shown(&mut first, "a=1").await;
    drop(first);
    until_shown(&mut second, "a=1").await;
}

#[tokio::test(start_paused = true)]
async fn equal_watch_sees_the_configuration_at_once() {
    let (transport, server) = memory::pair();
    let streams = serve_all(server, Control::greeter(&["a"], 1));
    let client = client(transport);
    let mut first = client.watch(&Target::new("greeter")).unwrap();
    let config = until_shown(&mut first, "a=1").await.config.unwrap().unwrap();
    let mut second = client.watch(&Target::new("greeter")).unwrap();
    let again = second.borrow_and_update().config.unwrap().unwrap();
    assert!(Arc::ptr_eq(&config, &again));
    assert_eq!(*streams.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn node_is_sent_once_and_accepted_responses_are_acked() {
    let (transport, mut server) = memory::pair();
    let client = client(transport);
    let watch = client.watch(&Target::new("greeter")).unwrap();
    let mut stream = server.accept().await.unwrap();
    let first = stream.sotw_request().await.unwrap();
    assert_eq!(first.node.unwrap().id, "n1");
    assert_eq!((&*first.type_url, &*first.resource_names), (LDS, &["greeter".to_owned()][..]));
    let mut control = Control::greeter(&["a"], 1);
    control.answer(&DiscoveryRequest { resource_names: first.resource_names, ..ask(LDS) });
    stream.respond(control.push(LDS));
    let requests = [stream.sotw_request().await.unwrap(), stream.sotw_request().await.unwrap()];
    assert!(requests.iter().all(|request| request.node.is_none()));
    assert_eq!((&*requests[0].version_info, &*requests[0].response_nonce), ("2", "2"), "the ACK");
    assert_eq!((&*requests[1].type_url, &*requests[1].resource_names), (RDS, &["routes".to_owned()][..]));
    let mut bad = routes("routes", &["a"]);
    bad.virtual_hosts[0].routes[0].r#match = None;
    control.put("routes", &bad);
    control.answer(&requests[1]);
    stream.respond(control.push(RDS));
    let nack = stream.sotw_request().await.unwrap();
    let error = nack.error_detail.unwrap();
    assert_eq!((error.code, &*nack.version_info), (3, ""));
    assert!(error.message.starts_with("RouteConfiguration routes: virtual_hosts[0]"), "{}", error.message);
    drop(watch);
    assert!(stream.request().await.is_none(), "nothing is watched: the stream ends");
}

fn ask(type_url: &str) -> DiscoveryRequest {
    DiscoveryRequest { type_url: type_url.to_owned(), ..DiscoveryRequest::default() }
}

/// Proves: TR-33, OB-23.
#[tokio::test(start_paused = true)]
async fn lost_server_changes_nothing_but_the_ambient_error() {
    let (transport, mut server) = memory::pair();
    let client = client(transport);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let control = Arc::new(Mutex::new(Control::greeter(&["a"], 1)));
    let mut stream = server.accept().await.unwrap();
    let served = serve(&mut stream, &control);
    tokio::select! {
        _ = served => panic!("the client ended the stream"),
        _ = until_shown(&mut watch, "a=1") => {}
    }
    server.refuse("connection refused");
    stream.fail(TransportError::failed("connection reset"));
    let state = until(&mut watch, "an ambient error", |state| state.ambient.is_some()).await;
    let config = state.config.unwrap().unwrap();
    assert_eq!(show(&config), "a=1");
    sleep(Duration::from_secs(600)).await;
    let state = watch.borrow_and_update();
    assert!(Arc::ptr_eq(&config, &state.config.unwrap().unwrap()));
    let expected = "connection refused; node n1, control server control:15010 unreachable for 600 s";
    assert_eq!(state.ambient.unwrap().to_string(), expected);
    assert!(!client.status().connected);
    assert_eq!(client.status().outage.as_deref(), Some("connection refused"));
    assert!(client.status().resources.iter().all(|resource| resource.state == ResourceState::Acked));

    server.admit();
    control.lock().unwrap().put("a", &endpoints("a", &[2]));
    let mut stream = server.accept().await.unwrap();
    tokio::select! {
        _ = serve(&mut stream, &control) => panic!("the client ended the stream"),
        state = until_shown(&mut watch, "a=2") => assert_eq!(state.ambient, None),
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_server_a_target_has_an_error_and_then_its_configuration() {
    let (transport, server) = memory::pair();
    server.refuse("connection refused");
    let client = client(transport);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until(&mut watch, "an error", |state| state.config.is_some()).await;
    let expected = "xDS listener \"greeter\": connection refused; node n1, control server control:15010 \
                    unreachable for 0 s";
    assert_eq!(state.config.unwrap().unwrap_err().to_string(), expected);
    sleep(Duration::from_secs(30)).await;
    server.admit();
    serve_all(server, Control::greeter(&["a"], 1));
    until_shown(&mut watch, "a=1").await;
}

#[tokio::test(start_paused = true)]
async fn missing_resource_is_an_error_after_fifteen_seconds() {
    let (transport, server) = memory::pair();
    serve_all(server, Control::default());
    let client = client(transport);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    sleep(Duration::from_millis(14_900)).await;
    assert!(watch.borrow_and_update().config.is_none());
    let state = until(&mut watch, "an error", |state| state.config.is_some()).await;
    let expected = "xDS listener \"greeter\": does not exist (control server control:15010, node n1)";
    assert_eq!(state.config.unwrap().unwrap_err().to_string(), expected);
    assert_eq!(client.status().resources[0].state, ResourceState::DoesNotExist);
}

#[tokio::test(start_paused = true)]
async fn server_that_ends_each_stream_is_retried_with_backoff() {
    let (transport, mut server) = memory::pair();
    let client = client(transport);
    let watch = client.watch(&Target::new("greeter")).unwrap();
    let mut streams = 0;
    let control = Arc::new(Mutex::new(Control::greeter(&["a"], 1)));
    let ended = async {
        while let Some(mut stream) = server.accept().await {
            streams += 1;
            control.lock().unwrap().reset();
            if let Some(request) = stream.sotw_request().await {
                stream.respond(control.lock().unwrap().answer(&request).unwrap());
            }
        }
    };
    timeout(Duration::from_secs(60), ended).await.unwrap_err();
    assert!((50..=62).contains(&streams), "one a second: {streams}");
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn cluster_that_comes_back_a_hundred_times_is_used_each_time() {
    let (transport, mut server) = memory::pair();
    let client = client(transport);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let mut control = Control::greeter(&["a"], 1);
    control.put("b", &cluster("b"));
    let (update, mut updates) = mpsc::unbounded_channel::<(Vec<&str>, u16)>();
    tokio::spawn(async move {
        let mut stream = server.accept().await.unwrap();
        loop {
            tokio::select! {
                Some(request) = stream.sotw_request() => {
                    control.answer(&request).into_iter().for_each(|response| stream.respond(response));
                }
                Some((clusters, port)) = updates.recv() => {
                    control.put("b", &endpoints("b", &[port]));
                    control.put("routes", &routes("routes", &clusters));
                    stream.respond(control.push(RDS));
                    // Crosses the requests that the new routes lead to.
                    stream.respond(control.push(EDS));
                }
            }
        }
    });
    until_shown(&mut watch, "a=1").await;
    for round in 1..=100 {
        update.send((vec!["a", "b"], round)).unwrap();
        until_shown(&mut watch, &format!("a=1 b={round}")).await;
        update.send((vec!["a"], round)).unwrap();
        until_shown(&mut watch, "a=1").await;
    }
    assert_eq!(client.status().resources.len(), 4);
}

#[tokio::test]
async fn two_thousand_clusters_are_served_by_one_thread() {
    let (transport, server) = memory::pair();
    let names: Vec<String> = (0..2_000).map(|index| format!("cluster-{index:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    serve_all(server, Control::greeter(&names, 1));
    let client = client(transport);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let started = std::time::Instant::now();
    let state = until(&mut watch, "a configuration", |state| state.config.is_some()).await;
    assert_eq!(state.config.unwrap().unwrap().clusters().len(), names.len());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn start_outside_a_runtime_is_an_error() {
    let (transport, _server) = memory::pair();
    let error = start_with(bootstrap("control:15010"), transport, Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "no tokio runtime: call this within one, for example in #[tokio::main]");
}

#[tokio::test]
async fn unknown_authority_is_refused_at_once() {
    let (transport, _server) = memory::pair();
    let mut target = Target::new("greeter");
    target.xds_authority = Some("elsewhere".to_owned());
    let error = client(transport).watch(&target).unwrap_err().to_string();
    assert!(error.contains("\"elsewhere\" is not in the bootstrap") && error.contains("node n1"), "{error}");
}
