//! One connection of a server, from its preface to its end.

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use crate::peer::Peer;
use crate::runtime::tls::{ApplicationProtocol, PeerEnd, PeerWatch};

use super::generation::{Chain, Drain};
use super::open::Opened;
use super::state::Shared;
use super::{ServerHttp1Settings, ServerHttp2Settings};

/// A connection of a server, as the layer of its calls finds it: what the server knows of the client, and which rules hold
/// for its calls. The layer finds it among the extensions of a request.
#[derive(Debug, Clone)]
pub struct ServerConnection(pub(super) Arc<ConnectionContext>);

#[derive(Debug)]
pub(super) struct ConnectionContext {
    pub(super) chain: Arc<Chain>,
    pub(super) peer: Arc<Peer>,
    pub(super) shared: Arc<Shared>,
}

impl ServerConnection {
    pub(super) fn new(chain: Arc<Chain>, peer: Peer, shared: Arc<Shared>) -> Self {
        Self(Arc::new(ConnectionContext { chain, peer: Arc::new(peer), shared }))
    }

    /// The client.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.0.peer
    }
}

/// Serves the calls of a connection until it ends: by its client, at its age, after a drain.
pub(super) async fn serve<S, B>(opened: Opened, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Opened { io, protocol, connection, drain, watched, counted: _counted } = opened;
    let ConnectionContext { shared, peer, .. } = &*connection.0;
    let calls = service_fn(move |request| {
        let mut service = service.clone();
        async move {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    });
    let (io, end) = (TokioIo::new(io), End::new(shared, drain, watched));
    let ended = match protocol {
        // h2 announces the end with the highest stream id first, so that no call that is on its way is lost
        ApplicationProtocol::Http2 => {
            let serving = pin!(http2_builder(&shared.settings.http2).serve_connection(io, calls));
            drive(serving, http2::Connection::graceful_shutdown, end).await
        }
        // the last response says `connection: close`; an idle connection is closed
        ApplicationProtocol::Http1 => {
            let serving = http1_builder(&shared.settings.http1).serve_connection(io, calls);
            let serving = pin!(serving.with_upgrades());
            drive(serving, http1::UpgradeableConnection::graceful_shutdown, end).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(remote = %peer.remote, error = %crate::WithCauses(&error), "connection ended");
    }
}

/// Drives a connection to its end. `take_no_more` makes it end with the calls that it has.
async fn drive<C: Future<Output = Result<(), hyper::Error>>>(
    mut serving: Pin<&mut C>,
    take_no_more: fn(Pin<&mut C>),
    mut end: End,
) -> C::Output {
    loop {
        tokio::select! {
            ended = serving.as_mut() => return ended,
            step = end.next() => match step {
                // SV-22
                Step::TakeNoMore => take_no_more(serving.as_mut()),
                Step::Cut => return Ok(()),
            },
        }
    }
}

fn http1_builder(settings: &ServerHttp1Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_headers(settings.max_headers)
        .max_buf_size(settings.max_head.max(SMALLEST_BUFFER));
    builder
}

/// The least that hyper accepts.
const SMALLEST_BUFFER: usize = 8 << 10;

fn http2_builder(settings: &ServerHttp2Settings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(settings.max_header_list)
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_send_buf_size(settings.max_send_buffer)
        .max_pending_accept_reset_streams(settings.max_pending_resets);
    if let Some((interval, timeout)) = settings.keepalive {
        builder.keep_alive_interval(interval).keep_alive_timeout(timeout);
    }
    builder
}

/// When and how a connection ends that its client keeps.
struct End {
    drain: tokio::sync::watch::Receiver<Drain>,
    /// `None`: it has none, or has passed it.
    age: Option<Instant>,
    grace: Option<Duration>,
    /// `None`: what runs may take as long as it likes.
    cut: Option<Instant>,
    is_draining: bool,
    /// Of a client that has shown a certificate.
    watched: Option<PeerWatch>,
}

/// What happens to a connection next.
enum Step {
    /// It takes no calls beyond those that the client has sent by then.
    TakeNoMore,
    /// It is closed, whatever runs.
    Cut,
}

impl End {
    fn new(shared: &Shared, drain: tokio::sync::watch::Receiver<Drain>, watched: Option<PeerWatch>) -> Self {
        let settings = &shared.settings;
        let age = settings
            .max_connection_age
            .map(|age| jittered(age, settings.age_jitter, shared.randomness.next_u64()));
        // an age that no clock reaches is none
        let age = age.and_then(|age| Instant::now().checked_add(age));
        let grace = settings.max_connection_age_grace;
        Self { drain, age, grace, cut: None, is_draining: false, watched }
    }

    /// Dropping the future loses nothing.
    async fn next(&mut self) -> Step {
        loop {
            if let Drain::Until(deadline) = *self.drain.borrow_and_update() {
                self.cut = Some(self.cut.map_or(deadline, |earlier| earlier.min(deadline)));
                if !self.is_draining {
                    self.is_draining = true;
                    return Step::TakeNoMore;
                }
            }
            let age = self.age.filter(|_| !self.is_draining);
            tokio::select! {
                biased;
                () = at(self.cut) => return Step::Cut,
                end = peer_end(&mut self.watched) => match end {
                    PeerEnd::TakeNoMore if self.is_draining => {}
                    PeerEnd::TakeNoMore => {
                        self.is_draining = true;
                        return Step::TakeNoMore;
                    }
                    PeerEnd::Cut(_) => return Step::Cut,
                },
                () = at(age) => {
                    self.is_draining = true;
                    self.cut = self.grace.and_then(|grace| Instant::now().checked_add(grace));
                    return Step::TakeNoMore;
                }
                () = changed(&mut self.drain) => {}
            }
        }
    }
}

/// Waits for a change. There is none when the generation is gone.
async fn changed(drain: &mut tokio::sync::watch::Receiver<Drain>) {
    if drain.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the client is not accepted any more.
// V4
async fn peer_end(watched: &mut Option<PeerWatch>) -> PeerEnd {
    match watched {
        Some(watched) => std::future::poll_fn(|cx| watched.poll_end(cx)).await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The age, longer or shorter by at most this part of it (SV-22).
fn jittered(age: Duration, jitter: f64, random: u64) -> Duration {
    let unit = random as f64 / u64::MAX as f64;
    let part = jitter.clamp(0.0, 1.0) * (2.0 * unit - 1.0);
    Duration::try_from_secs_f64(age.as_secs_f64() * (1.0 + part)).unwrap_or(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: SV-22.
    #[test]
    fn age_differs_by_a_tenth_up_and_down() {
        let age = Duration::from_secs(100);
        assert_eq!(jittered(age, 0.1, 0), Duration::from_secs(90));
        assert_eq!(jittered(age, 0.1, u64::MAX), Duration::from_secs(110));
        assert_eq!(jittered(age, 0.0, 7), age);
        assert_eq!(jittered(Duration::MAX, 1.0, u64::MAX), Duration::MAX);
    }
}
