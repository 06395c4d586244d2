//! A relay before a server: a network that can be cut, stalled and slowed from within a test.

mod pump;

use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesh_core::testing::reserved_address;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How the network behaves that the relay plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Bytes arrive, this much later.
    Open(Duration),
    /// No byte arrives on either side, nor does the end of a connection. New connections are taken by
    /// the relay's kernel, as one would be by that of a server that is stopped. What was sent arrives later.
    Silent,
    /// Every connection is reset, new ones as soon as they are there.
    Reset,
    /// Every connection is reset, and nothing listens.
    Refusing,
}

/// A relay on a free loopback port. Dropping it closes its connections.
#[derive(Debug)]
pub struct Relay {
    /// Where to connect instead.
    pub address: SocketAddr,
    wanted: watch::Sender<Condition>,
    reached: watch::Receiver<Condition>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `target`, open.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(reserved_address()).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let open = Condition::Open(Duration::ZERO);
        let (wanted, network) = watch::channel(open);
        let (report, reached) = watch::channel(open);
        let arrivals = Arc::<Mutex<Vec<Instant>>>::default();
        let side = Side { address, target, network, report, arrivals: Arc::clone(&arrivals) };
        Self { address, wanted, reached, arrivals, task: tokio::spawn(side.run(listener)) }
    }

    /// Changes the network; returns when that is true for new connections.
    ///
    /// # Panics
    /// When the relay cannot have its port back.
    pub async fn set(&mut self, condition: Condition) {
        self.wanted.send_replace(condition);
        self.reached.wait_for(|reached| *reached == condition).await.expect("the relay listens again");
    }

    /// Opens the network again.
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub async fn open(&mut self) {
        self.set(Condition::Open(Duration::ZERO)).await;
    }

    /// When each connection arrived, except while refusing.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections have arrived since.
    pub fn arrivals_since(&self, instant: Instant) -> usize {
        self.arrivals().iter().filter(|arrival| **arrival >= instant).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the relay's task knows.
struct Side {
    address: SocketAddr,
    target: SocketAddr,
    network: watch::Receiver<Condition>,
    report: watch::Sender<Condition>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Side {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        // Ends the connections with this task.
        let mut connections = JoinSet::new();
        loop {
            let network = *self.network.borrow_and_update();
            if network == Condition::Refusing {
                listener.take().inspect(stop_listening);
            } else if listener.is_none() {
                let Ok(again) = TcpListener::bind(self.address).await else { return };
                listener = Some(again);
            }
            self.report.send_replace(network);
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.network.changed() => if changed.is_err() { return },
                accepted = accepted => if let Ok((stream, _)) = accepted {
                    self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    connections.spawn(relay(stream, self.target, self.network.clone()));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// One connection, from its arrival to its end.
async fn relay(mut client: TcpStream, target: SocketAddr, mut network: watch::Receiver<Condition>) {
    if !pump::until_open(&mut network).await {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return reset(&client) };
    for stream in [&client, &server] {
        drop(stream.set_nodelay(true));
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let both = tokio::try_join!(
        pump::pump(from_client, to_server, network.clone()),
        pump::pump(from_server, to_client, network)
    );
    if both.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// Refuses connections from now on. Closing alone does not do that: a process that another test is just starting has a copy of the
/// socket until its program is loaded, and the kernel would go on taking connections for it.
fn stop_listening(listener: &TcpListener) {
    SockRef::from(listener).shutdown(Shutdown::Both).expect("a listener can be shut down");
}

/// From now on, closing it resets it.
fn reset(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}

#[cfg(test)]
mod tests;
