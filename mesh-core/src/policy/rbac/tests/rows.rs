//! The rules of gRFC A41, and inputs that others got wrong.

use super::*;
use crate::policy::matcher::{MetadataMatcher, ValueMatcher};

/// Case B5, (b) and (c).
/// Proves: HF-19.
#[test]
fn action_decides_what_a_match_means_and_empty_rules_allow_nothing() {
    let (head, peer) = (call("/pkg.Svc/Get", &[]), plaintext("10.0.0.1"));
    let one = |permissions: Vec<Permission>, principals: Vec<Principal>| {
        vec![RbacPolicy::new("p", permissions, principals)]
    };
    let never = || Permission::Not(Box::new(Permission::Any));
    let rows = [
        ("a match", one(vec![Permission::Any], vec![Principal::Any]), true),
        ("any permission", one(vec![never(), Permission::Any], vec![Principal::Any]), true),
        ("no permission matches", one(vec![never()], vec![Principal::Any]), false),
        ("no permission", one(vec![], vec![Principal::Any]), false),
        ("no principal", one(vec![Permission::Any], vec![]), false),
        ("no policy", vec![], false),
    ];
    for (row, policies, matched) in rows {
        let decide = |action| {
            let engine = RbacEngine::new(&RbacRules::new(action, policies.clone()));
            engine.decide(&RbacRequest::new(&head, &peer)).allowed
        };
        assert_eq!(decide(RbacAction::Allow), matched, "{row}");
        assert_eq!(decide(RbacAction::Deny), !matched, "{row}");
        assert!(decide(RbacAction::Log), "{row}");
    }
}

#[test]
fn verdict_names_the_first_matching_policy_by_name() {
    let policy = |name: &str, path: &str| {
        RbacPolicy::new(name, [Permission::UrlPath(prefix(path))], [Principal::Authenticated(None)])
    };
    let policies = [policy("c", "/"), policy("b", "/pkg.Svc/"), policy("a", "/other/")];
    let engine = RbacEngine::new(&RbacRules::new(RbacAction::Deny, policies));
    let (head, peer) = (call("/pkg.Svc/Get", &[]), tls());
    let verdict = engine.decide(&RbacRequest::new(&head, &peer));
    assert_eq!((verdict.allowed, verdict.policy.map(|name| &**name)), (false, Some("b")));
}

/// Proves: HF-22.
#[test]
fn authenticated_looks_at_the_first_kind_of_name_only() {
    let named = |matcher| Principal::Authenticated(Some(matcher));
    let all =
        PeerIdentity::new().with_uri_san("spiffe://td/a").with_dns_san("a.example").with_subject("CN=a");
    let dns = PeerIdentity::new().with_dns_san("x.example").with_dns_san("a.example").with_subject("CN=a");
    let rows = [
        (Principal::Authenticated(None), plaintext("10.0.0.1"), false),
        (Principal::Authenticated(None), tls(), true),
        (Principal::Authenticated(None), known(all.clone()), true),
        (named(exact("")), plaintext("10.0.0.1"), false),
        (named(exact("")), tls(), true),
        (named(exact("a")), tls(), false),
        (named(exact("")), known(all.clone()), false),
        (named(exact("spiffe://td/a")), known(all.clone()), true),
        (named(exact("a.example")), known(all.clone()), false),
        (named(exact("CN=a")), known(all), false),
        (named(exact("a.example")), known(dns.clone()), true),
        (named(exact("CN=a")), known(dns), false),
        (named(exact("CN=a")), known(PeerIdentity::new().with_subject("CN=a")), true),
        (named(prefix("spiffe://td/")), account("spiffe://td/a"), true),
        (named(prefix("spiffe://td/")), account("spiffe://td.evil/a"), false),
        (named(regex("spiffe://td/.")), account("spiffe://td/a"), true),
        (named(regex("td")), account("spiffe://td/a"), false),
    ];
    for (principal, peer, expected) in rows {
        assert_eq!(is(principal.clone(), &peer), expected, "{principal:?} {peer:?}");
    }
    // N2: a name is compared whole, whatever bytes it has
    let cut = account("spiffe://td/ns/a/sa/ok\0.evil");
    assert!(!is(named(exact("spiffe://td/ns/a/sa/ok")), &cut));
}

/// Case B10.
/// Proves: HF-21.
#[test]
fn connections_decide_by_the_socket_and_metadata_never_matches_without_a_filter() {
    let (head, peer) = (call("/pkg.Svc/Get", &[]), plaintext("10.1.2.3"));
    let range = |address: &str, prefix| IpRange::new(address.parse().unwrap(), Some(prefix)).unwrap();
    let claim = || MetadataMatcher::new("jwt", ["sub"], ValueMatcher::Present(true));
    let not = |permission| Permission::Not(Box::new(permission));
    let rows = [
        (Permission::DestinationIp(range("192.0.2.0", 24)), true),
        (Permission::DestinationIp(range("10.0.0.0", 8)), false),
        (Permission::DestinationPort(8080..8081), true),
        (Permission::DestinationPort(4711..4712), false),
        (Permission::DestinationPort(8000..9000), true),
        (Permission::RequestedServerName(exact("")), true),
        (Permission::RequestedServerName(exact("svc")), false),
        (not(Permission::RequestedServerName(exact("svc"))), true),
        (Permission::Metadata(claim()), false),
        (not(Permission::Metadata(claim())), true),
        (Permission::Metadata(claim().with_invert(true)), true),
    ];
    for (permission, expected) in rows {
        assert_eq!(matches(permission.clone(), Principal::Any, &head, &peer), expected, "{permission:?}");
    }
    assert!(is(Principal::RemoteIp(range("10.0.0.0", 8)), &peer));
    assert!(!is(Principal::RemoteIp(range("192.0.2.0", 24)), &peer));
    assert!(!is(Principal::RemoteIp(range("0.0.0.1", 32)), &plaintext("::1")));
    assert!(is(Principal::RemoteIp(range("10.0.0.0", 8)), &plaintext("::ffff:10.0.0.1")));
}

