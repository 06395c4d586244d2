//! The task of one connection: moves frames, detects the end, and sends pings.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::runtime::connect::DisconnectReason;
use crate::runtime::timeout::TaskTimer;
use crate::runtime::tls::{PeerEnd, PeerWatch};

use super::error::disconnect_reason;
use super::io::Observed;
use super::keepalive::{Pinger, Verdict};
use super::lifetime::IdleTime;
use super::settings::Http2Settings;
use super::shared::Shared;

/// The task of one connection. It ends with the connection. As soon as no new call can be sent, it reports the reason.
pub(super) struct Driver<I: AsyncRead + AsyncWrite + Unpin> {
    connection: Connection<Observed<I>, Bytes>,
    shared: Arc<Shared>,
    /// Set until the connection takes no more calls.
    open: Option<Open>,
    watch: Option<Watch>,
    /// Set while the connection takes calls, if it has an idle timeout.
    idle: Option<IdleTime>,
    /// For the streams of cancelled calls; there once some have been held open.
    release: Option<TaskTimer>,
    /// Set while the endpoint's certificate is accepted.
    peer: Option<PeerWatch>,
    ended: bool,
}

struct Open {
    /// Resolves when the last handle of the connection was dropped.
    released: oneshot::Receiver<()>,
    report: oneshot::Sender<DisconnectReason>,
}

struct Watch {
    pinger: Pinger,
    ping_pong: h2::PingPong,
    timer: TaskTimer,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Driver<I> {
    pub(super) fn new(
        mut connection: Connection<Observed<I>, Bytes>,
        shared: Arc<Shared>,
        released: oneshot::Receiver<()>,
        report: oneshot::Sender<DisconnectReason>,
        settings: &Http2Settings,
        idle_timeout: Option<Duration>,
    ) -> Self {
        let pinger = Pinger::new(Instant::now().into_std(), settings);
        let watch = pinger.zip(connection.ping_pong()).map(|(pinger, ping_pong)| {
            let timer = TaskTimer::new(pinger.next_deadline().into());
            Watch { pinger, ping_pong, timer }
        });
        let (open, idle) = (Some(Open { released, report }), idle_timeout.map(IdleTime::new));
        Self { connection, shared, open, watch, idle, release: None, peer: None, ended: false }
    }

    /// Ends when this says that the endpoint is not accepted any more.
    pub(super) fn watch_peer(&mut self, peer: Option<PeerWatch>) {
        self.peer = peer;
    }

    /// No new calls from here on.
    fn close(&mut self, reason: DisconnectReason) {
        self.shared.close();
        self.idle = None;
        if let Some(open) = self.open.take() {
            // The receiver may have been dropped.
            let _ = open.report.send(reason);
        }
    }

    /// Resets the streams of cancelled calls that need not be held open any longer.
    fn release_cancelled(&mut self, cx: &mut Context<'_>) {
        while let Some(deadline) = self.shared.cancelled.poll_release(cx) {
            let timer = self.release.get_or_insert_with(|| TaskTimer::new(deadline));
            if timer.deadline() != deadline {
                timer.reset(deadline);
            }
            if timer.poll_passed(cx).is_pending() {
                return;
            }
        }
    }

    /// Takes no more calls when the endpoint's certificate expires; ready when the connection has to be cut.
    // V4
    fn poll_peer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.peer.as_mut().map(|peer| peer.poll_end(cx)) {
                None | Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(PeerEnd::TakeNoMore)) => self.close(DisconnectReason::PeerExpired),
                Some(Poll::Ready(PeerEnd::Cut(error))) => {
                    self.shared.refuse_peer(error);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// The connection has come to its end.
    fn end(&mut self, reason: DisconnectReason) -> Poll<()> {
        self.close(reason);
        self.ended = true;
        Poll::Ready(())
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Future for Driver<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        if me.open.as_mut().is_some_and(|open| Pin::new(&mut open.released).poll(cx).is_ready()) {
            me.close(DisconnectReason::Shutdown);
        }
        if me.poll_peer(cx).is_ready() {
            // Before h2 moves another frame; dropping the connection ends its streams.
            return me.end(DisconnectReason::PeerRefused);
        }
        let polled = Pin::new(&mut me.connection).poll(cx);
        let goaway = me.shared.goaway().map(DisconnectReason::GoAway);
        if let Poll::Ready(result) = polled {
            let failure = result.err().map(|error| disconnect_reason(&error));
            return me.end(goaway.or(failure).unwrap_or(DisconnectReason::Unknown));
        }
        if me.open.is_some() && !me.shared.is_open() {
            let is_used_up = me.shared.calls.is_used_up();
            let other = if is_used_up { DisconnectReason::UsedUp } else { DisconnectReason::Unknown };
            me.close(goaway.unwrap_or(other));
        }
        let calls = me.shared.places.holders();
        if me.idle.as_mut().is_some_and(|idle| idle.poll_over(cx, calls).is_ready()) {
            // A call that has just got its place fails unsent, and is sent on another connection.
            me.close(DisconnectReason::Idle);
        }
        me.release_cancelled(cx);
        if me.watch.as_mut().is_some_and(|watch| watch.poll_dead(cx, &me.shared)) {
            // Dropping the connection ends its streams.
            return me.end(DisconnectReason::TimedOut);
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Drop for Driver<I> {
    fn drop(&mut self) {
        self.shared.cancelled.end();
        if !self.ended {
            // The runtime shuts down and drops the connection.
            self.shared.abandon();
        }
    }
}

impl Watch {
    /// Whether the endpoint has not answered in time.
    fn poll_dead(&mut self, cx: &mut Context<'_>, shared: &Shared) -> bool {
        if let Some(sign) = shared.take_sign() {
            // Taking the answer lets the next ping be sent.
            while let Poll::Ready(Ok(_)) = self.ping_pong.poll_pong(cx) {}
            self.pinger.on_sign(Instant::now().into_std(), sign);
        }
        while self.timer.poll_passed(cx).is_ready() {
            let now = Instant::now().into_std();
            if self.pinger.next_deadline() <= now {
                match self.pinger.on_deadline(now, shared.places.holders()) {
                    Verdict::Fine => {}
                    // An error means that a ping is not answered yet, or that the connection is ending.
                    Verdict::Ping => drop(self.ping_pong.send_ping(h2::Ping::opaque())),
                    Verdict::Dead => return true,
                }
            }
            self.timer.reset(self.pinger.next_deadline().into());
        }
        false
    }
}
