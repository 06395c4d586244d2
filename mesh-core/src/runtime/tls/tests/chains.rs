//! Chains that are accepted, and those that are refused, with what the operator reads.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyUsagePurpose, NameConstraints,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

use crate::certificate::{Roots, crypto};
use crate::policy::identity::any_matches;
use crate::policy::matcher::{StringMatcher, StringPattern};
use crate::runtime::tls::HandshakeResult;
use crate::runtime::tls::check::{PeerCheck, Refusal, Role, VerifiedPeer};

use super::{Authority, Leaf, valid};

pub(super) fn check_by(roots: Roots, role: Role, chain: &[Vec<u8>]) -> Result<VerifiedPeer, Refusal> {
    let check = PeerCheck {
        roots: Arc::new(roots),
        names: Arc::default(),
        expected: None,
        role,
        crypto: crypto().unwrap(),
    };
    let chain: Vec<_> = chain.iter().cloned().map(CertificateDer::from).collect();
    check.check(&chain[0], &chain[1..], UnixTime::now())
}

fn check(root: &Authority, leaf: &Leaf) -> Result<VerifiedPeer, Refusal> {
    check_by(root.roots(), Role::Server, &leaf.chain)
}

#[track_caller]
pub(super) fn refused(checked: Result<VerifiedPeer, Refusal>, result: HandshakeResult, text: &str) {
    let refusal = checked.unwrap_err();
    assert_eq!(refusal.result, result, "{}", refusal.text);
    assert!(refusal.text.contains(text), "{:?} lacks {text:?}", refusal.text);
}

const FAILED: HandshakeResult = HandshakeResult::CertificateVerificationFailed;

fn constrained(permitted: &[&str], excluded: &[&str]) -> impl FnOnce(&mut CertificateParams) {
    let trees =
        |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned())).collect();
    let constraints =
        NameConstraints { permitted_subtrees: trees(permitted), excluded_subtrees: trees(excluded) };
    move |params| params.name_constraints = Some(constraints)
}

/// C1.
#[test]
fn name_constraints_hold_for_wildcards_and_uris() {
    let root = Authority::new("root");
    let name = "its names (name constraints)";
    let permitted = root.intermediate("a", constrained(&["accept.example.com"], &[]));
    refused(check(&root, &permitted.leaf(&["*.example.com"])), FAILED, name);
    check(&root, &permitted.leaf(&["a.accept.example.com"])).unwrap();
    let excluded = root.intermediate("b", constrained(&[], &["foo.example.com"]));
    refused(check(&root, &excluded.leaf(&["*.example.com"])), FAILED, name);
    let corp = root.intermediate("c", constrained(&[], &["corp"]));
    check(&root, &corp.leaf(&["*.example.com"])).unwrap();
    // permitted: URI .example
    let uri =
        [0x30, 0x0e, 0xa0, 0x0c, 0x30, 0x0a, 0x86, 0x08, b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e'];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], uri.to_vec());
    extension.set_criticality(true);
    let by_uri = root.intermediate("d", |params| params.custom_extensions.push(extension));
    refused(check(&root, &by_uri.leaf(&["spiffe://td/a"])), FAILED, name);
}

/// C2.
#[test]
fn extended_key_usage_must_allow_the_role() {
    let root = Authority::new("root");
    let leaf = |usages: &[ExtendedKeyUsagePurpose]| {
        root.leaf_with(&["a.example"], |params| params.extended_key_usages = usages.to_vec())
    };
    let by = |role, usages: &[ExtendedKeyUsagePurpose]| check_by(root.roots(), role, &leaf(usages).chain);
    use ExtendedKeyUsagePurpose::{ClientAuth, EmailProtection, ServerAuth};
    refused(by(Role::Server, &[ClientAuth]), FAILED, "does not allow it to be a server");
    refused(by(Role::Client, &[EmailProtection]), FAILED, "does not allow it to be a client");
    refused(by(Role::Client, &[ServerAuth]), FAILED, "does not allow it to be a client");
    by(Role::Server, &[ServerAuth]).unwrap();
    by(Role::Client, &[EmailProtection, ClientAuth]).unwrap();
    by(Role::Server, &[]).unwrap();
    by(Role::Client, &[]).unwrap();
}

/// C3.
#[test]
fn critical_extensions_and_issuers_without_the_flag_are_refused_by_name() {
    let root = Authority::new("root");
    let private = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let oid = "critical extension 1.3.6.1.4.1.55555.1";
    refused(check(&root, &root.leaf_with(&["a"], private)), FAILED, oid);
    refused(check(&root, &root.intermediate("between", private).leaf(&["a"])), FAILED, oid);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let no_authority = root.intermediate("between", |params| {
            params.is_ca = is_ca;
            params.key_usages.clear();
        });
        refused(
            check(&root, &no_authority.leaf(&["a"])),
            FAILED,
            "no authority (basicConstraints without cA)",
        );
    }
}

