//! The provider of a `file_watcher` for connections between services.

use std::pin::Pin;
use std::time::Duration;

use mesh_core::certificate::{
    CertificateProvider, Identity, Material, MaterialError, MaterialPublisher, Roots,
};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::bootstrap::FileWatcher;

use super::provider::read;
use super::reload::{ReadChange, Reload};

/// Reads the files of a `file_watcher`, and reads them again at their interval.
#[derive(Debug)]
pub(super) struct FileMaterial(FileWatcher);

impl FileMaterial {
    pub(super) fn new(files: FileWatcher) -> Self {
        Self(files)
    }
}

impl CertificateProvider for FileMaterial {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let files = self.0.clone();
        Box::pin(async move {
            let mut known = Known::default();
            let mut bad_reads = 0;
            loop {
                let (read, files_again) = (known, files.clone());
                let looked = spawn_blocking(move || look(read, &files_again)).await;
                // The runtime ends.
                let Ok((state, seen)) = looked else { return };
                known = state;
                if seen.is_changed {
                    publisher.publish(known.material(&files));
                }
                bad_reads = if seen.is_bad { bad_reads + 1 } else { 0 };
                sleep(pause(&files, bad_reads)).await;
            }
        })
    }
}

/// Until the next read. Files that do not belong together are mostly in the middle of a rotation, and are soon read again.
// R1
pub(super) fn pause(files: &FileWatcher, bad_reads: u32) -> Duration {
    match bad_reads {
        1..=SOON_READS => files.refresh_interval.min(SOON),
        _ => files.refresh_interval,
    }
}

/// What the reads so far have given.
#[derive(Debug, Default)]
pub(super) struct Known {
    identity: Reload<Identity>,
    roots: Reload<Roots>,
}

/// What one read has shown.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) is_changed: bool,
    pub(super) is_bad: bool,
}

impl Known {
    /// The last valid content; what never was valid says why.
    pub(super) fn material(&self, files: &FileWatcher) -> Material {
        let mut material = Material::default();
        if files.identity.is_some() {
            material.identity = self.identity.good().map_err(MaterialError::new);
        }
        if let Some(file) = &files.spiffe_trust_bundle_map_file {
            // A map replaces the roots (A87): they are never used in its place.
            let reason = format!("{}: maps of SPIFFE trust bundles are not supported", file.display());
            material.roots = Err(MaterialError::new(reason));
        } else if files.ca_certificate_file.is_some() {
            material.roots = self.roots.good().map_err(MaterialError::new);
        }
        material
    }
}

/// Reads the files. Blocks.
// BS-34
pub(super) fn look(mut known: Known, files: &FileWatcher) -> (Known, Seen) {
    let mut seen = Seen::default();
    if let Some(identity) = &files.identity {
        let (certificate, key) = (&identity.certificate, &identity.private_key);
        let change = known.identity.on_read(read(&[certificate, key]), |contents| {
            let [chain, secret] = contents else {
                return Err("a certificate and a key are needed".to_owned());
            };
            let at = |error| format!("{} and {}: {error}", certificate.display(), key.display());
            Identity::from_pem(chain, secret).map_err(at)
        });
        seen.note("identity", &change);
    }
    if let Some(file) = &files.ca_certificate_file {
        let change = known.roots.on_read(read(&[file]), |contents| {
            let at = |error| format!("{}: {error}", file.display());
            Roots::from_pem(contents.first().map_or(&[], Vec::as_slice)).map_err(at)
        });
        seen.note("trusted roots", &change);
    }
    (known, seen)
}

impl Seen {
    fn note(&mut self, part: &str, change: &ReadChange) {
        match change {
            ReadChange::Same => {}
            ReadChange::Good => {
                self.is_changed = true;
                tracing::debug!(part, "read");
            }
            ReadChange::Bad(reason) => {
                self.is_changed = true;
                self.is_bad = true;
                tracing::warn!(part, reason, "not usable; the last valid content stays in use");
            }
        }
    }
}

const SOON: Duration = Duration::from_secs(1);
const SOON_READS: u32 = 5;
