//! A network in memory, on the test's clock.

use std::collections::HashMap;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::runtime::connect::{
    BodyError, Connect, ConnectError, ConnectTarget, Connection, DisconnectReason, Established, Reserve,
    SendBody, SendFailure,
};

/// A network in memory, on the test's clock.
#[derive(Debug, Default, Clone)]
pub(super) struct Net(pub(super) Arc<NetState>);

#[derive(Debug, Default)]
pub(super) struct NetState {
    habits: Mutex<HashMap<SocketAddr, Habit>>,
    attempts: Mutex<Vec<(SocketAddr, Instant)>>,
    pub(super) running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
    lines: Mutex<HashMap<SocketAddr, watch::Sender<bool>>>,
    /// Connections that somebody holds.
    held: Arc<()>,
}

/// How an address answers; it accepts unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Habit {
    Accept(Duration),
    Refuse,
    Silence,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) address: SocketAddr,
    up: watch::Receiver<bool>,
    _held: Arc<()>,
}

impl Net {
    pub(super) fn set(&self, address: SocketAddr, habit: Habit) {
        self.0.habits.lock().unwrap().insert(address, habit);
    }

    /// Ends the connections to an address.
    pub(super) fn cut(&self, address: SocketAddr) {
        self.0.lines.lock().unwrap()[&address].send_replace(false);
    }

    pub(super) fn attempts(&self, address: SocketAddr) -> Vec<Instant> {
        let attempts = self.0.attempts.lock().unwrap();
        attempts.iter().filter(|(to, _)| *to == address).map(|(_, at)| *at).collect()
    }

    pub(super) fn all_attempts(&self) -> usize {
        self.0.attempts.lock().unwrap().len()
    }

    pub(super) fn held(&self) -> usize {
        Arc::strong_count(&self.0.held) - 1
    }
}

struct Running<'a>(&'a NetState);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connect for Net {
    type Connection = Line;

    async fn connect(&self, target: &ConnectTarget) -> Result<Established<Line>, ConnectError> {
        let address = target.address;
        self.0.attempts.lock().unwrap().push((address, Instant::now()));
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_running.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.0);
        let habit = self.0.habits.lock().unwrap().get(&address).copied();
        match habit.unwrap_or(Habit::Accept(Duration::ZERO)) {
            Habit::Accept(delay) => tokio::time::sleep(delay).await,
            Habit::Refuse => return Err(ConnectError::new(address, "refused")),
            Habit::Silence => std::future::pending().await,
        }
        let (up, line) = watch::channel(true);
        self.0.lines.lock().unwrap().insert(address, up);
        let mut down = line.clone();
        let closed = Box::pin(async move {
            let _ = down.wait_for(|up| !up).await;
            DisconnectReason::Unknown
        });
        let connection = Line { address, up: line, _held: self.0.held.clone() };
        Ok(Established { connection, closed })
    }
}

impl Connection for Line {
    type Place = ();
    type ResponseBody = UnsyncBoxBody<Bytes, BodyError>;
    type Call<B: SendBody> = Ready<Result<Response<Self::ResponseBody>, SendFailure<B>>>;

    fn reserve(&self) -> Reserve<()> {
        if self.is_open() { Reserve::Place(()) } else { Reserve::Closed }
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<()>> + Send + 'static {
        ready(self.is_open().then_some(()))
    }

    fn send<B: SendBody>((): (), _request: Request<B>) -> Self::Call<B> {
        ready(Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())))
    }

    fn is_open(&self) -> bool {
        *self.up.borrow()
    }
}
