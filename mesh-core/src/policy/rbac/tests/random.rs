//! Random rules and calls, decided by the engine and by a scan.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::policy::matcher::{DynamicMetadata, MetadataMatcher, ValueMatcher};

/// `RBAC_CASES=1000000 cargo test --release -p mesh-core --lib engine_decides_as_a_scan` decides a million cases; `RBAC_SEED`
/// repeats a run.
#[test]
fn engine_decides_as_a_scan_over_all_policies() {
    let of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = of("RBAC_CASES").unwrap_or(10_000);
    let seed = of("RBAC_SEED").unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut decided, mut matched) = (0, 0);
    while decided < cases {
        let rules = rules(&mut rng);
        let engine = RbacEngine::new(&rules);
        for _ in 0..20 {
            let (head, peer) = request(&mut rng);
            let request = RbacRequest::new(&head, &peer);
            let verdict = engine.decide(&request);
            assert_eq!(verdict.policy, naive::first(&rules, &request), "{rules:?} {head:?} {peer:?}");
            assert_eq!(verdict.allowed, naive::allows(&rules, &request), "{rules:?} {head:?} {peer:?}");
            decided += 1;
            matched += u64::from(verdict.policy.is_some());
        }
    }
    assert!((cases / 10..cases - cases / 10).contains(&matched), "{matched} of {cases} cases have a match");
}

fn rules(rng: &mut StdRng) -> RbacRules {
    let action = *[RbacAction::Allow, RbacAction::Deny, RbacAction::Log].choose(rng).unwrap();
    let mut policies = Vec::new();
    for number in 0..rng.random_range(0..7) {
        let permissions: Vec<_> = (0..rng.random_range(0..3)).map(|_| permission(rng, 3)).collect();
        let principals: Vec<_> = (0..rng.random_range(0..3)).map(|_| principal(rng, 3)).collect();
        policies.push(RbacPolicy::new(format!("policy-{number}"), permissions, principals));
    }
    RbacRules::new(action, policies)
}

fn permission(rng: &mut StdRng, depth: u32) -> Permission {
    let nested = |rng: &mut StdRng| {
        (0..rng.random_range(0..3)).map(|_| permission(rng, depth - 1)).collect::<Vec<_>>()
    };
    match rng.random_range(0..if depth == 0 { 10 } else { 16 }) {
        0 => Permission::Any,
        1 => Permission::Header(some_header(rng)),
        2 => Permission::DestinationIp(range(rng)),
        3 => Permission::DestinationPort(if rng.random() { 8080..8081 } else { 0..9000 }),
        4 => Permission::Metadata(claim(rng)),
        5 => Permission::RequestedServerName(if rng.random() { exact("") } else { exact("a") }),
        6..10 => Permission::UrlPath(pattern(rng, &PATHS)),
        10 | 11 => Permission::All(nested(rng)),
        12 | 13 => Permission::AnyOf(nested(rng)),
        _ => Permission::Not(Box::new(permission(rng, depth - 1))),
    }
}

fn principal(rng: &mut StdRng, depth: u32) -> Principal {
    let nested =
        |rng: &mut StdRng| (0..rng.random_range(0..3)).map(|_| principal(rng, depth - 1)).collect::<Vec<_>>();
    match rng.random_range(0..if depth == 0 { 10 } else { 16 }) {
        0 => Principal::Any,
        1 => Principal::Authenticated(None),
        2 => Principal::RemoteIp(range(rng)),
        3 => Principal::Header(some_header(rng)),
        4 => Principal::UrlPath(pattern(rng, &PATHS)),
        5 => Principal::Metadata(claim(rng)),
        6..10 => Principal::Authenticated(Some(pattern(rng, &NAMES))),
        10 | 11 => Principal::All(nested(rng)),
        12 | 13 => Principal::AnyOf(nested(rng)),
        _ => Principal::Not(Box::new(principal(rng, depth - 1))),
    }
}

fn pattern(rng: &mut StdRng, texts: &[&str]) -> StringMatcher {
    let whole = *texts.choose(rng).unwrap();
    let cut = rng.random_range(0..=whole.len());
    let pattern = match rng.random_range(0..8) {
        0..4 => StringPattern::Exact(whole.into()),
        4 | 5 => StringPattern::Prefix(whole[..cut].into()),
        6 => StringPattern::Suffix(whole[cut..].into()),
        _ => StringPattern::Contains(whole[cut..].into()),
    };
    StringMatcher { pattern, ignore_case: rng.random_range(0..5) == 0 }
}

fn some_header(rng: &mut StdRng) -> RequestHeaderMatcher {
    let name = *["x-a", "X-B", ":authority", "host", ":method", ":path", "te"].choose(rng).unwrap();
    let rule = match rng.random_range(0..3) {
        0 => HeaderRule::Present(rng.random()),
        _ => value(pattern(rng, &["a", "b", "Svc.example", "POST", "/a.A/x"])),
    };
    let condition = HeaderCondition::from(rule).with_invert(rng.random());
    RequestHeaderMatcher::new(name, condition.with_missing_as_empty(rng.random())).unwrap()
}

fn claim(rng: &mut StdRng) -> MetadataMatcher {
    let value = if rng.random() { ValueMatcher::Present(true) } else { ValueMatcher::Text(exact("a")) };
    MetadataMatcher::new("jwt", ["sub"], value).with_invert(rng.random())
}

fn range(rng: &mut StdRng) -> IpRange {
    let address = ADDRESSES.choose(rng).unwrap().parse().unwrap();
    let prefix = *[None, Some(0), Some(8), Some(24), Some(32)].choose(rng).unwrap();
    IpRange::new(address, prefix).unwrap()
}

fn request(rng: &mut StdRng) -> (Parts, Peer) {
    let authority =
        *["", "http://svc.example", "http://SVC.example.:80", "http://other"].choose(rng).unwrap();
    let path = *PATHS.choose(rng).unwrap();
    let mut headers = Vec::new();
    for name in ["x-a", "x-b", "te"] {
        for _ in 0..rng.random_range(0..3) {
            headers.push((name, *["a", "b"].choose(rng).unwrap()));
        }
    }
    let mut head = call(&format!("{authority}{path}"), &headers);
    if rng.random() {
        let mut metadata = DynamicMetadata::new();
        metadata.insert("jwt", "sub", (*["a", "b"].choose(rng).unwrap()).into());
        head.extensions.insert(metadata);
    }
    let peer = plaintext(ADDRESSES.choose(rng).unwrap());
    let names = |rng: &mut StdRng| {
        (0..rng.random_range(0..3)).map(|_| (*NAMES.choose(rng).unwrap()).to_owned()).collect::<Vec<_>>()
    };
    let peer = match rng.random_range(0..6) {
        0 => peer,
        1 => peer.with_tls(TlsPeer::new()),
        _ => {
            let mut identity = PeerIdentity::new().with_subject(*NAMES.choose(rng).unwrap());
            (identity.uri_sans, identity.dns_sans) = (names(rng), names(rng));
            peer.with_tls(TlsPeer::new().with_identity(identity))
        }
    };
    (head, peer)
}

const PATHS: [&str; 6] = ["/a.A/x", "/a.A/y", "/a.B/x", "/b.A/x", "/A.a/X", "/"];
const NAMES: [&str; 6] = [
    "spiffe://td/ns/a/sa/x",
    "spiffe://td/ns/a/sa/y",
    "spiffe://td/ns/b/sa/x",
    "spiffe://td/ns/ab",
    "CN=x",
    "",
];
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.1.1", "::1", "2001:db8::1"];
