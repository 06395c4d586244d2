//! A secured byte stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream as Inner;
use tokio_rustls::rustls::Error;

use super::HandshakeError;

/// A byte stream that is secured by TLS.
pub struct TlsStream<I> {
    inner: Inner<I>,
    /// The peer's alert, once it has arrived.
    alert: Arc<OnceLock<HandshakeError>>,
}

impl<I> TlsStream<I> {
    pub(super) fn new(inner: impl Into<Inner<I>>) -> Self {
        Self { inner: inner.into(), alert: Arc::default() }
    }

    /// The stream below, for its addresses and options.
    pub fn get_ref(&self) -> &I {
        self.inner.get_ref().0
    }

    /// Holds the peer's alert once it has arrived: with TLS 1.3 a server refuses a client's certificate when the client's
    /// handshake has ended already.
    // H1
    pub(in crate::runtime) fn alert(&self) -> Arc<OnceLock<HandshakeError>> {
        self.alert.clone()
    }

    fn note(&self, error: &io::Error) {
        if let Some(Error::AlertReceived(_)) = error.get_ref().and_then(|cause| cause.downcast_ref()) {
            let peer = match &self.inner {
                Inner::Client(_) => "server",
                Inner::Server(_) => "client",
            };
            self.alert.get_or_init(|| HandshakeError::of_io(error, peer));
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> TlsStream<I> {
    /// After a failed write, reads what the peer has sent before it closed: its alert, or the end. One of them comes, for a
    /// write fails only after the peer has closed.
    fn read_alert<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = written else { return written };
        if self.alert.get().is_some() {
            return Poll::Ready(Err(error));
        }
        let mut space = [0; 1024];
        loop {
            let mut space = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut space)) {
                // Data is dropped: a stream that cannot be written to is over.
                Ok(()) if !space.filled().is_empty() => {}
                Ok(()) => break,
                Err(alert) => {
                    self.note(&alert);
                    break;
                }
            }
        }
        Poll::Ready(Err(error))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read {
            self.note(error);
        }
        read
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.read_alert(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.read_alert(cx, flushed)
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
        self.read_alert(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl<I: fmt::Debug> fmt::Debug for TlsStream<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(self.get_ref()).finish()
    }
}
