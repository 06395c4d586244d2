//! Authorization: what each rule matches, and that the engine decides as a scan over all policies does.

mod naive;
mod random;
mod rows;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::*;
use crate::peer::{Peer, PeerIdentity, TlsPeer};
use crate::policy::matcher::{FullRegex, HeaderCondition, HeaderRule, StringMatcher, StringPattern};

fn text(pattern: StringPattern) -> StringMatcher {
    StringMatcher { pattern, ignore_case: false }
}

fn exact(exact: &str) -> StringMatcher {
    text(StringPattern::Exact(exact.into()))
}

fn prefix(prefix: &str) -> StringMatcher {
    text(StringPattern::Prefix(prefix.into()))
}

fn regex(pattern: &str) -> StringMatcher {
    text(StringPattern::Regex(FullRegex::new(pattern).unwrap()))
}

fn plaintext(remote: &str) -> Peer {
    let remote = std::net::SocketAddr::new(remote.parse().unwrap(), 4711);
    Peer::new(remote, "192.0.2.1:8080".parse().unwrap())
}

fn tls() -> Peer {
    plaintext("10.0.0.1").with_tls(TlsPeer::new())
}

fn known(identity: PeerIdentity) -> Peer {
    plaintext("10.0.0.1").with_tls(TlsPeer::new().with_identity(identity))
}

fn account(id: &str) -> Peer {
    known(PeerIdentity::new().with_uri_san(id))
}

/// A gRPC call of a URI, with these headers.
fn call(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let (mut head, ()) = Request::post(uri).body(()).unwrap().into_parts();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        head.headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    head
}

/// Whether a policy of one permission and one principal matches, by the engine and by a scan.
fn matches(permission: Permission, principal: Principal, head: &Parts, peer: &Peer) -> bool {
    let rules = RbacRules::new(RbacAction::Allow, [RbacPolicy::new("p", [permission], [principal])]);
    let request = RbacRequest::new(head, peer);
    let allowed = RbacEngine::new(&rules).decide(&request).allowed;
    assert_eq!(allowed, naive::first(&rules, &request).is_some(), "{rules:?}");
    allowed
}

fn permits(permission: Permission, head: &Parts) -> bool {
    matches(permission, Principal::Any, head, &plaintext("10.0.0.1"))
}

fn is(principal: Principal, peer: &Peer) -> bool {
    matches(Permission::Any, principal, &call("/pkg.Svc/Get", &[]), peer)
}

fn header(name: &str, condition: impl Into<HeaderCondition>) -> Permission {
    Permission::Header(RequestHeaderMatcher::new(name, condition).unwrap())
}

fn value(matcher: StringMatcher) -> HeaderRule {
    HeaderRule::Value(matcher)
}
