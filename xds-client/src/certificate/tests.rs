//! Files that change, break and come back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::reload::{ReadChange, Reload};
use super::{FileProvider, provider};
use crate::bootstrap::{FileWatcher, IdentityFiles};

#[test]
fn good_value_stays_until_a_newer_good_one() {
    let number = |contents: &[Vec<u8>]| {
        let text = String::from_utf8(contents.concat()).map_err(|error| error.to_string())?;
        text.parse::<u8>().map_err(|error| error.to_string())
    };
    let file = |text: &str| Ok(vec![text.as_bytes().to_vec()]);
    let gone = || Err("gone".to_owned());
    let not_a_number = "invalid digit found in string".to_owned();
    let rows = [
        (gone(), ReadChange::Bad("gone".to_owned()), Err("gone".to_owned())),
        (file("x"), ReadChange::Bad(not_a_number.clone()), Err(not_a_number.clone())),
        (file("1"), ReadChange::Good, Ok(1)),
        (file("1"), ReadChange::Same, Ok(1)),
        (file("y"), ReadChange::Bad(not_a_number), Ok(1)),
        (file("y"), ReadChange::Same, Ok(1)),
        (gone(), ReadChange::Bad("gone".to_owned()), Ok(1)),
        (gone(), ReadChange::Same, Ok(1)),
        (file("2"), ReadChange::Good, Ok(2)),
    ];
    let mut reload = Reload::default();
    assert!(reload.good().is_err());
    for (row, (contents, change, good)) in rows.into_iter().enumerate() {
        assert_eq!(reload.on_read(contents, number), change, "row {row}");
        assert_eq!(reload.good().map(|good| *good), good, "row {row}");
    }
}

/// A folder with an identity and roots, and their provider.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn files(&self) -> FileWatcher {
        FileWatcher {
            identity: Some(IdentityFiles {
                certificate: self.path("cert.pem"),
                private_key: self.path("key.pem"),
            }),
            ca_certificate_file: Some(self.path("roots.pem")),
            refresh_interval: Duration::from_secs(10),
            ..FileWatcher::default()
        }
    }
}

fn issue() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

/// The certificate that is in use, as bytes to compare.
async fn leaf(provider: &Arc<FileProvider>) -> Result<Vec<u8>, String> {
    let material = provider.material().await?;
    Ok(material.identity.unwrap().cert[0].to_vec())
}

/// Proves: BS-34.
#[tokio::test]
async fn mismatch_or_half_a_file_keeps_the_material_that_was_good() {
    let folder = Folder::new();
    let provider = provider(&folder.files());
    let ((first, first_key), (second, second_key)) = (issue(), issue());
    folder.write("roots.pem", &first);
    let named = |error: String, file: &Path| assert!(error.contains(file.to_str().unwrap()), "{error}");
    named(provider.material().await.unwrap_err(), &folder.path("cert.pem"));
    folder.write("cert.pem", &first);
    named(provider.material().await.unwrap_err(), &folder.path("key.pem"));
    folder.write("key.pem", &first_key);
    let good = leaf(&provider).await.unwrap();
    let steps: [(&str, &str); 5] = [
        ("cert.pem", &second),
        ("cert.pem", &second[..second.len() / 2]),
        ("cert.pem", ""),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA"),
        ("roots.pem", &first[..first.len() / 2]),
    ];
    for (file, content) in steps {
        folder.write(file, content);
        assert_eq!(leaf(&provider).await.unwrap(), good, "{file}: {content}");
    }
    std::fs::remove_file(folder.path("roots.pem")).unwrap();
    assert_eq!(provider.material().await.unwrap().roots.unwrap().len(), 1);
    folder.write("cert.pem", &second);
    folder.write("key.pem", &second_key);
    assert_ne!(leaf(&provider).await.unwrap(), good);
}

/// Proves: BS-12, BS-34.
#[tokio::test(start_paused = true)]
async fn files_are_read_at_the_interval_too() {
    let folder = Folder::new();
    let ((first, first_key), (second, second_key)) = (issue(), issue());
    let put = |cert: &str, key: &str| {
        folder.write("cert.pem", cert);
        folder.write("key.pem", key);
    };
    folder.write("roots.pem", &first);
    put(&first, &first_key);
    let provider = provider(&folder.files());
    let old = leaf(&provider).await.unwrap();
    put(&second, &second_key);
    tokio::time::sleep(Duration::from_secs(11)).await;
    std::fs::remove_file(folder.path("cert.pem")).unwrap();
    assert_ne!(leaf(&provider).await.unwrap(), old, "what was there for a while has been seen");
}

/// Proves: BS-36.
#[tokio::test]
async fn equal_files_share_a_provider_until_its_last_user() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let folder = Folder::new();
    let (one, other) = (provider(&folder.files()), provider(&folder.files()));
    assert!(Arc::ptr_eq(&one, &other));
    let slower = FileWatcher { refresh_interval: Duration::from_secs(20), ..folder.files() };
    assert!(!Arc::ptr_eq(&one, &provider(&slower)));
    assert!(one.material().await.is_err() && other.material().await.is_err());
    assert_eq!(alive(), 1);
    drop((one, other));
    while alive() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn map_of_trust_bundles_is_refused_and_never_the_systems_roots() {
    let files = FileWatcher { spiffe_trust_bundle_map_file: Some("/map".into()), ..FileWatcher::default() };
    assert!(provider(&files).material().await.unwrap_err().starts_with("/map: "));
}

#[cfg(unix)]
#[test]
fn hanging_files_hold_one_thread() {
    use tokio::time::timeout;

    let folder = Folder::new();
    let pipe = folder.path("roots.pem");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build().unwrap();
    let (is_free, read) = runtime.block_on(async {
        let provider = provider(&FileWatcher { identity: None, ..folder.files() });
        for _ in 0..3 {
            let read = timeout(Duration::from_millis(10), provider.material()).await;
            assert!(read.is_err(), "the pipe has no writer");
        }
        let mut joined = std::pin::pin!(provider.material());
        assert!(timeout(Duration::from_millis(10), &mut joined).await.is_err());
        let other = timeout(Duration::from_secs(10), tokio::task::spawn_blocking(|| ())).await;
        std::fs::write(&pipe, issue().0).unwrap();
        (other.is_ok(), timeout(Duration::from_secs(10), joined).await)
    });
    runtime.shutdown_background();
    assert!(is_free, "the other thread");
    assert_eq!(read.unwrap().unwrap().roots.unwrap().len(), 1, "all have waited for one look");
}
