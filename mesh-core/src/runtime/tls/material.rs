//! The material that a handshake uses.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::UnixTime;

use crate::certificate::{CertificateSource, Identity, Published, Roots, UtcTime};
use crate::config::RootSource;

use super::{HandshakeError, HandshakeResult, system_roots};

/// The latest material of a source, which is started if it does not run; waits for the first publication.
// TLS-19
pub(super) async fn latest(source: &CertificateSource) -> Published {
    source.start(|provider| drop(tokio::spawn(provider)));
    match source.latest() {
        Some(published) => published,
        None => source.after(0).await,
    }
}

/// The source of the roots.
pub(super) fn root_source(roots: &RootSource) -> &CertificateSource {
    match roots {
        RootSource::System => system_roots::source(),
        RootSource::Provider(source) => source,
    }
}

/// The identity in the material of `source`.
pub(super) fn identity(
    source: &CertificateSource,
    published: &Published,
) -> Result<Arc<Identity>, HandshakeError> {
    let identity = published.material.identity.clone();
    identity.map_err(|error| HandshakeError::material(&source.error("identity", &error)))
}

/// The roots in the material of `source`.
pub(super) fn roots(source: &CertificateSource, published: &Published) -> Result<Arc<Roots>, HandshakeError> {
    let roots = published.material.roots.clone();
    roots.map_err(|error| HandshakeError::material(&source.error("roots", &error)))
}

/// The roots that this source trusts now.
pub(in crate::runtime) async fn trusted_roots(roots: &RootSource) -> Result<Arc<Roots>, HandshakeError> {
    let source = root_source(roots);
    self::roots(source, &latest(source).await)
}

/// An identity that has expired is not shown.
// R3
pub(super) fn check_identity(source: &CertificateSource, identity: &Identity) -> Result<(), HandshakeError> {
    let (now, end) = (now(), identity.not_after());
    match now <= end {
        true => Ok(()),
        false => Err(HandshakeError::new(
            HandshakeResult::CertificateExpired,
            format!(
                "our own certificate, from certificate provider {:?}, expired at {}, and now it is {}",
                source.name(),
                UtcTime(end),
                UtcTime(now)
            ),
        )),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(unix_now().as_secs()).unwrap_or(i64::MAX)
}

/// This many seconds since 1970.
pub(super) fn time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// The time by which certificates are checked.
pub(super) fn unix_now() -> UnixTime {
    UnixTime::since_unix_epoch(clock().duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(not(test))]
fn clock() -> SystemTime {
    SystemTime::now()
}

/// The system's clock, which a test moves on with the time of its runtime.
#[cfg(test)]
pub(super) fn clock() -> SystemTime {
    use tokio::time::Instant;

    thread_local! {
        static START: (SystemTime, Instant) = (SystemTime::now(), Instant::now());
    }
    START.with(|(clock, start)| *clock + Instant::now().duration_since(*start))
}
