//! Servers that are replaced, or whose connections are, while calls and streams run (scenario 29).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_tonic::{FixedServer, ServerSettings, ServingState};
use tokio::task::JoinHandle;

use crate::{Client, OpenStream, Running, call, client, open_to_all};

const SERVERS: usize = 10;
const STREAMS: usize = 50;

/// Callers that must not see a failure.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<u64>>,
}

impl Load {
    fn begin(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |mut client: Client, stop: Arc<AtomicBool>| async move {
            let mut calls = 0;
            while !stop.load(Ordering::Relaxed) {
                call(&mut client).await.unwrap();
                calls += 1;
            }
            calls
        };
        let callers = (0..4).map(|_| tokio::spawn(caller(client.clone(), stop.clone()))).collect();
        Self { stop, callers }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            assert!(caller.await.unwrap() > 0);
        }
    }
}

async fn start(settings: &ServerSettings) -> (Vec<Running>, Client, Vec<OpenStream>) {
    let config = FixedServer::new(open_to_all());
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(Running::start("old", &config, settings.clone()).await);
    }
    let client = client(servers.iter().map(|server| server.address));
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(OpenStream::begin(&mut client.clone()).await);
    }
    (servers, client, streams)
}

async fn end(mut streams: Vec<OpenStream>) {
    for stream in &mut streams {
        stream.exchange().await.unwrap();
    }
    for stream in streams {
        stream.end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_fails_no_call_and_no_stream() {
    let settings = ServerSettings::default();
    let (mut servers, client, streams) = start(&settings).await;
    let load = Load::begin(&client);
    for server in &mut servers {
        let address = server.address;
        server.handle.begin_shutdown(Duration::from_secs(600));
        server.handle.wait_for(|state| *state == ServingState::Stopped).await;
        let next =
            Running::start_at(address, "new", &FixedServer::new(open_to_all()), settings.clone()).await;
        // the old one goes on with its streams
        tokio::spawn(std::mem::replace(server, next).until_ended());
    }
    end(streams).await;
    let mut after = client.clone();
    crate::eventually("answers are new ones", async || call(&mut after).await.unwrap() == "new").await;
    load.end().await;
}

/// L5: ages differ, so that connections that were made together do not end together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_end_at_their_age_without_a_failed_call_or_stream() {
    let mut settings = ServerSettings::default();
    settings.max_connection_age = Some(Duration::from_millis(500));
    let (servers, client, streams) = start(&settings).await;
    let load = Load::begin(&client);
    crate::eventually("every server has seen several connections", async || {
        servers.iter().all(|server| server.accepted() > 2)
    })
    .await;
    end(streams).await;
    load.end().await;
}

/// L5: twenty connections that are made together are asked to leave over a fifth of their age, not at once.
#[tokio::test]
async fn twenty_connections_of_one_age_do_not_leave_together() {
    let mut settings = ServerSettings::default();
    settings.max_connection_age = Some(Duration::from_secs(2));
    let server = Running::start("a", &FixedServer::new(open_to_all()), settings).await;
    let mut ends = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        // without a call, GOAWAY ends the connection
        ends.spawn(async move {
            let _kept = send;
            let _ = connection.await;
            tokio::time::Instant::now()
        });
    }
    let mut times = ends.join_all().await;
    times.sort();
    let spread = times[19] - times[0];
    assert!(spread > Duration::from_millis(100), "{spread:?}");
}
