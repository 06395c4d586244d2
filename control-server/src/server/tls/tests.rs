//! Files that change, as the reloader sees them.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;

use crate::metrics::{Metrics, Reading};
use crate::server::options::{ClientAuth, TlsOptions};

use super::{Reloader, Tls, TlsError};

/// A folder with `cert`, `key` and `ca`.
struct Files {
    folder: TempDir,
}

impl Files {
    fn good() -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        let (certificate, key) = pair();
        files.write("cert", &certificate);
        files.write("key", &key);
        files.write("ca", &certificate);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn options(&self) -> TlsOptions {
        TlsOptions {
            address: TlsOptions::DEFAULT_ADDRESS,
            certificate: self.path("cert"),
            key: self.path("key"),
            client_auth: ClientAuth::Required(self.path("ca")),
        }
    }

    async fn start(&self) -> Result<(Reloader, Tls), TlsError> {
        Reloader::start(self.options(), Metrics::default()).await
    }
}

/// A certificate and its key, in PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// How often a change was not used.
fn failures(metrics: &Metrics) -> usize {
    let (state, resources, load) = Default::default();
    let reading = Reading { clients: &[], state: &state, resources: &resources, load: &load };
    let text = metrics.text(&reading).unwrap();
    let line = text.lines().find(|line| line.contains("tls_reloads_total{result=\"failed\"}")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn is_same(left: &Arc<ServerConfig>, right: &Arc<ServerConfig>) -> bool {
    Arc::ptr_eq(left, right)
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let (other, other_key) = pair();
    let text = "no PEM";
    for (name, content, parts) in [
        ("cert", None, ["cannot read the certificate", "--tls-cert", "No such file"]),
        ("key", None, ["cannot read the private key", "--tls-key", "No such file"]),
        ("ca", None, ["cannot read the authorities of clients", "--tls-client-ca", "No such file"]),
        ("cert", Some(text), ["cannot use the certificate", "--tls-cert", "no CERTIFICATE"]),
        ("key", Some(text), ["cannot use the private key", "--tls-key", "no unencrypted PRIVATE KEY"]),
        ("ca", Some(text), ["cannot use the authorities of clients", "--tls-client-ca", "no CERTIFICATE"]),
        ("cert", Some(&other), ["cannot use the certificate", "does not belong to", "private key"]),
        ("key", Some(&other_key), ["cannot use the certificate", "does not belong to", "private key"]),
        (
            "cert",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ["cannot use the certificate", "--tls-cert", ": "],
        ),
        ("key", Some(&"x".repeat(2 << 20)), ["cannot use the private key", "more than", "bytes"]),
    ] {
        let files = Files::good();
        match content {
            Some(content) => files.write(name, content),
            None => std::fs::remove_file(files.path(name)).unwrap(),
        }
        let error = files.start().await.err().unwrap();
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let text = format!("{error}{cause}");
        for part in parts {
            assert!(text.contains(part), "{name}: {part:?} is missing in {text:?}");
        }
    }
}

#[tokio::test]
async fn broken_files_keep_last_good_certificates() {
    let files = Files::good();
    let (mut reloader, tls) = files.start().await.unwrap();
    let first = tls.config();
    reloader.look().await;
    assert!(is_same(&first, &tls.config()), "nothing has changed");

    let (certificate, key) = pair();
    files.write("cert", &certificate);
    reloader.look().await;
    assert!(is_same(&first, &tls.config()), "the key is not there yet");
    files.write("key", &key);
    reloader.look().await;
    let second = tls.config();
    assert!(!is_same(&first, &second));

    std::fs::remove_file(files.path("key")).unwrap();
    reloader.look().await;
    files.write("key", "half of it");
    reloader.look().await;
    assert!(is_same(&second, &tls.config()));
    files.write("key", &key);
    reloader.look().await;
    assert!(!is_same(&second, &tls.config()));
}

#[tokio::test]
async fn file_error_is_logged_once_per_cause() {
    let files = Files::good();
    let metrics = Metrics::default();
    let (mut reloader, _tls) = Reloader::start(files.options(), metrics.clone()).await.unwrap();
    std::fs::remove_file(files.path("key")).unwrap();
    reloader.look().await;
    reloader.look().await;
    assert_eq!(failures(&metrics), 1);
    std::fs::create_dir(files.path("key")).unwrap();
    reloader.look().await;
    reloader.look().await;
    assert_eq!(failures(&metrics), 2, "cannot be read as before, but for another reason");
}

#[tokio::test]
async fn changed_authorities_are_reloaded() {
    let files = Files::good();
    let (mut reloader, tls) = files.start().await.unwrap();
    let first = tls.config();
    files.write("ca", &pair().0);
    reloader.look().await;
    assert!(!is_same(&first, &tls.config()));
}

#[tokio::test]
async fn file_changes_are_detected_by_polling() {
    let files = Files::good();
    let (reloader, tls) = files.start().await.unwrap();
    let first = tls.config();
    let running = tokio::spawn(reloader.run());
    let (certificate, key) = pair();
    files.write("cert", &certificate);
    files.write("key", &key);
    for _ in 0..3000 {
        if !is_same(&first, &tls.config()) {
            running.abort();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not in 30 s");
}
