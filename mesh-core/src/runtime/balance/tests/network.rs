//! A network in memory, on the test's clock.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::runtime::ReplayRoom;
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
    /// How many calls a connection takes at once; as many as there are unless set.
    room: Mutex<Option<usize>>,
    /// What the last attempt was made with.
    pub(super) last_target: Mutex<Option<ConnectTarget>>,
    attempts: Mutex<Vec<(SocketAddr, Instant)>>,
    pub(super) running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
    lines: Mutex<HashMap<SocketAddr, Vec<watch::Sender<Option<DisconnectReason>>>>>,
    /// Connections that are held.
    held: Arc<AtomicUsize>,
    statuses: Statuses,
    /// Requests that were sent.
    requests: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
}

/// The HTTP statuses of the answers of addresses that do not answer with 200.
type Statuses = Arc<Mutex<HashMap<SocketAddr, u16>>>;

/// How an address answers; it accepts unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Habit {
    Accept(Duration),
    Refuse,
    Silence,
    Panic,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) address: SocketAddr,
    /// How it has ended.
    end: watch::Receiver<Option<DisconnectReason>>,
    /// How many calls it takes at once.
    room: Arc<Semaphore>,
    _held: Arc<Held>,
    statuses: Statuses,
    requests: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
}

/// Room for a call on a connection.
#[derive(Debug)]
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
    line: Line,
}

impl Net {
    pub(super) fn set(&self, address: SocketAddr, habit: Habit) {
        self.0.habits.lock().unwrap().insert(address, habit);
    }

    /// New connections take so many calls at once.
    pub(super) fn limit_room(&self, room: usize) {
        *self.0.room.lock().unwrap() = Some(room);
    }

    /// Ends the connections to an address.
    pub(super) fn cut(&self, address: SocketAddr) {
        self.end(address, DisconnectReason::Unknown);
    }

    /// Ends the connections to an address for this reason.
    pub(super) fn end(&self, address: SocketAddr, reason: DisconnectReason) {
        for end in self.0.lines.lock().unwrap().remove(&address).unwrap_or_default() {
            end.send_replace(Some(reason));
        }
    }

    /// Requests to an address are answered with this status; 0: not at all.
    pub(super) fn answer(&self, address: SocketAddr, status: u16) {
        self.0.statuses.lock().unwrap().insert(address, status);
    }

    /// When requests were sent to an address.
    pub(super) fn requests(&self, address: SocketAddr) -> Vec<Instant> {
        let requests = self.0.requests.lock().unwrap();
        requests.iter().filter(|(to, _)| *to == address).map(|(_, at)| *at).collect()
    }

    pub(super) fn attempts(&self, address: SocketAddr) -> Vec<Instant> {
        let attempts = self.0.attempts.lock().unwrap();
        attempts.iter().filter(|(to, _)| *to == address).map(|(_, at)| *at).collect()
    }

    pub(super) fn all_attempts(&self) -> usize {
        self.0.attempts.lock().unwrap().len()
    }

    pub(super) fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }
}

/// A connection and its clones.
#[derive(Debug)]
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(held: &Arc<AtomicUsize>) -> Arc<Self> {
        held.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self(held.clone()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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
        *self.0.last_target.lock().unwrap() = Some(target.clone());
        self.0.attempts.lock().unwrap().push((address, Instant::now()));
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_running.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.0);
        let habit = self.0.habits.lock().unwrap().get(&address).copied();
        match habit.unwrap_or(Habit::Accept(Duration::ZERO)) {
            Habit::Accept(delay) => tokio::time::sleep(delay).await,
            Habit::Refuse => return Err(ConnectError::new(address, "refused")),
            Habit::Silence => std::future::pending().await,
            Habit::Panic => panic!("a dialer that panics"),
        }
        let (sender, end) = watch::channel(None);
        self.0.lines.lock().unwrap().entry(address).or_default().push(sender);
        let mut ended = end.clone();
        let closed = Box::pin(async move {
            let reason = ended.wait_for(Option::is_some).await;
            reason.ok().and_then(|reason| *reason).unwrap_or(DisconnectReason::Unknown)
        });
        let room = self.0.room.lock().unwrap().unwrap_or(Semaphore::MAX_PERMITS);
        let connection = Line {
            address,
            end,
            room: Arc::new(Semaphore::new(room)),
            _held: Held::new(&self.0.held),
            statuses: self.0.statuses.clone(),
            requests: self.0.requests.clone(),
        };
        Ok(Established { connection, closed })
    }
}

impl Connection for Line {
    type Place = Room;
    type ResponseBody = UnsyncBoxBody<Bytes, BodyError>;
    type Call<B: SendBody> = BoxFuture<'static, Result<Response<Self::ResponseBody>, SendFailure<B>>>;

    fn reserve(&self) -> Reserve<Room> {
        match self.room.clone().try_acquire_owned() {
            _ if !self.is_open() => Reserve::Closed,
            Ok(permit) => Reserve::Place(Room { _permit: permit, line: self.clone() }),
            Err(_) => Reserve::Full,
        }
    }

    fn wait_for_place(&self) -> impl Future<Output = Option<Room>> + Send + 'static {
        let (room, mut end) = (self.room.clone(), self.end.clone());
        let line = self.clone();
        async move {
            tokio::select! {
                permit = room.acquire_owned() => permit.ok().map(|permit| Room { _permit: permit, line }),
                _ = end.wait_for(Option::is_some) => None,
            }
        }
    }

    fn send<B: SendBody>(Room { line, .. }: Room, _request: Request<B>, _: ReplayRoom) -> Self::Call<B> {
        line.requests.lock().unwrap().push((line.address, Instant::now()));
        let status = line.statuses.lock().unwrap().get(&line.address).copied().unwrap_or(200);
        if status == 0 {
            return Box::pin(std::future::pending());
        }
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Box::pin(ready(Ok(Response::builder().status(status).body(body).unwrap())))
    }

    fn is_open(&self) -> bool {
        self.end.borrow().is_none()
    }

    fn has_served(&self) -> bool {
        false
    }
}
