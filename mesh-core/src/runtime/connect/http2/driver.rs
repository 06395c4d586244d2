//! The task of one connection: moves frames, notices the end, pings.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::runtime::connect::DisconnectReason;

use super::error::disconnect_reason;
use super::io::Observed;
use super::keepalive::{Heard, Pinger, Verdict};
use super::settings::Keepalive;

/// What the connection's task and its users have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// No new calls.
    closed: AtomicBool,
    /// Callers between asking whether the connection is open and having sent.
    sending: AtomicUsize,
    /// Calls in flight.
    pub(super) calls: AtomicUsize,
    /// Something has arrived since the last look.
    heard: AtomicBool,
    /// A call has brought a response.
    served: AtomicBool,
}

impl Shared {
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// No new calls from here on, but for those of callers that are [sending](Self::sending).
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Asks for permission to send one call. `None`: the connection is closed. Who gets it can count on h2 not to
    /// learn of the end before it is dropped, unless the end is h2's own doing.
    pub(super) fn sending(&self) -> Option<Sending<'_>> {
        // Sequentially consistent: either this sees the store of `close`, or `is_quiet` sees this.
        self.sending.fetch_add(1, Ordering::SeqCst);
        let sending = Sending(self);
        (!self.closed.load(Ordering::SeqCst)).then_some(sending)
    }

    /// Whether nobody is sending any more, after [`close`](Self::close).
    pub(super) fn is_quiet(&self) -> bool {
        self.sending.load(Ordering::SeqCst) == 0
    }

    pub(super) fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// A response has come. Written once, so that calls do not share a line of cache that is written all the time.
    pub(super) fn serve(&self) {
        if !self.has_served() {
            self.served.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }
}

/// Permission to send one call.
pub(super) struct Sending<'a>(&'a Shared);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Ordering::Release);
    }
}

/// The task of one connection. It ends when the connection does; before that, as soon as no new call can be sent,
/// it says so.
pub(super) struct Driver<I: AsyncRead + AsyncWrite + Unpin> {
    connection: Connection<Observed<I>, Bytes>,
    shared: Arc<Shared>,
    /// There until the connection takes no more calls.
    open: Option<Open>,
    keepalive: Option<Watch>,
    /// Given up by keepalive.
    dead: bool,
}

struct Open {
    /// Tells whether a new call would be taken.
    probe: SendRequest<Bytes>,
    /// Resolves when nobody holds the connection any more.
    released: oneshot::Receiver<()>,
    report: oneshot::Sender<DisconnectReason>,
}

struct Watch {
    pinger: Pinger,
    ping_pong: h2::PingPong,
    timer: Pin<Box<Sleep>>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Driver<I> {
    pub(super) fn new(
        mut connection: Connection<Observed<I>, Bytes>,
        probe: SendRequest<Bytes>,
        shared: Arc<Shared>,
        released: oneshot::Receiver<()>,
        report: oneshot::Sender<DisconnectReason>,
        keepalive: Option<Keepalive>,
    ) -> Self {
        let keepalive = keepalive.zip(connection.ping_pong()).map(|(settings, ping_pong)| {
            let pinger = Pinger::new(Instant::now().into_std(), settings);
            let timer = Box::pin(tokio::time::sleep_until(pinger.next_deadline().into()));
            Watch { pinger, ping_pong, timer }
        });
        Self { connection, shared, open: Some(Open { probe, released, report }), keepalive, dead: false }
    }

    /// No new calls from here on.
    fn close(&mut self, reason: DisconnectReason) {
        self.shared.close();
        if let Some(open) = self.open.take() {
            // Nobody may be listening any more.
            let _ = open.report.send(reason);
        }
    }

    /// Why the connection has just stopped taking calls, if it has.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Option<DisconnectReason> {
        let open = self.open.as_mut()?;
        match open.probe.poll_ready(cx) {
            // GOAWAY: h2 takes no new stream, and running ones go on.
            Poll::Ready(Err(error)) => Some(disconnect_reason(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Future for Driver<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let dead = !me.dead && me.keepalive.as_mut().is_some_and(|watch| watch.poll_dead(cx, &me.shared));
        if dead {
            me.close(DisconnectReason::TimedOut);
            me.dead = true;
        }
        if me.dead {
            // Dropping the connection ends its streams.
            return match me.shared.is_quiet() {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            };
        }
        if me.open.as_mut().is_some_and(|open| Pin::new(&mut open.released).poll(cx).is_ready()) {
            me.close(DisconnectReason::Shutdown);
        }
        match Pin::new(&mut me.connection).poll(cx) {
            Poll::Ready(result) => {
                let reason = match result {
                    // Also after GOAWAY, which then is the reason.
                    Ok(()) => me.poll_closed(cx).unwrap_or(DisconnectReason::Unknown),
                    Err(error) => disconnect_reason(&error),
                };
                me.close(reason);
                Poll::Ready(())
            }
            Poll::Pending => {
                if let Some(reason) = me.poll_closed(cx) {
                    me.close(reason);
                }
                Poll::Pending
            }
        }
    }
}

impl Watch {
    /// Whether the endpoint has not answered in time.
    fn poll_dead(&mut self, cx: &mut Context<'_>, shared: &Shared) -> bool {
        // The answer itself counts as something heard; taking it lets the next ping be sent.
        while let Poll::Ready(Ok(_)) = self.ping_pong.poll_pong(cx) {}
        while self.timer.as_mut().poll(cx).is_ready() {
            let heard = match shared.heard.swap(false, Ordering::Relaxed) {
                true => Heard::Something,
                false => Heard::Nothing,
            };
            let calls = shared.calls.load(Ordering::Relaxed);
            match self.pinger.on_deadline(Instant::now().into_std(), heard, calls) {
                Verdict::Fine => {}
                // An error means that a ping is under way already, or that the connection is about to end.
                Verdict::Ping => drop(self.ping_pong.send_ping(h2::Ping::opaque())),
                Verdict::Dead => return true,
            }
            self.timer.as_mut().reset(self.pinger.next_deadline().into());
        }
        false
    }
}
