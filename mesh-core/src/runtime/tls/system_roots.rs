//! The operating system's roots (gRFC A82).

use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::certificate::{
    CertificateProvider, CertificateSource, Material, MaterialError, MaterialPublisher, Roots,
};

/// The system's roots, for the whole process.
// TLS-07
pub(super) fn source() -> &'static CertificateSource {
    static SOURCE: LazyLock<CertificateSource> =
        LazyLock::new(|| CertificateSource::new("system", SystemRoots));
    &SOURCE
}

/// Reads the roots at the first use and once an hour: a root that the system withdraws is not trusted for ever.
#[derive(Debug)]
struct SystemRoots;

impl CertificateProvider for SystemRoots {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut last = None;
            loop {
                let read = spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()));
                match read {
                    Ok(certificates) if last.as_ref() == Some(&certificates) => {}
                    Ok(certificates) => {
                        last = Some(certificates.clone());
                        let roots = Roots::from_der(certificates).map(Into::into);
                        let mut material = Material::missing("the system has only roots");
                        material.roots = roots;
                        publisher.publish(material);
                    }
                    Err(reason) if last.is_none() => publisher.publish(Material::missing(reason)),
                    Err(reason) => {
                        tracing::warn!(reason, "cannot read the system's roots again; the last ones stay")
                    }
                }
                sleep(INTERVAL).await;
            }
        })
    }
}

/// The certificates in a settled order. Blocks.
fn read() -> Result<Vec<Vec<u8>>, String> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "while reading the system's roots");
    }
    let mut certificates: Vec<Vec<u8>> = found.certs.iter().map(|certificate| certificate.to_vec()).collect();
    certificates.sort();
    certificates.dedup();
    match certificates.is_empty() {
        true => Err(MaterialError::new("the system has no trusted roots").to_string()),
        false => Ok(certificates),
    }
}

const INTERVAL: Duration = Duration::from_secs(60 * 60);
