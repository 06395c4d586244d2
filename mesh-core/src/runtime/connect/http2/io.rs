//! The bytes of a connection, looked at on their way in.
//!
//! A server that shuts down gracefully sends GOAWAY and then a PING; what it has received when the answer arrives, it
//! still processes. h2 answers pings before it writes what is queued, so that calls which begin at that moment would
//! be refused. [`Observed`] therefore delivers a GOAWAY by itself: the connection counts as closed one turn before
//! h2 learns of it, and h2 writes everything it has before it sees the PING.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::Shared;
use super::scanner::Scanner;

/// A stream of bytes that notices signs of life and of the end.
#[derive(Debug)]
pub(super) struct Observed<I> {
    io: I,
    shared: Arc<Shared>,
    scanner: Scanner,
    /// Read but not delivered; empty but around a GOAWAY.
    held: BytesMut,
    turn: Turn,
}

/// What the next read does.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Read,
    /// Lets everybody else go first.
    Wait,
    /// Everybody knows of the end already.
    End,
}

impl<I> Observed<I> {
    pub(super) fn new(io: I, shared: Arc<Shared>) -> Self {
        Self { io, shared, scanner: Scanner::default(), held: BytesMut::new(), turn: Turn::Read }
    }

    /// Takes back what is not to be delivered in this turn. Whether anything is.
    fn hold_back(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        let part = self.scanner.scan(&buf.filled()[before..]);
        if let Some(end) = part {
            self.shared.close();
            let rest = &buf.filled()[before + end..];
            // What was held and not delivered now comes after what was just taken from it.
            let mut held = BytesMut::with_capacity(rest.len() + self.held.len());
            held.extend_from_slice(rest);
            held.extend_from_slice(&self.held);
            self.held = held;
            buf.set_filled(before + end);
            self.turn = Turn::Wait;
        }
        buf.filled().len() > before
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Observed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.turn == Turn::Wait {
            me.turn = Turn::Read;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if me.held.is_empty() {
            ready!(Pin::new(&mut me.io).poll_read(cx, buf)).inspect_err(|_| me.shared.close())?;
        } else {
            let length = me.held.len().min(buf.remaining());
            buf.put_slice(&me.held[..length]);
            me.held.advance(length);
        }
        if buf.filled().len() > before {
            me.shared.heard();
            if me.hold_back(buf, before) {
                return Poll::Ready(Ok(()));
            }
        } else if me.turn == Turn::End || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        } else {
            // The end: no more calls from here on, and those that begin right now are still told properly.
            me.shared.close();
            me.turn = Turn::End;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        me.turn = Turn::Read;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Observed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
