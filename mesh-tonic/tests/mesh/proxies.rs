//! Endpoints behind HTTP proxies (gRFC A86).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint as Place, EndpointSet, Forward, Locality, MeshConfig,
    Priority,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{call, client};

/// A proxy: what it was asked for, in order.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that answers with this status line.
    pub(crate) async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let lines = asked.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, answer, lines.clone()));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, answer: &'static str, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let endpoint = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(head);
    let answer = format!("{answer}\r\nVia: a test\r\n\r\n");
    if !answer.contains(" 2") {
        _ = client.write_all(answer.as_bytes()).await;
        return;
    }
    let Ok(mut endpoint) = TcpStream::connect(endpoint).await else { return };
    client.write_all(answer.as_bytes()).await.unwrap();
    _ = copy_bidirectional(&mut client, &mut endpoint).await;
}

fn config(place: Place, through_proxies: bool) -> MeshConfig {
    let mut settings = ClusterSettings::new("greeter");
    settings.connection.through_proxies = through_proxies;
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(vec![place]))])]);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    Config::default().entry("greeter", Ok(cluster)).to(Forward::to("greeter")).build()
}

/// Proves: LB-79, CDS-20.
#[tokio::test]
async fn endpoint_with_a_proxy_is_reached_through_it() {
    let endpoint = Endpoint::start("a").await;
    let proxy = Proxy::start("HTTP/1.1 200 Connection established").await;
    let behind = || Place::new(endpoint.address).with_proxy(proxy.address);
    let rows = [
        // the endpoint, whether the cluster goes through proxies, whether the proxy is asked
        (behind(), true, true),
        (behind(), false, false),
        (Place::new(endpoint.address), true, false),
    ];
    // one mesh: connections through the proxy are not those past it
    let source = mesh_core::runtime::FixedSource::new();
    let mesh = Mesh::new(source.clone());
    for (number, (place, through_proxies, is_asked)) in rows.into_iter().enumerate() {
        let before = proxy.asked().len();
        let target = format!("greeter-{number}");
        source.set(&*target, config(place, through_proxies));
        let channel = mesh_tonic::MeshChannel::builder(target).mesh(&mesh).build().unwrap();
        let mut client = crate::Client::new(channel);
        for _ in 0..3 {
            assert_eq!(call(&mut client).await.unwrap(), "a");
        }
        assert_eq!(proxy.asked().len() - before, usize::from(is_asked), "row {number}");
    }
    let expected = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", endpoint.address);
    assert_eq!(proxy.asked(), [expected]);
}

/// Proves: LB-79.
#[tokio::test]
async fn call_fails_with_the_answer_of_a_proxy_that_refuses() {
    let endpoint = Endpoint::start("a").await;
    for answer in ["HTTP/1.1 403 Forbidden", "SSH-2.0 200 yes"] {
        let proxy = Proxy::start(answer).await;
        let place = Place::new(endpoint.address).with_proxy(proxy.address);
        let mut client = client(&Mesh::fixed(config(place, true).for_target("greeter")));
        let status = call(&mut client).await.unwrap_err();
        assert!(status.message().contains(&format!("proxy {}", proxy.address)), "{status}");
        assert!(status.message().contains("refuses a connection"), "{status}");
    }
    assert_eq!(endpoint.calls(), 0, "it is not connected past the proxy");
}
