//! Observes the frames of a connection in both directions.
//!
//! [`Observed`] knows which bytes were written to the socket and which have arrived. This gives guarantees beyond h2:
//!
//! - When a connection ends, it is known of each call whether a byte of it may have reached the endpoint.
//! - The connection counts as closed as soon as the head of a GOAWAY, the end of stream or an error arrives.
//! - A graceful GOAWAY refuses no call. A server that shuts down sends GOAWAY and then a PING; what it has received
//!   when the answer arrives, it still processes. h2 answers pings before it writes what is queued, so it gets time to
//!   write between the two.
//! - One stream's small or empty frames do not make h2 end the connection, nor do frames of streams that have ended make
//!   it keep answers without end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::incoming::{Incoming, Stop, reset_frame};
use super::outgoing::Outgoing;
use super::settings::Http2Settings;
use super::shared::{Shared, Sign};
use super::wire::Wire;

/// A stream of bytes whose frames are followed in both directions.
#[derive(Debug)]
pub(super) struct Observed<I> {
    io: I,
    wire: Wire,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Scanned bytes that are not delivered yet.
    ready: Vec<u8>,
    /// Bytes that were read and are not scanned yet.
    held: Vec<u8>,
    next: Next,
}

/// The next step of a read.
#[derive(Debug)]
enum Next {
    /// Delivers what is there, and reads only if there is nothing.
    Deliver,
    /// Reads: what is held is an incomplete head.
    Read,
    /// Lets h2 write what it has.
    LetWrite,
}

impl<I> Observed<I> {
    pub(super) fn new(io: I, shared: Arc<Shared>, settings: &Http2Settings) -> Self {
        Self {
            io,
            wire: Wire::new(shared, settings),
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            ready: Vec::new(),
            held: Vec::new(),
            next: Next::Read,
        }
    }

    fn shared(&self) -> &Shared {
        self.wire.shared()
    }

    /// Scans bytes, keeps those at the front that are delivered now, and holds the rest. Returns how many are kept.
    fn scan(&mut self, bytes: &mut [u8]) -> usize {
        let scanned = self.incoming.scan(bytes, &mut self.wire);
        let rest = &bytes[scanned.rest..];
        self.held.clear();
        self.next =
            if scanned.stop == Stop::Incomplete || rest.is_empty() { Next::Read } else { Next::Deliver };
        match scanned.stop {
            Stop::End | Stop::Incomplete => {}
            Stop::AfterGoaway => self.next = Next::LetWrite,
            Stop::Reset(stream) => self.held.extend_from_slice(&reset_frame(stream)),
        }
        self.held.extend_from_slice(rest);
        scanned.keep
    }

    /// Scans the held bytes.
    fn scan_held(&mut self) {
        let mut bytes = std::mem::take(&mut self.held);
        let keep = self.scan(&mut bytes);
        bytes.truncate(keep);
        self.ready = bytes;
    }

    fn deliver(&mut self, buf: &mut ReadBuf<'_>) {
        let length = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..length]);
        self.ready.drain(..length);
    }

    fn on_written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(written)) => {
                let mut left = *written;
                for buf in bufs {
                    let taken = &buf[..buf.len().min(left)];
                    left -= taken.len();
                    self.outgoing.follow(taken, |head| self.wire.on_sent(head));
                }
                self.wire.settle();
            }
            Poll::Ready(Err(_)) => self.wire.shared().close(),
            Poll::Pending => {}
        }
        outcome
    }
}

impl<I: AsyncRead + Unpin> Observed<I> {
    /// Reads directly into the buffer if it has enough room and no held bytes come first. Returns how many bytes have arrived.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        if self.held.is_empty() && buf.remaining() >= MIN_READ {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            let keep = self.scan(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + keep);
            return Poll::Ready(Ok(read));
        }
        let mut bytes = [0; MIN_READ];
        let mut more = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut more))?;
        let read = more.filled().len();
        self.held.extend_from_slice(more.filled());
        self.scan_held();
        Poll::Ready(Ok(read))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Observed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let before = buf.filled().len();
        if me.ready.is_empty() && me.incoming.is_between_frames() {
            me.wire.on_read();
        }
        loop {
            me.deliver(buf);
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match me.next {
                Next::Deliver if me.wire.is_to_write() => return Poll::Pending,
                Next::Deliver => me.scan_held(),
                Next::LetWrite => {
                    me.next = if me.held.is_empty() { Next::Read } else { Next::Deliver };
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // `poll_flush` wakes.
                Next::Read if me.wire.is_to_write() => return Poll::Pending,
                Next::Read => match ready!(me.poll_fill(cx, buf)) {
                    Ok(read) if read > 0 => me.shared().note(Sign::Life),
                    end => {
                        me.shared().close();
                        return Poll::Ready(end.map(drop));
                    }
                },
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> Observed<I> {
    /// Writes frames of this side's own, if h2 is between two of its frames.
    fn poll_write_grants(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outgoing.is_between_frames() && !self.wire.grants().frames().is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.wire.grants().frames()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wire.grants().on_written(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Observed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_grants(cx))?;
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.on_written(outcome, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_grants(cx))?;
        if self.wire.on_flush() {
            cx.waker().wake_by_ref();
        }
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
        ready!(self.poll_write_grants(cx))?;
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.on_written(outcome, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// Reads go directly into buffers with at least this much room.
const MIN_READ: usize = 1 << 10;
