//! Revoked certificates, and lists that say nothing.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint,
    CrlScope, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};

use crate::certificate::{RevocationList, RevocationLists, UnknownRevocation};
use crate::runtime::tls::HandshakeResult;
use crate::runtime::tls::check::{Refusal, Role, VerifiedPeer};

use super::chains::{check_by, refused};
use super::{Authority, Leaf};

const SERIAL: u64 = 4711;

fn at(seconds: i64) -> SystemTime {
    let offset = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::now() - offset } else { SystemTime::now() + offset }
}

/// A list of this authority that revokes these serial numbers and is outdated `end` seconds from now.
fn list_with(
    authority: &Authority,
    revoked: &[u64],
    end: i64,
    point: Option<(&str, Option<CrlScope>)>,
) -> RevocationList {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: at(-60).into(),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: at(-3600).into(),
        next_update: at(end).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: point.map(|(uri, scope)| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
            scope,
        }),
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(&authority.issuer).unwrap();
    let mut read = RevocationList::read(list.der()).unwrap();
    assert_eq!(RevocationList::read(list.pem().unwrap().as_bytes()).unwrap().len(), 1);
    read.remove(0)
}

pub(super) fn list(authority: &Authority, revoked: &[u64], end: i64) -> RevocationList {
    list_with(authority, revoked, end, None)
}

/// A certificate with this serial number.
pub(super) fn numbered_leaf(authority: &Authority, serial: u64) -> Leaf {
    authority.leaf_with(&["a.example"], |params| params.serial_number = Some(SerialNumber::from(serial)))
}

fn leaf(authority: &Authority, points: &[&str]) -> Leaf {
    authority.leaf_with(&["a.example"], |params| {
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.crl_distribution_points =
            points.iter().map(|uri| CrlDistributionPoint { uris: vec![(*uri).to_owned()] }).collect();
    })
}

fn leaf_of(authority: &Authority) -> Leaf {
    leaf(authority, &[])
}

fn check_with(
    root: &Authority,
    leaf: &Leaf,
    lists: Vec<RevocationList>,
    unknown: UnknownRevocation,
) -> Result<VerifiedPeer, Refusal> {
    let roots = root.roots().with_revocation(RevocationLists::new(lists, unknown));
    check_by(roots, Role::Client, &leaf.chain)
}

fn check(root: &Authority, leaf: &Leaf, lists: Vec<RevocationList>) -> Result<VerifiedPeer, Refusal> {
    check_with(root, leaf, lists, UnknownRevocation::Refuse)
}

const UNKNOWN: HandshakeResult = HandshakeResult::CertificateVerificationFailed;

/// V1.
///
/// Proves: TLS-24.
#[test]
fn setting_decides_about_certificates_without_a_current_list() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let leaf = leaf(&root, &[]);
    let revoked = HandshakeResult::CertificateRevoked;
    refused(check(&root, &leaf, vec![list(&root, &[SERIAL], 3600)]), revoked, "it has been revoked");
    let good = check(&root, &leaf, vec![list(&root, &[1, 2], 3600)]).unwrap();
    assert!(good.not_after - good.not_before < 1 << 40, "the list ends what is known");
    type Lists = Vec<RevocationList>;
    let rows: [(&dyn Fn() -> Lists, &str); 3] = [
        (&Vec::new, "there is no revocation list of its issuer"),
        (&|| vec![list(&other, &[], 3600)], "there is no revocation list of its issuer"),
        (&|| vec![list(&root, &[], -60)], "the revocation list of its issuer is outdated since 2"),
    ];
    for (lists, reason) in rows {
        refused(check(&root, &leaf, lists()), UNKNOWN, reason);
        check_with(&root, &leaf, lists(), UnknownRevocation::Accept).unwrap();
    }
    for unknown in [UnknownRevocation::Refuse, UnknownRevocation::Accept] {
        let outdated = check_with(&root, &leaf, vec![list(&root, &[SERIAL], -60)], unknown);
        refused(outdated, revoked, "it has been revoked");
    }
}

