//! Peers whose trust domain chooses the roots.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::{Roots, SpiffeBundles};
use crate::policy::identity::TrustDomain;
use crate::runtime::tls::HandshakeResult;
use crate::runtime::tls::check::{Refusal, Role, VerifiedPeer};

use super::chains::{check_by, refused};
use super::{Authority, Leaf};

fn key(authority: &Authority) -> String {
    let der = STANDARD.encode(authority.certificate.der());
    format!(r#"{{"kty":"EC","use":"x509-svid","crv":"P-256","x":"a","y":"b","x5c":["{der}"]}}"#)
}

fn map(domains: &[(&str, &[String])]) -> String {
    let domain = |(name, keys): &(&str, &[String])| {
        format!(r#""{name}":{{"spiffe_sequence":1,"spiffe_refresh_hint":60,"keys":[{}]}}"#, keys.join(","))
    };
    let domains: Vec<String> = domains.iter().map(domain).collect();
    format!(r#"{{"trust_domains":{{{}}}}}"#, domains.join(","))
}

fn roots(json: &str) -> Roots {
    Roots::by_trust_domain(SpiffeBundles::from_json(json.as_bytes()).unwrap())
}

fn check(json: &str, role: Role, leaf: &Leaf) -> Result<VerifiedPeer, Refusal> {
    check_by(roots(json), role, &leaf.chain)
}

/// The issuer, the names, and how the peer is refused; `Ok`: it is accepted.
type Row<'a> = (&'a Authority, &'a [&'a str], Result<(), (HandshakeResult, &'a str)>);

const FAILED: HandshakeResult = HandshakeResult::CertificateVerificationFailed;
const UNTRUSTED: HandshakeResult = HandshakeResult::CertificateAuthorityInvalid;

/// P1, P2, P3.
///
/// Proves: TLS-20.
#[test]
fn trust_domain_of_a_single_spiffe_id_chooses_the_roots() {
    let (east, west) = (Authority::new("east"), Authority::new("west"));
    let json = map(&[("mesh.east", &[key(&east)]), ("mesh.west", &[key(&west)])]);
    let rows: [Row<'_>; 12] = [
        (&east, &["spiffe://mesh.east/ns/x/sa/y"], Ok(())),
        (&west, &["spiffe://mesh.west/ns/x/sa/y"], Ok(())),
        (&east, &["SPIFFE://Mesh.East/ns/x/sa/y"], Ok(())),
        // the roots of one domain are none of the other's
        (&west, &["spiffe://mesh.east/ns/x/sa/y"], Err((UNTRUSTED, "trusted root"))),
        (
            &east,
            &["spiffe://mesh.north/a"],
            Err((UNTRUSTED, r#"its trust domain "mesh.north" is not known"#)),
        ),
        (&east, &["spiffe://mesh.east/a", "spiffe://mesh.east/b"], Err((FAILED, "2 URIs"))),
        (&east, &["spiffe://mesh.east/a", "https://a.example"], Err((FAILED, "2 URIs"))),
        (&east, &["a.example"], Err((FAILED, "no URI among its names"))),
        (&east, &["https://mesh.east/a"], Err((FAILED, "is not a SPIFFE id"))),
        (&east, &["spiffe://mesh.east"], Err((FAILED, "names a trust domain and no workload"))),
        (&east, &["spiffe://mesh.east/a%2Fb"], Err((FAILED, "percent-encoded"))),
        (&east, &["spiffe://mesh.east/a\0b"], Err((FAILED, "a character that a URI cannot have"))),
    ];
    for (authority, names, expected) in rows {
        for role in [Role::Server, Role::Client] {
            let checked = check(&json, role, &authority.leaf(names));
            match expected {
                Ok(()) => drop(checked.unwrap_or_else(|refusal| panic!("{names:?}: {}", refusal.text))),
                Err((result, text)) => refused(checked, result, text),
            }
        }
    }
}

/// P2, second half: with roots for all, ordinary rules hold.
#[test]
fn several_uris_are_allowed_with_ordinary_roots() {
    let root = Authority::new("root");
    for names in [&["spiffe://td/a", "spiffe://td/b"][..], &["a.example"]] {
        check_by(root.roots(), Role::Client, &root.leaf(names).chain).unwrap();
    }
}

/// P5.
///
/// Proves: TLS-21.
#[test]
fn one_bad_key_makes_the_whole_map_unusable_and_an_empty_map_is_valid() {
    let root = Authority::new("root");
    let good = key(&root);
    let leaf = root.leaf(&["spiffe://td/a"]);
    for empty in [map(&[("td", &[])]), map(&[]), "{}".to_owned()] {
        let result = check(&empty, Role::Client, &leaf).unwrap_err().result;
        assert_eq!(result, UNTRUSTED, "{empty}");
    }
    let tokens = r#"{"kty":"EC","use":"jwt-svid","kid":"1"}"#.to_owned();
    check(&map(&[("td", &[tokens, good.clone()])]), Role::Client, &leaf).unwrap();
    let rows = [
        (good.replace("x5c", "x5t"), "keys[1]: x5c is not a list of one certificate"),
        (good.replace(r#""x5c":["#, r#""x5c":["AAAA","#), "one certificate"),
        (good.replace(r#""x5c":[""#, r#""x5c":["*"#), "base64"),
        (good.replace(r#""x5c":[""#, r#""x5c":["AAAA"#), "cannot be trusted"),
        (good.replace(r#""use":"x509-svid","#, ""), "use is neither"),
        (good.replace("x509-svid", "x509"), "use is neither"),
        (good.replace(r#""kty":"EC","#, ""), "kty is none of"),
        ("7".to_owned(), "is not an object"),
    ];
    for (bad, reason) in rows {
        let json = map(&[("other", std::slice::from_ref(&good)), ("td", &[good.clone(), bad])]);
        let error = SpiffeBundles::from_json(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("trust domain \"td\""), "{error} lacks {reason}");
    }
    for json in [
        "",
        "[]",
        r#"{"trust_domains":[]}"#,
        r#"{"trust_domains":{"":{"keys":[]}}}"#,
        r#"{"trust_domains":{"td":{}}}"#,
        r#"{"trust_domains":{"td":{"keys":[]},"TD":{"keys":[]}}}"#,
    ] {
        assert!(SpiffeBundles::from_json(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn roots_of_a_domain_can_be_set_one_by_one() {
    let root = Authority::new("root");
    let domain = TrustDomain::parse("TD").unwrap();
    let bundles = SpiffeBundles::new().with(domain, vec![root.certificate.der().to_vec()]).unwrap();
    let leaf = root.leaf(&["spiffe://td/a"]);
    check_by(Roots::by_trust_domain(bundles), Role::Server, &leaf.chain).unwrap();
}
