//! The provider of a `file_watcher` for connections between services.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::certificate::{
    CertificateProvider, Identity, Material, MaterialError, MaterialPublisher, Part, Roots, SpiffeBundles,
};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::bootstrap::FileWatcher;

use super::provider::read;
use super::reload::{ReadChange, Reload};
use super::revocation::{self, ListDirectory};

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
                let until_valid =
                    known.early.map(|from| from.duration_since(SystemTime::now()).unwrap_or_default());
                let pause = pause(&files, bad_reads);
                sleep(until_valid.map_or(pause, |wait| pause.min(wait + SOON))).await;
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
    /// When the identity that was read last becomes valid, if it is not yet.
    early: Option<SystemTime>,
    /// From the file of roots, or from the map of trust bundles.
    roots: Reload<Roots>,
    lists: ListDirectory,
    /// What handshakes use: the roots with the lists.
    trusted: Option<Part<Roots>>,
    /// How often the roots and the lists of `trusted` had changed.
    last_made_of: (u64, u64),
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
        if let Some(trusted) = &self.trusted {
            material.roots = trusted.clone();
        }
        material
    }

    /// What handshakes use as roots; `None`: no file says.
    fn trusted(&self, files: &FileWatcher) -> Option<Part<Roots>> {
        if files.spiffe_trust_bundle_map_file.is_none() && files.ca_certificate_file.is_none() {
            return None;
        }
        let roots = self.roots.good().map_err(MaterialError::new);
        Some(match (&files.revocation, self.lists.lists()) {
            (None, _) => roots,
            (Some(_), Some(lists)) => {
                roots.map(|roots| Arc::new(Roots::clone(&roots).with_revocation(lists)))
            }
            (Some(_), None) => Err(MaterialError::new("the revocation lists have not been read")),
        })
    }
}

/// Reads the files. Blocks.
// BS-34
pub(super) fn look(mut known: Known, files: &FileWatcher) -> (Known, Seen) {
    let mut seen = Seen::default();
    if let Some(identity) = &files.identity {
        let (certificate, key) = (&identity.certificate, &identity.private_key);
        let now = SystemTime::now();
        if known.early.take_if(|from| *from <= now).is_some() {
            known.identity.read_again();
        }
        let early = &mut known.early;
        let change = known.identity.on_read(read(&[certificate, key]), |contents| {
            let [chain, secret] = contents else {
                return Err("a certificate and a key are needed".to_owned());
            };
            let at = |error| format!("{} and {}: {error}", certificate.display(), key.display());
            let identity = Identity::from_pem(chain, secret).map_err(at)?;
            // R5: the one before stays in use until then
            *early = Some(identity.valid_from()).filter(|from| *from > now);
            match early {
                None => Ok(identity),
                Some(_) => Err(format!("{} is not valid yet: compare the clocks", certificate.display())),
            }
        });
        seen.note("identity", &change);
    }
    let mut trusted = Seen::default();
    // A map replaces the roots (A87): they are never used in its place.
    if let Some(file) = &files.spiffe_trust_bundle_map_file {
        // TLS-21
        let change = known.roots.on_read(read(&[file]), |contents| {
            let at = |error| format!("{}: {error}", file.display());
            let bundles = SpiffeBundles::from_json(contents.first().map_or(&[], Vec::as_slice));
            bundles.map(Roots::by_trust_domain).map_err(at)
        });
        trusted.note("SPIFFE trust bundles", &change);
    } else if let Some(file) = &files.ca_certificate_file {
        let change = known.roots.on_read(read(&[file]), |contents| {
            let at = |error| format!("{}: {error}", file.display());
            Roots::from_pem(contents.first().map_or(&[], Vec::as_slice)).map_err(at)
        });
        trusted.note("trusted roots", &change);
    }
    if let Some(directory) = &files.revocation {
        let change = known.lists.on_read(revocation::read(&directory.path), directory.unknown);
        trusted.note("revocation lists", &change);
    }
    // A value that has not changed stays the same one: open connections are checked by each new one.
    let made_of = (known.roots.changes(), known.lists.changes());
    if known.trusted.is_none() || known.last_made_of != made_of {
        (known.trusted, known.last_made_of) = (known.trusted(files), made_of);
    }
    seen.is_changed |= trusted.is_changed;
    seen.is_bad |= trusted.is_bad;
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
