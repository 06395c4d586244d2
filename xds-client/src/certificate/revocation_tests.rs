//! A directory of revocation lists whose files rotate and break.

use std::time::{Duration, SystemTime};

use mesh_core::certificate::{Roots, UnknownRevocation};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;

use super::files::{Known, Seen, look};
use super::reload::ReadChange;
use super::revocation::{ListDirectory, read};
use crate::bootstrap::{FileWatcher, RevocationDirectory};

/// The list of an issuer of this name, in PEM, with so many entries.
fn list(issuer: &str, entries: u64) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, issuer);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let now = SystemTime::now();
    let entry = |serial: u64| RevokedCertParams {
        serial_number: SerialNumber::from(serial + 1),
        revocation_time: now.into(),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: now.into(),
        next_update: (now + Duration::from_secs(3600)).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: (0..entries).map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&Issuer::new(params, KeyPair::generate().unwrap())).unwrap().pem().unwrap()
}

struct Directory {
    folder: TempDir,
    lists: ListDirectory,
}

impl Directory {
    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn look(&mut self) -> ReadChange {
        self.lists.on_read(read(self.folder.path()), UnknownRevocation::Refuse)
    }

    /// The issuers that are known with the numbers of their entries.
    fn known(&self) -> Vec<String> {
        let shown = format!("{:?}", self.lists.lists().unwrap());
        let lists = shown.split("RevocationList {").skip(1);
        let mut lists: Vec<String> =
            lists.map(|list| list.replace([' ', '"', '[', ']', '{', '}', '.'], "")).collect();
        lists.sort();
        lists
            .into_iter()
            .map(|list| list.replace("issuer:CN=", "").trim_end_matches(',').to_owned())
            .collect()
    }
}

/// V3.
///
/// Proves: TLS-25, SEC-12.
#[test]
fn unreadable_file_removes_no_list_and_holds_up_no_other() {
    let mut directory = Directory { folder: tempfile::tempdir().unwrap(), lists: ListDirectory::default() };
    for name in ["A", "B", "C"] {
        directory.write(name, &list(name, 1));
    }
    assert_eq!(directory.look(), ReadChange::Good);
    assert_eq!(directory.look(), ReadChange::Same);
    assert_eq!(directory.known(), ["A,revoked:1", "B,revoked:1", "C,revoked:1"]);

    directory.write("A", &list("A", 2));
    directory.write("B", &list("B", 3));
    directory.write("C", "half a file");
    let ReadChange::Bad(reason) = directory.look() else { panic!("C is not a list") };
    assert!(reason.contains("/C: "), "{reason}");
    assert_eq!(directory.look(), ReadChange::Same, "one report");
    assert_eq!(directory.known(), ["A,revoked:2", "B,revoked:3", "C,revoked:1"]);

    directory.remove("C");
    assert_eq!(directory.look(), ReadChange::Good);
    assert_eq!(directory.known(), ["A,revoked:2", "B,revoked:3"]);

    directory.write("D", "half a file");
    directory.remove("B");
    assert!(matches!(directory.look(), ReadChange::Bad(_)));
    assert_eq!(directory.known(), ["A,revoked:2", "B,revoked:3"], "D is not known, and B may be in D");
}

/// The first read fails no handshake by itself: lists that are there count, and the setting decides about the others.
#[test]
fn directory_that_cannot_be_read_has_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let ca = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert;
    std::fs::write(folder.path().join("ca.crt"), ca.pem()).unwrap();
    let files = FileWatcher {
        ca_certificate_file: Some(folder.path().join("ca.crt")),
        revocation: Some(RevocationDirectory::new(folder.path().join("lists"))),
        ..FileWatcher::default()
    };
    let (known, Seen { is_bad, .. }) = look(Known::default(), &files);
    assert!(is_bad);
    let roots: std::sync::Arc<Roots> = known.material(&files).roots.unwrap();
    assert!(format!("{roots:?}").contains("revocation: Some([])"), "{roots:?}");
    let (known, seen) = look(known, &files);
    assert!(!seen.is_changed);
    assert!(std::sync::Arc::ptr_eq(&known.material(&files).roots.unwrap(), &roots));
}
