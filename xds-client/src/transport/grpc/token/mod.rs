//! Bearer tokens that authenticate streams (gRFC A97).
//!
//! ```text
//!   stream is opened ──▶ Tokens ──▶ TokenCache: use, read, wait or fail (pure)
//!                          │  ▲
//!                     read ▼  │ token or error
//!             jwt_file, google (blocking, in a task)
//! ```

mod cache;
#[cfg(test)]
mod cache_tests;
mod google;
mod jwt_file;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::transport::TransportError;

use cache::{Step, Token, TokenCache};

/// The source of tokens.
#[derive(Debug, Clone)]
pub(super) enum TokenSource {
    /// A file that another program renews.
    JwtFile(PathBuf),
    /// Signed with the key of Google's application default credentials, for this audience.
    Google { audience: String },
}

/// The tokens of one source: read when a stream needs one, and kept while they are valid.
#[derive(Debug)]
pub(super) struct Tokens {
    source: TokenSource,
    cache: Mutex<TokenCache>,
    /// The result of the last read.
    reads: watch::Sender<Option<Result<HeaderValue, TransportError>>>,
}

impl Tokens {
    pub(super) fn new(source: TokenSource) -> Arc<Self> {
        Arc::new(Self { source, cache: Mutex::default(), reads: watch::Sender::new(None) })
    }

    /// The value of an `authorization` header. Waits only while there is no valid token (BS-14).
    pub(super) async fn authorization(self: &Arc<Self>) -> Result<HeaderValue, TransportError> {
        let mut reads = self.reads.subscribe();
        let step = self.cache().on_call(Instant::now());
        match step {
            Step::Use(header) => return Ok(header),
            Step::UseAndRead(header) => {
                self.read();
                return Ok(header);
            }
            Step::Read => self.read(),
            Step::Wait => {}
            Step::Fail(error) => return Err(error),
        }
        _ = reads.changed().await;
        let read = reads.borrow().clone();
        read.unwrap_or_else(|| Err(TransportError::credentials("UNAVAILABLE: no token has been read")))
    }

    /// Reads on a task of its own: other streams wait for the same read, even if the first stream is dropped.
    fn read(self: &Arc<Self>) {
        let tokens = self.clone();
        tokio::spawn(async move {
            let source = tokens.source.clone();
            let read = spawn_blocking(move || source.read(unix_now())).await;
            let read = read.unwrap_or_else(|error| {
                Err(TransportError::credentials(format!("UNAVAILABLE: no token has been read: {error}")))
            });
            let told = read.as_ref().map(Token::header).map_err(Clone::clone);
            if let Err(error) = &told {
                tracing::warn!(%error, "no token for an xDS server");
            }
            tokens.cache().on_read(Instant::now(), read, &mut rand::rng());
            tokens.reads.send_replace(Some(told));
        });
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, TokenCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource {
    /// Reads a token. Blocks.
    fn read(&self, unix_now: Duration) -> Result<Token, TransportError> {
        match self {
            Self::JwtFile(path) => jwt_file::read(path, unix_now),
            Self::Google { audience } => google::sign(audience, unix_now),
        }
    }
}

/// The time since 1970, the clock of tokens.
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
