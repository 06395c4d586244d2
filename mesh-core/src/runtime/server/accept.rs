//! Accepts connections and opens them, as many at once as the settings allow.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::WithCauses;

use super::follower::Follower;
use super::open::{Opened, open};
use super::state::{ServingState, Shared};

/// The accepting part of a server: connections come out of it ready for calls.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// `None`: the server has stopped.
    listener: Option<TcpListener>,
    follower: Follower,
    shared: Arc<Shared>,
    pending: Pending,
    pause: Pause,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, follower: Follower, shared: Arc<Shared>) -> Self {
        let pending = Pending::new(shared.settings.max_pending_handshakes.max(1));
        Self { listener: Some(listener), follower, shared, pending, pause: Pause::default() }
    }

    /// The next connection; `None`: the server was told to stop. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Opened> {
        loop {
            let has_room = self.pending.has_room();
            tokio::select! {
                _ = self.shared.stopping() => return None,
                () = self.follower.follow() => {}
                opened = self.pending.next() => {
                    if opened.is_some() {
                        return opened;
                    }
                }
                accepted = accept(self.listener.as_ref(), &self.pause), if has_room => match accepted {
                    Ok((stream, source)) => {
                        self.pause.end();
                        self.begin(stream, source);
                    }
                    // H4, SV-21
                    Err(error) => self.pause.extend(&error),
                },
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, source: SocketAddr) {
        // SV-02: while there is no configuration, dropping the stream closes it before a byte is sent
        let Some(generation) = self.shared.generation.load_full() else { return };
        let shared = self.shared.clone();
        self.pending.begin(|has_spoken| async move {
            let opened = open(stream, source, &generation, &has_spoken, &shared).await;
            opened
                .inspect_err(
                    |error| tracing::debug!(%source, error = %WithCauses(error), "connection closed"),
                )
                .ok()
        });
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // another server can have the address as soon as the state is known
        self.listener = None;
        self.shared.set_state(ServingState::Stopped);
    }
}

async fn accept(listener: Option<&TcpListener>, pause: &Pause) -> io::Result<(TcpStream, SocketAddr)> {
    let Some(listener) = listener else { return std::future::pending().await };
    if let Some(until) = pause.until {
        sleep_until(until).await;
    }
    listener.accept().await
}

/// The pause between tries to accept while the process has no descriptors left, for example.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    length: Duration,
}

impl Pause {
    /// SV-21: 5 ms, then twice as long each time, at most 1 s. H4: one line for each spell.
    fn extend(&mut self, error: &io::Error) {
        if self.length.is_zero() {
            tracing::warn!(%error, "cannot accept connections; trying again");
        }
        self.length = (self.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.until = Some(Instant::now() + self.length);
    }

    fn end(&mut self) {
        if !self.length.is_zero() {
            tracing::info!("accepting connections again");
            *self = Self::default();
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections that are being opened.
#[derive(Debug)]
struct Pending {
    tasks: JoinSet<Option<Opened>>,
    limit: usize,
    /// In the order in which they were accepted; those that have spoken or ended leave it late.
    silent: VecDeque<Silent>,
}

/// A connection whose client had not sent anything when it was looked at last.
#[derive(Debug)]
struct Silent {
    has_spoken: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Silent {
    fn is_silent(&self) -> bool {
        !self.has_spoken.load(Ordering::Relaxed) && !self.task.is_finished()
    }
}

impl Pending {
    fn new(limit: usize) -> Self {
        Self { tasks: JoinSet::new(), limit, silent: VecDeque::new() }
    }

    /// Whether one more connection can begin: there is room, or a silent one can give its place (H3).
    fn has_room(&mut self) -> bool {
        if self.silent.len() > 2 * self.limit {
            self.silent.retain(Silent::is_silent);
        }
        while self.silent.front().is_some_and(|first| !first.is_silent()) {
            self.silent.pop_front();
        }
        self.tasks.len() < self.limit || self.silent.iter().any(Silent::is_silent)
    }

    fn begin<F>(&mut self, opening: impl FnOnce(Arc<AtomicBool>) -> F)
    where
        F: Future<Output = Option<Opened>> + Send + 'static,
    {
        if self.tasks.len() >= self.limit
            && let Some(oldest) = self.silent.iter().position(Silent::is_silent)
            && let Some(silent) = self.silent.remove(oldest)
        {
            silent.task.abort();
        }
        let has_spoken = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(opening(has_spoken.clone()));
        self.silent.push_back(Silent { has_spoken, task });
    }

    /// The next one that has come to its end; `None`: it was closed. Waits for ever while there is none.
    async fn next(&mut self) -> Option<Opened> {
        match self.tasks.join_next().await {
            Some(ended) => ended.ok().flatten(),
            None => std::future::pending().await,
        }
    }
}
