//! Decisions of RBAC rules, over their number and what they demand.

use http::{Request, request};
use mesh_core::peer::{Peer, PeerIdentity, TlsPeer};
use mesh_core::policy::matcher::{StringMatcher, StringPattern};
use mesh_core::policy::rbac::{
    Permission, Principal, RbacAction, RbacEngine, RbacPolicy, RbacRequest, RbacRules,
};

/// What each policy demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// An account of its own and a method of its own.
    AccountAndMethod,
    /// A namespace of its own, of which any account may call any method.
    Namespace,
    /// A service of its own, which any account may call.
    Service,
}

impl Demand {
    /// All of them, with their names in reports.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::AccountAndMethod, "account_and_method"),
        (Self::Namespace, "namespace"),
        (Self::Service, "service"),
    ];

    fn policy(self, number: usize) -> RbacPolicy {
        let named = |pattern| Principal::Authenticated(Some(StringMatcher { pattern, ignore_case: false }));
        let path = |pattern| Permission::UrlPath(StringMatcher { pattern, ignore_case: false });
        let (permission, principal) = match self {
            Self::AccountAndMethod => (
                path(StringPattern::Exact(format!("/shop.Service{number}/Get"))),
                named(StringPattern::Exact(account(number))),
            ),
            Self::Namespace => {
                let prefix = format!("spiffe://cluster.local/ns/namespace-{number}/");
                (Permission::Any, named(StringPattern::Prefix(prefix)))
            }
            Self::Service => (
                path(StringPattern::Prefix(format!("/shop.Service{number}/"))),
                Principal::Authenticated(None),
            ),
        };
        RbacPolicy::new(format!("policy-{number:05}"), [permission], [principal])
    }
}

/// Rules, and a call that their last policy matches.
#[derive(Debug)]
pub struct Decision {
    engine: RbacEngine,
    head: request::Parts,
    peer: Peer,
}

impl Decision {
    /// Rules of so many policies.
    pub fn new(demand: Demand, policies: usize) -> Self {
        let rules = RbacRules::new(RbacAction::Allow, (0..policies).map(|number| demand.policy(number)));
        let last = policies.saturating_sub(1);
        let uri = format!("http://shop/shop.Service{last}/Get");
        let (head, ()) = Request::post(uri).body(()).expect("the URI is valid").into_parts();
        let identity = PeerIdentity::new().with_uri_san(account(last));
        let address = ([10, 0, 0, 1], 4711).into();
        let peer = Peer::new(address, address).with_tls(TlsPeer::new().with_identity(identity));
        Self { engine: RbacEngine::new(&rules), head, peer }
    }

    /// Decides about the call, which is allowed.
    pub fn decide(&self) -> bool {
        self.engine.decide(&RbacRequest::new(&self.head, &self.peer)).allowed
    }
}

fn account(number: usize) -> String {
    format!("spiffe://cluster.local/ns/namespace-{number}/sa/account-{number}")
}
