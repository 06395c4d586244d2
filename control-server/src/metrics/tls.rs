//! Metrics of TLS.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

#[derive(Debug)]
pub(super) struct TlsMetrics {
    reloads: Family<ResultLabel, Counter>,
    failed_handshakes: Counter,
    not_after: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The result of reading changed TLS files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are in use.
    Taken,
    /// They are broken, and not used.
    Failed,
}

impl TlsMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reloads: Family::default(),
            failed_handshakes: Counter::default(),
            not_after: Gauge::default(),
        };
        for reload in [Reload::Taken, Reload::Failed] {
            drop(metrics.reloads.get_or_create(&label(reload)));
        }
        registry.register("tls_reloads", "Changes of the TLS files, by result", metrics.reloads.clone());
        registry.register(
            "tls_failed_handshakes",
            "Connections that were refused before the first byte of xDS",
            metrics.failed_handshakes.clone(),
        );
        registry.register(
            "tls_certificate_not_after_seconds",
            "When the server's certificate ends, in seconds since 1970; 0 without TLS",
            metrics.not_after.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts a change of the TLS files.
    pub fn tls_reloaded(&self, reload: Reload) {
        self.inner.tls.reloads.get_or_create(&label(reload)).inc();
    }

    /// Notes when the server's certificate ends, in seconds since 1970.
    pub fn tls_certificate(&self, not_after: i64) {
        self.inner.tls.not_after.set(not_after);
    }

    /// Counts a connection that was refused in its handshake.
    pub fn tls_handshake_failed(&self) {
        self.inner.tls.failed_handshakes.inc();
    }
}

fn label(reload: Reload) -> ResultLabel {
    ResultLabel {
        result: match reload {
            Reload::Taken => "taken",
            Reload::Failed => "failed",
        },
    }
}
