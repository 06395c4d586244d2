//! Scenario 37: a day of certificates that live for an hour, under load, on a virtual clock.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::live::send_one;
use super::{cluster_of, set};
use crate::certificate::{CertificateProvider, CertificateSource, Material, MaterialPublisher};
use crate::config::{ClientCertificates, ClientTls, Endpoint, PeerValidation, RootSource, ServerTls};
use crate::runtime::accounting::Counts;
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};
use crate::runtime::connect::{
    Connection, Http2Connection, Http2Connector, Http2Settings, InMemory, Incoming,
};
use crate::runtime::testing::{ChannelBody, call};
use crate::runtime::tls::tests::{Authority, now};
use crate::runtime::tls::{Acceptor, AcceptorSettings, PeerEnd, PeerWatch, TlsStream};

const MINUTE: Duration = Duration::from_secs(60);

/// Issues a certificate for an hour every half hour.
#[derive(Clone)]
struct Hourly(Arc<Authority>, &'static str);

impl Hourly {
    fn material(&self) -> Material {
        let leaf = self.0.leaf_with(&[self.1], |params| {
            (params.not_before, params.not_after) = ((now() - MINUTE).into(), (now() + 60 * MINUTE).into());
        });
        Material::default().with_identity(leaf.identity())
    }
}

impl fmt::Debug for Hourly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hourly").field(&self.1).finish()
    }
}

impl CertificateProvider for Hourly {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let issuing = self.clone();
        Box::pin(async move {
            loop {
                publisher.publish(issuing.material());
                sleep(30 * MINUTE).await;
            }
        })
    }
}

/// Accepts connections until their dialer is gone; how many there were.
async fn accept(mut incoming: Incoming, tls: Arc<ServerTls>, accepted: mpsc::UnboundedSender<Instant>) {
    let acceptor = Acceptor::new(AcceptorSettings::default());
    while let Some(io) = incoming.accept().await {
        let mut secured = acceptor.accept(io, &tls).await.expect("no handshake fails");
        let watch = secured.watch(Some(10 * MINUTE), &acceptor).expect("the client has shown a certificate");
        _ = accepted.send(Instant::now());
        tokio::spawn(serve(secured.stream, watch));
    }
}

async fn serve(stream: TlsStream<DuplexStream>, mut watch: PeerWatch) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { return };
                tokio::spawn(echo(request.into_body(), respond));
            }
            end = poll_fn(|cx| watch.poll_end(cx)) => match end {
                PeerEnd::TakeNoMore => connection.graceful_shutdown(),
                PeerEnd::Cut(_) => return,
            },
        }
    }
}

/// Answers with what it gets.
async fn echo(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let Ok(mut send) = respond.send_response(http::Response::new(()), false) else { return };
    while let Some(Ok(data)) = body.data().await {
        _ = body.flow_control().release_capacity(data.len());
        if send.send_data(data, false).is_err() {
            return;
        }
    }
    _ = send.send_data(Bytes::new(), true);
}

/// A stream with a message each minute, for nine minutes.
async fn stream(cluster: &ClusterHandle<Http2Connector>) -> Result<(), String> {
    let connection: Http2Connection = loop {
        let version = cluster.published().version;
        let open = cluster.published().endpoints().find_map(|(_, slot)| slot.connection());
        match open.filter(Connection::is_open) {
            Some(connection) => break connection,
            None => cluster.changed(version).await,
        }
    };
    let (feed, chunks) = mpsc::unbounded_channel();
    let upload = ChannelBody { chunks, taken: Arc::default() };
    let response = connection.send(call("/echo", upload.boxed_unsync())).await;
    let mut body = response.map_err(|failure| format!("{:?}", failure.error))?.into_body();
    for _ in 0..9 {
        feed.send(Bytes::from_static(b"x")).map_err(|error| error.to_string())?;
        let frame = body.frame().await.ok_or("the stream has ended")?;
        frame.map_err(|error| format!("{error:?}"))?;
        sleep(MINUTE).await;
    }
    Ok(())
}

/// R3, V4.
#[tokio::test(start_paused = true)]
async fn certificates_of_an_hour_fail_no_call_in_a_day() {
    let authority = Arc::new(Authority::new("root"));
    let source = |name| CertificateSource::new(name, Hourly(authority.clone(), name));
    let trusted = || PeerValidation::new(RootSource::Provider(authority.root_source()));
    let server_tls = ServerTls::new(source("server.example"), ClientCertificates::Required(trusted()));
    let (dialer, incoming) = InMemory::new();
    let (accepted, mut connections) = mpsc::unbounded_channel();
    tokio::spawn(accept(incoming, Arc::new(server_tls), accepted));
    let connector = Http2Connector::new(dialer, Http2Settings::default());
    let tls = Arc::new(ClientTls::new(trusted()).with_identity(source("client.example")));
    let pool = Pool::with_counts(connector, (PoolSettings::default(), Some(tls)), Counts::default());
    let endpoints = set(vec![Endpoint::new("127.0.0.1:1".parse().unwrap())]);
    let cluster = ClusterHandle::start(&cluster_of(endpoints), &pool, 1);

    let end = Instant::now() + 24 * 60 * MINUTE;
    let streams = async {
        while Instant::now() < end {
            stream(&cluster).await.expect("no stream fails");
        }
    };
    let calls = Rc::new(Cell::new(0));
    let load = async {
        let mut rng = StdRng::seed_from_u64(1);
        while Instant::now() < end {
            cluster.mark_used();
            send_one(&cluster, &mut rng).await.expect("no call fails");
            calls.set(calls.get() + 1);
            sleep(MINUTE / 3).await;
        }
    };
    let both = async { tokio::join!(streams, load) };
    timeout(25 * 60 * MINUTE, both).await.unwrap();
    assert!(calls.get() > 4000, "{}", calls.get());
    drop((cluster, pool));
    let mut times = Vec::new();
    while let Ok(time) = connections.try_recv() {
        times.push(time);
    }
    // Each is made with certificates that are at most half an hour old, and lives until they expire.
    assert!((24..=50).contains(&times.len()), "{} connections", times.len());
}