/// V2.
#[test]
fn every_list_of_the_issuer_counts_whose_signature_and_scope_fit() {
    let root = Authority::new("root");
    let plain = leaf(&root, &[]);
    // the outdated one first
    check(&root, &plain, vec![list(&root, &[], -60), list(&root, &[], 3600)]).unwrap();
    // of the same name, signed by another key
    let forged = || list(&Authority::new("root"), &[SERIAL], 3600);
    refused(check(&root, &plain, vec![forged()]), UNKNOWN, "signed by its issuer");
    check(&root, &plain, vec![forged(), list(&root, &[], 3600)]).unwrap();
    let revoked = HandshakeResult::CertificateRevoked;
    refused(check(&root, &plain, vec![forged(), list(&root, &[SERIAL], 3600)]), revoked, "revoked");

    let (first, second) = ("http://a.example/1", "http://a.example/2");
    let pointing = leaf(&root, &[first, second]);
    let second_list = |serials: &[u64]| list_with(&root, serials, 3600, Some((second, None)));
    refused(check(&root, &pointing, vec![second_list(&[SERIAL])]), revoked, "revoked");
    check(&root, &pointing, vec![second_list(&[])]).unwrap();
    refused(check(&root, &plain, vec![second_list(&[])]), UNKNOWN, "for this certificate");
    let authorities = Some((second, Some(CrlScope::CaCertsOnly)));
    refused(
        check(&root, &pointing, vec![list_with(&root, &[], 3600, authorities)]),
        UNKNOWN,
        "for this certificate",
    );
}

/// Every certificate but the root is looked up, and its issuer must be allowed to sign lists.
#[test]
fn issuers_are_looked_up_too() {
    let root = Authority::new("root");
    let between = root.intermediate("between", |params| params.serial_number = Some(SerialNumber::from(7)));
    let leaf = leaf_of(&between);
    let lists = |serial: u64| vec![list(&root, &[serial], 3600), list(&between, &[], 3600)];
    check(&root, &leaf, lists(8)).unwrap();
    let revoked = HandshakeResult::CertificateRevoked;
    refused(check(&root, &leaf, lists(7)), revoked, "an issuer in its chain has been revoked");
    refused(check(&root, &leaf, vec![list(&between, &[], 3600)]), UNKNOWN, "whether an issuer");

    let no_lists = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let silent = root.intermediate("silent", no_lists);
    let signed = silent.signing_lists();
    let lists = vec![list(&root, &[], 3600), list(&signed, &[], 3600)];
    refused(check(&root, &leaf_of(&silent), lists), UNKNOWN, "signed by its issuer");
}

/// V2: delta and indirect lists are refused when they are read, and so count as none.
#[test]
fn lists_of_kinds_that_are_not_supported_are_refused() {
    for bytes in
        [&b""[..], b"hello", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", &[0x30, 3, 1, 1, 0]]
    {
        assert!(RevocationList::read(bytes).is_err());
    }
    let root = Authority::new("root");
    let params = CertificateRevocationListParams {
        this_update: at(-3600).into(),
        next_update: at(3600).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let der = params.signed_by(&root.issuer).unwrap().der().to_vec();
    // The number of the list (2.5.29.20) becomes the mark of a delta list (2.5.29.27).
    let number = [0x06, 0x03, 0x55, 0x1d, 0x14];
    let found = der.windows(5).position(|window| window == number).unwrap();
    let mut delta = der.clone();
    delta[found + 4] = 0x1b;
    assert!(RevocationList::read(&delta).unwrap_err().to_string().contains("delta"));
    let mut point = der;
    point[found + 4] = 0x1c;
    assert!(RevocationList::read(&point).is_err());
}

/// V3: what a read that was not whole leaves in use.
#[test]
fn newer_lists_replace_those_of_their_issuer_and_keep_others() {
    let (a, b) = (Authority::new("a"), Authority::new("b"));
    let known = RevocationLists::new(
        [list(&a, &[SERIAL], 3600), list(&b, &[SERIAL], 3600)],
        UnknownRevocation::Refuse,
    );
    let newer = known.with_newer([list(&a, &[], 3600)]);
    let check = |root: &Authority| {
        check_by(root.roots().with_revocation(newer.clone()), Role::Client, &leaf(root, &[]).chain)
    };
    check(&a).unwrap();
    refused(check(&b), HandshakeResult::CertificateRevoked, "revoked");
}
