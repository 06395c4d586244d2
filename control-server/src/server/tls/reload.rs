//! Reloads changed files.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio_rustls::rustls::ServerConfig;

use crate::causes::with_causes;
use crate::metrics::{Metrics, Reload};
use crate::server::options::{ClientAuth, TlsOptions};

use super::error::TlsError;
use super::material::Material;
use super::texts::Texts;
use super::watch::Watch;

/// The newest good material, for handshakes.
#[derive(Debug, Clone)]
pub(in crate::server) struct Tls {
    newest: Receiver<Arc<ServerConfig>>,
}

/// Keeps [`Tls`] current.
pub(in crate::server) struct Reloader {
    options: TlsOptions,
    metrics: Metrics,
    newest: Sender<Arc<ServerConfig>>,
    /// The last read content, good or not.
    seen: Result<Texts, String>,
}

impl Tls {
    pub(in crate::server) fn config(&self) -> Arc<ServerConfig> {
        self.newest.borrow().clone()
    }
}

impl Reloader {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(in crate::server) async fn start(
        options: TlsOptions,
        metrics: Metrics,
    ) -> Result<(Self, Tls), TlsError> {
        let texts = Texts::read(&options).await?;
        let material = Material::build(&options, &texts)?;
        metrics.tls_certificate(material.not_after);
        let (newest, receiver) = tokio::sync::watch::channel(material.config);
        Ok((Self { options, metrics, newest, seen: Ok(texts) }, Tls { newest: receiver }))
    }

    /// Runs for ever.
    pub(in crate::server) async fn run(mut self) {
        let watch = Watch::beside(&self.files());
        loop {
            // Read once at first: the files may have changed before the watch.
            self.look().await;
            tokio::select! {
                () = watch.changed() => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Uses the current content of the files, if it is new and good.
    pub(super) async fn look(&mut self) {
        let seen = Texts::read(&self.options).await;
        let result = match seen {
            Ok(texts) if self.seen.as_ref() == Ok(&texts) => return,
            Ok(texts) => {
                let result = Material::build(&self.options, &texts);
                self.seen = Ok(texts);
                result
            }
            Err(error) => {
                // Logged once for all reads with the same cause; another cause is another error.
                let text = with_causes(&error);
                if self.seen.as_ref().err() == Some(&text) {
                    return;
                }
                self.seen = Err(text);
                Err(error)
            }
        };
        match result {
            Ok(material) => self.take(material),
            Err(error) => {
                self.metrics.tls_reloaded(Reload::Failed);
                let error: &dyn Error = &error;
                tracing::warn!(error, "the TLS files are broken; what was last good of them stays in use");
            }
        }
    }

    fn take(&self, material: Material) {
        self.newest.send_replace(material.config);
        self.metrics.tls_reloaded(Reload::Taken);
        self.metrics.tls_certificate(material.not_after);
        tracing::info!(serial = material.serial, "the TLS files have changed; new handshakes use them");
    }

    fn files(&self) -> Vec<&Path> {
        let TlsOptions { certificate, key, client_auth, .. } = &self.options;
        let client_ca = match client_auth {
            ClientAuth::None => None,
            ClientAuth::Optional(path) | ClientAuth::Required(path) => Some(path.as_path()),
        };
        [certificate.as_path(), key].into_iter().chain(client_ca).collect()
    }
}

/// How often the files are read without an event.
const INTERVAL: Duration = Duration::from_secs(10);
/// Certificate and key are seldom written at the same instant.
const DEBOUNCE: Duration = Duration::from_millis(100);
