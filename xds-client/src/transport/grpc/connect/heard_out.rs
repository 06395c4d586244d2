//! Hears a peer out that has hung up, and keeps what the system said of it.
//!
//! With TLS 1.3 a client is done with its handshake before the server has seen its certificate. A server that does not
//! like it says so and closes, and a client that is about to write learns only of the latter. Of errors of writing, in
//! turn, HTTP/2 tells its streams only that there was one.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first error of a stream of bytes, in the system's words or TLS's.
pub(super) type Last = Arc<OnceLock<String>>;

/// A stream of bytes whose errors of writing are what the peer has said last, if it has said something.
#[derive(Debug)]
pub(super) struct HeardOut<S> {
    inner: S,
    last: Last,
}

impl<S: AsyncRead + Unpin> HeardOut<S> {
    pub(super) fn new(inner: S, last: Last) -> Self {
        Self { inner, last }
    }

    /// Waits for the peer's last words when something could not be written. They, or the end, are on their way: a peer
    /// that has not gone does not break the pipe.
    fn heard<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut space = [0; 1024];
        let Poll::Ready(Err(error)) = written else { return written };
        let error = loop {
            let mut space = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut space)) {
                // Nobody will read it: what cannot be written to is over.
                Ok(()) if !space.filled().is_empty() => {}
                // TLS's.
                Err(alert) if alert.kind() == io::ErrorKind::InvalidData => break alert,
                Ok(()) | Err(_) => break error,
            }
        };
        self.kept(Poll::Ready(Err(error)))
    }

    fn kept<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &done {
            self.last.get_or_init(|| error.to_string());
        }
        done
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeardOut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.kept(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeardOut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.heard(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.inner).poll_flush(cx);
        self.heard(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.heard(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
