//! Material of connections between services, from files that rotate and break.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::certificate::Identity;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::files::{Known, Seen, look, pause};
use crate::bootstrap::{FileWatcher, IdentityFiles};

/// A folder with files, and what its reads have given so far.
struct Reads {
    folder: TempDir,
    files: FileWatcher,
    known: Known,
}

impl Reads {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let identity = IdentityFiles { certificate: at("tls.crt"), private_key: at("tls.key") };
        let files = FileWatcher {
            identity: Some(identity),
            ca_certificate_file: Some(at("ca.crt")),
            ..FileWatcher::default()
        };
        Self { folder, files, known: Known::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn look(&mut self) -> Seen {
        let (known, seen) = look(std::mem::take(&mut self.known), &self.files);
        self.known = known;
        seen
    }

    fn identity(&self) -> Result<Arc<Identity>, String> {
        self.known.material(&self.files).identity.map_err(|error| error.to_string())
    }
}

/// A certificate and its key.
fn pair() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

/// R1.
#[test]
fn pair_that_does_not_belong_together_keeps_the_last_good_one() {
    let mut reads = Reads::new();
    assert!(reads.look().is_bad);
    assert!(reads.identity().unwrap_err().contains("tls.crt"), "what never was valid says why");

    let ((first, first_key), (second, second_key)) = (pair(), pair());
    reads.write("tls.crt", &first);
    reads.write("tls.key", &first_key);
    reads.write("ca.crt", &first);
    let seen = reads.look();
    assert!(seen.is_changed && !seen.is_bad);
    let good = reads.identity().unwrap();
    assert!(reads.known.material(&reads.files).roots.is_ok());
    assert!(!reads.look().is_changed, "the same content is the same material");

    // The key first, the certificate later; a half-written file; a file that is missing for a moment.
    reads.write("tls.key", &second_key);
    assert!(reads.look().is_bad);
    assert!(Arc::ptr_eq(&reads.identity().unwrap(), &good));
    reads.write("tls.crt", &second[..second.len() / 2]);
    assert!(reads.look().is_bad);
    std::fs::remove_file(reads.path("tls.crt")).unwrap();
    assert!(reads.look().is_bad);
    assert!(Arc::ptr_eq(&reads.identity().unwrap(), &good));
    reads.write("tls.crt", &second);
    assert!(!reads.look().is_bad);
    assert!(!Arc::ptr_eq(&reads.identity().unwrap(), &good));
}

/// A mounted volume whose folder is swapped by a link, twice.
#[test]
fn second_rotation_of_a_mounted_folder_is_not_missed() {
    let mut reads = Reads::new();
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        symlink(PathBuf::from("data").join(name), reads.path(name)).unwrap();
    }
    let mut last = None;
    for version in ["v1", "v2", "v3"] {
        std::fs::create_dir(reads.path(version)).unwrap();
        let (certificate, key) = pair();
        reads.write(&format!("{version}/tls.crt"), &certificate);
        reads.write(&format!("{version}/tls.key"), &key);
        reads.write(&format!("{version}/ca.crt"), &certificate);
        symlink(version, reads.path("next")).unwrap();
        std::fs::rename(reads.path("next"), reads.path("data")).unwrap();
        let seen = reads.look();
        assert!(seen.is_changed && !seen.is_bad, "{version}");
        let identity = reads.identity().unwrap();
        assert!(
            last.replace(identity.clone()).is_none_or(|last| !Arc::ptr_eq(&last, &identity)),
            "{version}"
        );
    }
}

/// A87: the map replaces the roots, which are never used in its place. P5: the map in memory outlives a broken file.
#[test]
fn map_of_trust_bundles_replaces_the_roots_and_outlives_a_broken_file() {
    let mut reads = Reads::new();
    reads.write("ca.crt", &pair().0);
    reads.files.spiffe_trust_bundle_map_file = Some(reads.path("map.json"));
    assert!(reads.look().is_bad);
    let roots = |reads: &Reads| reads.known.material(&reads.files).roots.map_err(|error| error.to_string());
    let error = roots(&reads).unwrap_err();
    assert!(error.contains("map.json"), "{error}");
    reads.write("map.json", r#"{"trust_domains": {"td": {"keys": []}}}"#);
    assert!(reads.look().is_changed);
    let good = roots(&reads).unwrap();
    assert!(format!("{good:?}").contains("\"td\""), "{good:?}");
    reads.write("map.json", r#"{"trust_domains": {"td": {"keys": [{}]}}}"#);
    assert!(reads.look().is_bad);
    assert!(Arc::ptr_eq(&roots(&reads).unwrap(), &good));
    reads.write("map.json", "{}");
    assert!(!reads.look().is_bad);
    assert!(!Arc::ptr_eq(&roots(&reads).unwrap(), &good));
}

/// R5: what is not valid yet is used when it is, and the one before until then.
#[test]
fn pair_of_the_future_is_used_when_it_is_valid() {
    let mut reads = Reads::new();
    let (certificate, key) = pair();
    reads.write("tls.crt", &certificate);
    reads.write("tls.key", &key);
    reads.write("ca.crt", &certificate);
    reads.look();
    let old = reads.identity().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
    let start = SystemTime::now() + Duration::from_secs(2);
    params.not_before = start.into();
    reads.write("tls.crt", &params.self_signed(&key).unwrap().pem());
    reads.write("tls.key", &key.serialize_pem());
    // A slow machine may come here when it is valid already.
    while SystemTime::now() < start - Duration::from_secs(1) {
        reads.look();
        if SystemTime::now() < start - Duration::from_secs(1) {
            assert!(Arc::ptr_eq(&reads.identity().unwrap(), &old));
        }
    }
    while Arc::ptr_eq(&reads.identity().unwrap(), &old) {
        reads.look();
    }
    assert!(reads.identity().unwrap().valid_from() <= SystemTime::now());
}

/// R1: soon, and a limited number of times.
#[test]
fn bad_files_are_soon_read_again_for_a_while() {
    let files = FileWatcher::default();
    let pauses: Vec<_> = (0..8).map(|bad_reads| pause(&files, bad_reads).as_secs()).collect();
    assert_eq!(pauses, [600, 1, 1, 1, 1, 1, 600, 600]);
    let often = FileWatcher { refresh_interval: Duration::from_millis(100), ..files };
    assert_eq!(pause(&often, 1), Duration::from_millis(100));
}
