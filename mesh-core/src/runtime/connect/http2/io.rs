//! The bytes of a connection, looked at on their way in.
//!
//! [`Observed`] sees the end before h2 does, which makes two promises possible that h2 alone cannot keep:
//!
//! - A call is either given to h2 before the end or given back: the connection counts as closed first, and h2 learns
//!   of GOAWAY, end of stream or error only when nobody is about to send.
//! - A graceful GOAWAY refuses no call. A server that shuts down sends GOAWAY and then a PING; what it has received
//!   when the answer arrives, it still processes. h2 answers pings before it writes what is queued, so GOAWAY is
//!   delivered by itself, and h2 gets a turn to write before it sees the PING.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::Shared;
use super::scanner::{Cut, Scanner};

/// A stream of bytes that notices signs of life and of the end.
#[derive(Debug)]
pub(super) struct Observed<I> {
    io: I,
    shared: Arc<Shared>,
    scanner: Scanner,
    /// Read but not delivered; empty but around a GOAWAY.
    held: BytesMut,
    /// End of stream or an error, not delivered yet.
    end: Option<io::Result<()>>,
    gate: Gate,
}

/// What the next read waits for.
#[derive(Debug)]
enum Gate {
    Open,
    /// Nobody is about to send.
    Quiet,
    /// h2 has written what it has.
    Turn,
}

impl<I> Observed<I> {
    pub(super) fn new(io: I, shared: Arc<Shared>) -> Self {
        let (scanner, held) = (Scanner::default(), BytesMut::new());
        Self { io, shared, scanner, held, end: None, gate: Gate::Open }
    }

    fn pass(&mut self) -> bool {
        let passed = match self.gate {
            Gate::Open => return true,
            Gate::Quiet => self.shared.is_quiet(),
            Gate::Turn => {
                self.gate = Gate::Open;
                return false;
            }
        };
        if passed {
            self.gate = Gate::Open;
        }
        passed
    }

    /// Takes back what is to be delivered later.
    fn hold_back(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let length = match self.scanner.scan(&buf.filled()[before..]) {
            None => return,
            Some(Cut::Begin(length)) => {
                self.shared.close();
                self.gate = Gate::Quiet;
                length
            }
            Some(Cut::End(length)) => {
                self.gate = Gate::Turn;
                length
            }
        };
        // What was held and not taken now comes after what was taken.
        let rest = &buf.filled()[before + length..];
        let mut held = BytesMut::with_capacity(rest.len() + self.held.len());
        held.extend_from_slice(rest);
        held.extend_from_slice(&self.held);
        self.held = held;
        buf.set_filled(before + length);
    }

    /// A write that failed is tried again, and fails again, once nobody is about to send.
    fn written<T>(&self, cx: &Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(outcome, Poll::Ready(Err(_))) {
            self.shared.close();
            if !self.shared.is_quiet() {
                return after_others(cx);
            }
        }
        outcome
    }
}

impl<I: AsyncRead + Unpin> Observed<I> {
    fn poll_fetch(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held[..length]);
        self.held.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Observed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        loop {
            if !me.pass() {
                return after_others(cx);
            }
            if let Some(end) = me.end.take() {
                return Poll::Ready(end);
            }
            let before = buf.filled().len();
            let outcome = ready!(me.poll_fetch(cx, buf));
            if buf.filled().len() > before {
                me.shared.heard();
                me.hold_back(buf, before);
                if buf.filled().len() > before {
                    return Poll::Ready(outcome);
                }
            } else if outcome.is_err() || buf.remaining() > 0 {
                me.shared.close();
                me.end = Some(outcome);
                me.gate = Gate::Quiet;
            } else {
                return Poll::Ready(outcome);
            }
        }
    }
}

/// Lets the other tasks go first.
fn after_others<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Observed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.written(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
