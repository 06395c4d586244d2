//! Many endpoints of the greeter in this process, which count what reaches them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use mesh_core::testing::reserved_address;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::yaml::Endpoint;

/// Endpoints that live until this is dropped.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    counts: Arc<Counts>,
}

/// What all endpoints of a fleet have seen.
#[derive(Debug, Default)]
struct Counts {
    /// How long a connection waits before the endpoint says its first word.
    pause: Duration,
    /// Connections that wait, and the most that ever did.
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    calls: AtomicUsize,
    /// What every call fails with: a gRPC status code, 0 for none.
    status: AtomicI32,
}

#[derive(Debug)]
struct Member {
    name: String,
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// What one endpoint has seen.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    calls: AtomicUsize,
}

impl Fleet {
    /// So many endpoints of version v1 whose names are `name` and a number from 0.
    ///
    /// # Panics
    /// When an endpoint cannot listen.
    pub async fn start(name: &str, count: usize) -> Self {
        Self::start_slow(name, count, Duration::ZERO).await
    }

    /// The same; each endpoint takes so long before it answers a new connection.
    ///
    /// # Panics
    /// When an endpoint cannot listen.
    pub async fn start_slow(name: &str, count: usize, pause: Duration) -> Self {
        let counts = Arc::new(Counts { pause, ..Counts::default() });
        let mut fleet = Self { members: Vec::new(), counts };
        for number in 0..count {
            fleet.members.push(Member::new(format!("{name}{number}")));
            fleet.restart(number).await;
        }
        fleet
    }

    /// All of them, for a ServiceEntry.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.members.iter().map(|member| Endpoint::new(member.address, VERSION)).collect()
    }

    /// Calls that have reached an endpoint.
    pub fn calls(&self) -> usize {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// The most connections that ever waited for an endpoint's first word at the same time.
    pub fn most_waiting(&self) -> usize {
        self.counts.most_waiting.load(Ordering::Relaxed)
    }

    /// Calls of each endpoint that had one, by name.
    pub fn calls_by_endpoint(&self) -> BTreeMap<&str, usize> {
        self.seen(|seen| &seen.calls)
    }

    /// Connections that each endpoint has ever had, if any, by name.
    pub fn connections_by_endpoint(&self) -> BTreeMap<&str, usize> {
        self.seen(|seen| &seen.connections)
    }

    fn seen(&self, count: impl Fn(&Seen) -> &AtomicUsize) -> BTreeMap<&str, usize> {
        let counts = self.members.iter().map(|member| (&*member.name, count(&member.seen)));
        counts
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Every call fails with this from now on, on every endpoint; with `Ok` none does.
    pub fn fail_with(&self, code: Code) {
        self.counts.status.store(code.into(), Ordering::Relaxed);
    }

    /// Ends one: its calls and connections are reset, new connections refused.
    ///
    /// # Panics
    /// When there is no such endpoint, or it is down already.
    pub async fn stop(&mut self, number: usize) {
        let member = &mut self.members[number];
        member.stop.send_replace(true);
        let task = member.task.take().expect("a running endpoint");
        task.await.expect("an endpoint does not panic");
    }

    /// Starts one again where it was.
    ///
    /// # Panics
    /// When it cannot listen there.
    pub async fn restart(&mut self, number: usize) {
        let member = &mut self.members[number];
        let listener = TcpListener::bind(member.address).await.expect("an address that is reserved for it");
        member.stop = watch::Sender::new(false);
        let endpoint = Running {
            service: GreeterService::new(&member.name, VERSION),
            seen: Arc::clone(&member.seen),
            counts: Arc::clone(&self.counts),
            stopped: member.stop.subscribe(),
        };
        member.task = Some(tokio::spawn(endpoint.run(listener)));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &self.members {
            member.stop.send_replace(true);
        }
    }
}

impl Member {
    fn new(name: String) -> Self {
        Self {
            name,
            address: reserved_address(),
            seen: Arc::default(),
            stop: watch::Sender::new(false),
            task: None,
        }
    }
}

/// One endpoint while it runs.
struct Running {
    service: GreeterService,
    seen: Arc<Seen>,
    counts: Arc<Counts>,
    stopped: watch::Receiver<bool>,
}

impl Running {
    async fn run(mut self, listener: TcpListener) {
        let (seen, counts) = (Arc::clone(&self.seen), Arc::clone(&self.counts));
        let greeter = GreeterServer::with_interceptor(self.service, move |request| {
            seen.calls.fetch_add(1, Ordering::Relaxed);
            counts.calls.fetch_add(1, Ordering::Relaxed);
            match counts.status.load(Ordering::Relaxed).into() {
                Code::Ok => Ok(request),
                code => Err(Status::new(code, "as the test asked")),
            }
        });
        let routes = Routes::new(greeter).prepare();
        // Ends the connections with this task.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    self.seen.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(serve(stream, Arc::clone(&self.counts), routes.clone()));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// The version of all endpoints.
const VERSION: &str = "v1";

/// One connection, from its arrival to its end.
async fn serve(stream: TcpStream, counts: Arc<Counts>, routes: Routes) {
    let waiting = counts.waiting.fetch_add(1, Ordering::Relaxed) + 1;
    counts.most_waiting.fetch_max(waiting, Ordering::Relaxed);
    if !counts.pause.is_zero() {
        tokio::time::sleep(counts.pause).await;
    }
    counts.waiting.fetch_sub(1, Ordering::Relaxed);
    drop(stream.set_nodelay(true));
    let service = TowerToHyperService::new(routes);
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    // What limits calls here is the client.
    http2.max_concurrent_streams(None);
    let connection = http2.serve_connection(TokioIo::new(stream), service);
    // How it ends is the client's affair.
    drop(connection.await);
}
