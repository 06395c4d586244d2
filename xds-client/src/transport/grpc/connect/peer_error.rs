//! After a failed write, reads what the peer has sent before it closed, and keeps the first error.
//!
//! With TLS 1.3 a client ends its handshake before the server has checked its certificate. A server that refuses it sends
//! an alert and closes; a client that is writing sees only that the connection is closed. HTTP/2 in turn tells its streams
//! only that a write has failed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first error of a stream of bytes, as text of the operating system or of TLS.
pub(super) type FirstError = Arc<OnceLock<String>>;

/// A stream of bytes that reports, after a failed write, the last error that the peer has sent, if any.
#[derive(Debug)]
pub(super) struct PeerErrors<S> {
    inner: S,
    last: FirstError,
}

impl<S: AsyncRead + Unpin> PeerErrors<S> {
    pub(super) fn new(inner: S, last: FirstError) -> Self {
        Self { inner, last }
    }

    /// Reads until the peer's error or end after a failed write. One of them will come: the pipe breaks only after the peer
    /// has closed.
    fn read_error<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut space = [0; 1024];
        let Poll::Ready(Err(error)) = written else { return written };
        let error = loop {
            let mut space = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut space)) {
                // Data is dropped: a stream that cannot be written to is over.
                Ok(()) if !space.filled().is_empty() => {}
                // An error of TLS.
                Err(alert) if alert.kind() == io::ErrorKind::InvalidData => break alert,
                Ok(()) | Err(_) => break error,
            }
        };
        self.remember(Poll::Ready(Err(error)))
    }

    fn remember<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &done {
            self.last.get_or_init(|| error.to_string());
        }
        done
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PeerErrors<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.remember(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PeerErrors<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.read_error(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.inner).poll_flush(cx);
        self.read_error(cx, written)
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
        self.read_error(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