/// C4.
#[test]
fn one_valid_path_is_enough_and_path_lengths_hold() {
    let root = Authority::new("root");
    let good = root.intermediate("between", |_| {});
    let expired = root.reissue(&good, |params| valid(params, -7200, -3600));
    let leaf = good.leaf(&["a.example"]);
    let own_root = root.certificate.der().to_vec();
    let chain = [leaf.chain[0].clone(), expired, own_root, leaf.chain[1].clone()];
    check_by(root.roots(), Role::Server, &chain).unwrap();

    let top = Authority::new("top");
    let none = top.intermediate("none", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let deeper = none.intermediate("between", |_| {}).leaf(&["a"]);
    refused(check(&top, &deeper), FAILED, "longer than one of its issuers allows (pathLen)");
    check(&top, &none.leaf(&["a"])).unwrap();
}

/// P3, P2 with plain roots.
#[test]
fn signing_certificates_never_authenticate_a_workload() {
    let root = Authority::new("root");
    let authority = root.leaf_with(&["spiffe://td/a"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    refused(check(&root, &authority), FAILED, "of an authority");
    let signs = root.leaf_with(&["spiffe://td/a"], |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    });
    refused(check(&root, &signs), FAILED, "may sign certificates");
    let several = root.leaf(&["spiffe://td/a", "spiffe://td/b", "https://c.example"]);
    assert_eq!(check(&root, &several).unwrap().names.uris.len(), 3);
}

/// N2: a name is compared whole, and one with a byte that its kind does not allow never matches.
#[test]
fn name_with_a_zero_byte_never_matches() {
    let root = Authority::new("root");
    let leaf = root.leaf(&["spiffe://td.example/ns/a/sa/ok\0.evil", "good.example\0.evil", "b.example"]);
    let names = check(&root, &leaf).unwrap().names;
    assert_eq!((names.uris.len(), names.uri_count, &names.dns[..]), (0, 1, &["b.example".to_owned()][..]));
    assert!(names.workload().unwrap_err().contains("a character that a URI cannot have"));
    for part in ["spiffe://td.example/ns/a/sa/ok", "good.example"] {
        let pattern = StringPattern::Prefix(part.to_owned());
        assert!(!any_matches(&[StringMatcher { pattern, ignore_case: false }], &names), "{part}");
    }
}

/// R5: the message has both times.
#[test]
fn certificate_of_the_future_is_refused_with_both_times() {
    let root = Authority::new("root");
    let early = root.leaf_with(&["a"], |params| valid(params, 3600, 7200));
    let refusal = check(&root, &early).unwrap_err();
    assert_eq!(refusal.result, HandshakeResult::CertificateNotYetValid);
    assert_eq!(refusal.text.matches("Z").count(), 2, "{}", refusal.text);
    assert!(refusal.text.contains("compare the clocks"), "{}", refusal.text);
}

/// An accepted chain is valid until its first certificate expires.
#[test]
fn chain_is_valid_as_long_as_all_its_certificates() {
    let root = Authority::new("root");
    let short = root.intermediate("short", |params| valid(params, -60, 600));
    let peer = check(&root, &short.leaf_with(&["a"], |params| valid(params, -30, 6000))).unwrap();
    assert_eq!(peer.not_after - peer.not_before, 630);
}

#[test]
fn bytes_that_are_no_certificate_are_malformed() {
    let root = Authority::new("root");
    for bytes in [vec![], vec![0x30, 0], vec![0; 100], root.leaf(&["a"]).chain[0][..200].to_vec()] {
        refused(
            check_by(root.roots(), Role::Client, &[bytes]),
            HandshakeResult::CertificateMalformed,
            "parsed",
        );
    }
    let named = root
        .leaf_with(&["a"], |params| params.distinguished_name.push(DnType::OrganizationName, "shop, the"));
    assert_eq!(check(&root, &named).unwrap().names.subject, "O=shop\\, the,CN=leaf");
}