/// Cases B3, B4.
/// Proves: HF-20.
#[test]
fn headers_are_those_of_the_wire() {
    let headers = [
        ("x-role", "guest"),
        ("x-role", "guest"),
        ("x-one", "guest"),
        ("te", "trailers"),
        ("content-type", "application/grpc+proto"),
        ("x-data-bin", "AAAA"),
    ];
    let head = call("http://svc/pkg.Svc/Get?q", &headers);
    let env = |invert, as_empty| {
        let condition = HeaderCondition::from(value(exact("prod"))).with_invert(invert);
        header("x-env", condition.with_missing_as_empty(as_empty))
    };
    let rows = [
        ("joined values", header("x-role", value(exact("guest,guest"))), true),
        ("not the first of them", header("x-role", value(exact("guest"))), false),
        ("one value", header("x-one", value(exact("guest"))), true),
        ("upper-case name", header("X-One", value(exact("guest"))), true),
        ("content type of the client", header("content-type", value(exact("application/grpc+proto"))), true),
        ("binary in base64", header("x-data-bin", value(exact("AAAA"))), true),
        ("hop by hop", header("te", HeaderRule::Present(true)), false),
        ("hop by hop, absent", header("TE", HeaderRule::Present(false)), true),
        ("method", header(":method", value(exact("POST"))), true),
        ("path", header(":path", value(exact("/pkg.Svc/Get?q"))), true),
        ("absent, inverted", env(true, false), false),
        ("absent as empty, inverted", env(true, true), true),
        ("absent", env(false, false), false),
        ("negation of absent", Permission::Not(Box::new(env(false, false))), true),
        ("present false", header("x-env", HeaderRule::Present(false)), true),
    ];
    for (row, permission, expected) in rows {
        assert_eq!(permits(permission, &head), expected, "{row}");
    }
    // B2: without the query
    assert!(permits(Permission::UrlPath(exact("/pkg.Svc/Get")), &head));
    assert!(!permits(Permission::UrlPath(exact("/pkg.Svc/Get?q")), &head));
}

/// Proves: SEC-07, HF-18.
#[test]
fn authority_is_one_whatever_its_spelling_and_reserved_headers_cannot_be_in_rules() {
    let rows = [
        ("admin.example", "http://admin.example/", true),
        ("Admin.Example", "http://aDmin.example/", true),
        ("admin.example", "http://admin.example:50051/", true),
        ("admin.example:50051", "http://admin.example:50051/", true),
        ("admin.example:50052", "http://admin.example:50051/", false),
        ("admin.example:50051", "http://admin.example/", false),
        ("admin.example", "http://admin.example./", true),
        ("admin.example.", "http://admin.example:80/", true),
        ("admin.example.:80", "http://admin.example.:80/", true),
        ("admin.example", "http://x@admin.example/", true),
        ("admin.example", "http://admin.example.evil/", false),
        ("[::1]", "http://[::1]:80/", true),
    ];
    for (rule, uri, expected) in rows {
        for name in [":authority", "host", "Host"] {
            let permission = header(name, value(exact(rule)));
            assert_eq!(permits(permission.clone(), &call(uri, &[])), expected, "{rule} {uri}");
            let not = Permission::Not(Box::new(permission));
            assert_eq!(permits(not, &call(uri, &[])), !expected, "{rule} {uri}");
        }
    }
    assert!(permits(header(":authority", value(exact("a"))), &call("/", &[("host", "A:80")])));
    assert!(!permits(header("host", value(exact("b"))), &call("http://a/", &[("host", "b")])));
    assert!(permits(header("host", value(regex("Admin\\.(A|B)"))), &call("http://admin.b:1/", &[])));
    assert!(!permits(header("host", value(regex("dmin"))), &call("http://admin/", &[])));
    for name in [":scheme", "grpc-timeout", "Grpc-Status", ":status", ":SCHEME", "a b", ""] {
        assert!(RequestHeaderMatcher::new(name, HeaderRule::Present(true)).is_err(), "{name}");
    }
}

/// Ten thousand names in one policy are one look into a table.
#[test]
fn many_names_in_one_policy_are_all_known() {
    let names: Vec<_> =
        (0..10_000).map(|n| Principal::Authenticated(Some(exact(&format!("spiffe://td/{n}"))))).collect();
    let rules = RbacRules::new(RbacAction::Allow, [RbacPolicy::new("p", [Permission::Any], names)]);
    let engine = RbacEngine::new(&rules);
    let head = call("/", &[]);
    let allowed = |id: &str| engine.decide(&RbacRequest::new(&head, &account(id))).allowed;
    assert!(allowed("spiffe://td/0") && allowed("spiffe://td/9999"));
    assert!(!allowed("spiffe://td/10000") && !allowed("spiffe://td/"));
}
